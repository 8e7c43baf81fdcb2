// Ensemble: the mixture of densities, its draws, what does not belong together.
#include "flows/ensemble.h"

#include <boost/test/unit_test.hpp>
#include <cmath>

#include "flows/models/build.h"
#include "flows/runs/ensemble_run.h"
#include "tensor/ops.h"
#include "tests/data_util.h"

using namespace nf;
using namespace nf::flows;
using test::check_error;

namespace {

/// A made of `dims` bits with weights of a seed.
std::shared_ptr<Density> member_of(std::uint64_t seed, std::int64_t dims = 3,
                                   std::int64_t given = 0) {
  DataShape data{.dims = dims, .discrete = true, .levels = 2};
  for (std::int64_t i = 0; i < given; ++i) data.given.push_back("g");
  Config config = preset("made", data);
  config.data.binarize = "static";
  set(config, "hidden_units=5");
  const auto density = make_density(config, data);
  Generator gen(seed);
  density->for_each_parameter(
      [&](const std::string&, Var& p) { p.set_value(normal(gen, p.shape()) * 2.0); });
  density->eval();
  return density;
}

Tensor rows_of_bits(std::int64_t dims) {
  std::vector<float> bits;
  for (int row = 0; row < 1 << dims; ++row) {
    for (int d = 0; d < dims; ++d) bits.push_back(static_cast<float>(row >> d & 1));
  }
  return Tensor::from(bits, {std::int64_t{1} << dims, dims});
}

}  // namespace

BOOST_AUTO_TEST_SUITE(flows_ensemble)

BOOST_AUTO_TEST_CASE(a_mixture_is_the_mean_of_densities) {
  const std::vector<std::shared_ptr<Density>> members = {member_of(1), member_of(2), member_of(3)};
  Ensemble ensemble(members);
  ensemble.eval();
  const Tensor x = rows_of_bits(3);
  Tensor mean = Tensor::zeros({8});
  for (const auto& member : members) mean = mean + exp(member->log_prob(x).value()) / 3.0;
  const Tensor p = exp(ensemble.log_prob(x).value());
  for (std::size_t i = 0; i < 8; ++i) {
    BOOST_TEST(p.to_vector<float>()[i] == mean.to_vector<float>()[i],
               boost::test_tools::tolerance(1e-5F));
  }
  BOOST_TEST(sum(p).item() == 1, boost::test_tools::tolerance(1e-5));
  BOOST_TEST(ensemble.levels() == 2);
  BOOST_TEST(!ensemble.bound());
  BOOST_TEST(ensemble.convention().text == members[0]->convention().text);
  // Draws have its probabilities.
  constexpr std::int64_t kDraws = 6000;
  Generator gen(4);
  const auto drawn = ensemble.sample(gen, kDraws).to_vector<float>();
  std::vector<double> counts(8);
  for (std::size_t i = 0; i < drawn.size(); i += 3) {
    ++counts.at(static_cast<std::size_t>(drawn[i] + 2 * drawn[i + 1] + 4 * drawn[i + 2]));
  }
  for (std::size_t i = 0; i < 8; ++i) {
    const double expected = p.to_vector<float>()[i] * kDraws;
    BOOST_TEST(std::abs(counts[i] - expected) <= 1 + 5 * std::sqrt(expected));
  }
}

// Each draw has what is given with its own row.
BOOST_AUTO_TEST_CASE(draws_are_of_what_is_given_with_them) {
  const auto member = member_of(1, 3, 1);
  Ensemble ensemble({member, member});
  ensemble.eval();
  const Tensor given = Tensor::arange(40, DType::I32).reshape({40, 1}).to(DType::F64) / 10.0;
  Generator one(1), two(2);
  // Without chance both members say the same, whoever is asked.
  BOOST_CHECK(ensemble.sample(one, 40, 0, given).to_vector<float>() ==
              member->sample(two, 40, 0, given).to_vector<float>());
}

BOOST_AUTO_TEST_CASE(members_of_other_data_are_refused) {
  check_error([] { Ensemble({}); }, {"[Ensemble]", "at least one"});
  check_error([] { Ensemble({member_of(1, 3), member_of(1, 4)}); }, {"[Ensemble] member 2"});
  check_error([] { Ensemble({member_of(1, 3), member_of(1, 3, 1)}); }, {"[Ensemble] member 2"});
}

BOOST_AUTO_TEST_CASE(files_that_name_no_members) {
  const test::TempFolder folder;
  const std::string path = folder.path("");
  BOOST_TEST(members_of(path).empty());
  write_ensemble(path, 2, 7);
  BOOST_TEST_REQUIRE(members_of(path).size() == 2U);
  BOOST_TEST(members_of(path)[1].name == "member-2");
  BOOST_TEST(members_of(path)[1].seed == 8);
  for (const char* text :
       {"", "[]", "{}", R"({"members": []})", R"({"members": [1]})",
        R"({"members": [{"run": "../x", "seed": 1}]})", R"({"members": [{"run": "member-1"}]})"}) {
    folder.write("ensemble.json", text);
    check_error([&] { members_of(path); }, {"ensemble.json is damaged"});
  }
}

BOOST_AUTO_TEST_SUITE_END()
