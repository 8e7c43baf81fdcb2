// flowcli data, and training on files of a user: columns, types, layouts, parts.
#include <boost/test/unit_test.hpp>
#include <fstream>

#include "data/npy.h"
#include "tensor/ops.h"
#include "tests/cli_util.h"

using namespace nf::test;

namespace {

/// Rows: an id, a town, two reals, a count, a constant.
std::string mixed_table(const ScratchFolder& folder) {
  std::ofstream out(folder.file("mixed.csv"));
  out << "id,town,a,b,n,c\n";
  for (int i = 0; i < 200; ++i) {
    const double a = i * 37 % 101 / 10.0, b = i * 53 % 97 / 10.0 + 0.05;
    out << i << ",T" << i % 9 << "," << a << "," << b << "," << i % 4 << ",7\n";
  }
  return folder.file("mixed.csv");
}

std::vector<std::string> tiny(const std::string& data, const std::string& out,
                              const std::vector<std::string>& more) {
  std::vector<std::string> all = {
      "train",          "realnvp-2d", "--data",  data, "--out",        out,  "--couplings", "2",
      "--hidden-units", "4",          "--steps", "20", "--batch-size", "50", "--threads",   "1"};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(cli_data)

BOOST_AUTO_TEST_CASE(a_built_in_source_is_written_as_one_file) {
  const ScratchFolder folder;
  for (const char* ending : {".csv", ".npy", ".idx"}) {
    const std::string path = folder.file(std::string("moons") + ending);
    const Outcome made =
        flowcli(folder, {"data", "--json", "make", "moons", "--train", "50", "--out", path});
    BOOST_REQUIRE_EQUAL(made.status, 0);
    BOOST_TEST(made.json()["count"] == 50);
    const Outcome read = flowcli(folder, {"data", path, "--json"});
    BOOST_TEST(read.json()["train"] == 40);
    BOOST_TEST(read.json()["dims"] == 2);
  }
  const std::string images = folder.file("glyphs.npy");
  BOOST_REQUIRE_EQUAL(
      flowcli(folder, {"data", "make", "glyphs", "--train", "12", "--out", images}).status, 0);
  BOOST_CHECK(nf::data::read_npy(images).shape() == nf::Shape({12, 28, 28}));
  const Outcome refused = flowcli(folder, {"data", "make", "moons", "--out", folder.file("x")});
  BOOST_TEST(refused.status == 1);
  BOOST_TEST(contains(refused.err, ".csv, .npy or .idx"));
}

BOOST_AUTO_TEST_CASE(a_table_of_all_sorts_says_what_to_do) {
  const ScratchFolder folder;
  const std::string table = mixed_table(folder), run = folder.file("run");
  const Outcome whole = flowcli(folder, tiny(table, run, {}));
  BOOST_TEST(whole.status == 1);
  BOOST_TEST(contains(whole.err, "line 2, column 2 ('town'): 'T0' is not a number"));
  const Outcome constant = flowcli(folder, tiny(table, run, {"--columns", "a,c"}));
  BOOST_TEST(constant.status == 1);
  BOOST_TEST(contains(constant.err, "column 'c'"));
  BOOST_TEST(!std::filesystem::exists(run));
  const Outcome counts = flowcli(folder, tiny(table, run, {"--columns", "a,b,n"}));
  BOOST_TEST(counts.status == 0);
  BOOST_TEST(contains(counts.err, "--types n=integer"));

  const std::string config = folder.file("c.json"), nested = folder.file("nested");
  std::ofstream(config) << nlohmann::json(
      {{"model", {{"name", "realnvp-2d"}}}, {"data", {{"source", table}, {"columns", "a,b"}}}});
  const Outcome of_file =
      flowcli(folder, {"train", config, "--out", nested, "--steps", "2", "--hidden-units", "8"});
  BOOST_TEST(of_file.status == 0, of_file.err);
  BOOST_TEST(contains(slurp(nested + "/config.json"), "\"wanted_columns\": \"a,b\""));

  const std::string good = folder.file("good");
  const Outcome trained = flowcli(
      folder,
      tiny(table, good, {"--columns", "a,n", "--types", "n=integer", "--split-by", "town"}));
  BOOST_TEST_REQUIRE(trained.status == 0, trained.err);
  BOOST_TEST(!contains(trained.err, "whole numbers"));
  // The same file, with all its columns, is what the run was trained with.
  BOOST_TEST(flowcli(folder, {"eval", good}).status == 0);
  const Outcome scored = flowcli(
      folder, {"score", good, "--data", table, "--out", folder.file("scores.csv"), "--json"});
  BOOST_TEST_REQUIRE(scored.status == 0, scored.err);
  BOOST_TEST(scored.json()["count"] == 200);
  BOOST_TEST_REQUIRE(
      flowcli(folder, {"sample", good, "-n", "20", "--out", folder.file("s.npy")}).status == 0);
  const nf::Tensor samples = nf::data::read_npy(folder.file("s.npy"));
  BOOST_CHECK(samples.dtype() == nf::DType::F64);
  for (const double n : samples.narrow(1, 1, 1).to_vector<double>()) {
    BOOST_CHECK_EQUAL(n, std::floor(n));
  }
}

BOOST_AUTO_TEST_CASE(pictures_that_cannot_be_drawn_do_not_end_a_training) {
  const ScratchFolder folder;
  nf::Generator gen(1);
  for (const std::int64_t channels : {1, 2, 4}) {
    const std::string path = folder.file("images.npy"), run = folder.file("run");
    nf::data::write_npy(path, (nf::uniform(gen, {40, channels, 6, 5}) * 256.0F).to(nf::DType::U8));
    const Outcome unclear = flowcli(folder, tiny(path, run, {"--overwrite"}));
    BOOST_TEST(unclear.status == (channels == 2 ? 1 : 0), unclear.err);
    if (channels != 2) continue;
    BOOST_TEST(contains(unclear.err, "--set layout=first"));
    const Outcome told = flowcli(folder, tiny(path, run, {"--overwrite", "--layout", "first"}));
    BOOST_TEST(told.status == 0, told.err);
    BOOST_TEST(contains(told.err, "2 channels have no picture"));
  }
}

BOOST_AUTO_TEST_SUITE_END()
