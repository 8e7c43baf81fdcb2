// Columns by name, and the checksum that tells whether data are still the same.
#include "data/columns.h"

#include "data/npy.h"
#include "data/source.h"
#include "tensor/checksum.h"
#include "tests/data_util.h"

using namespace nf;
using namespace nf::data;
using namespace nf::test;

namespace {

using Names = std::vector<std::string>;

/// Two rows: 1, 2, 3 and 4, 5, 6.
Dataset table(const Names& columns) {
  Dataset d;
  d.name = "t.csv";
  d.dims = 3;
  d.columns = columns;
  d.train.x = Tensor::from<float>({1, 2, 3, 4, 5, 6}, {2, 3});
  d.test.x = d.train.x;
  return d;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(data_columns)

BOOST_AUTO_TEST_CASE(columns_go_by_their_names) {
  Dataset d = table({"a", "b", "c"});
  BOOST_TEST(match_columns(d, {"c", "a", "b"}).empty());
  BOOST_CHECK((d.columns == Names{"c", "a", "b"}));
  BOOST_CHECK((d.train.x.to_vector<float>() == std::vector<float>{3, 1, 2, 6, 4, 5}));
  BOOST_CHECK((d.test.x.to_vector<float>() == std::vector<float>{3, 1, 2, 6, 4, 5}));
  Dataset more = table({"a", "b", "c"});
  BOOST_TEST(match_columns(more, {"c", "a"}, {"b", "z"}).empty());
  BOOST_CHECK(more.dims == 2 &&
              (more.train.x.to_vector<float>() == std::vector<float>{3, 1, 6, 4}));
}

BOOST_AUTO_TEST_CASE(what_does_not_match_is_refused_by_name) {
  const auto match = [](const Names& has, const Names& wanted) {
    return [=] {
      Dataset d = table(has);
      match_columns(d, wanted);
    };
  };
  check_error(match({"a", "b", "width"}, {"a", "b", "witdh"}),
              {"'t.csv'", "no column 'witdh'", "did you mean 'width'?"});
  Dataset more = table({"a", "b", "c"});
  BOOST_TEST(
      match_columns(more, {"c", "a"}).find("does not know column 'b', which is not looked") !=
      std::string::npos);
  BOOST_CHECK((more.columns == Names{"c", "a"}));
  check_error(match({"a", "b", "b"}, {"b", "a"}), {"two columns are named 'b'"});
  check_error(match({"1", "2", "3"}, {"a", "b"}), {"3 columns without names", "'a', 'b'"});
  check_error(match({}, {"1", "2"}), {"has 3 columns", "trained on 2"});
  check_error(match({"a", "b", "c"}, {"a", "\x1B" + std::string(9999, 'c')}), {"\\x1b", "bytes"});
}

BOOST_AUTO_TEST_CASE(without_names_columns_go_by_position_and_it_is_told) {
  for (const Names& none : {Names{}, Names{"1", "2", "3"}}) {
    Dataset d = table(none), n = table({"a", "b", "c"}), same = table(none);
    BOOST_TEST(match_columns(d, {"a", "b", "c"}).find("by position, as 'a', 'b', 'c'") !=
               std::string::npos);
    BOOST_TEST(match_columns(n, none).find("by position") != std::string::npos);
    BOOST_TEST(match_columns(same, {}).empty());
    BOOST_CHECK(d.train.x.to_vector<float>() == table({}).train.x.to_vector<float>());
  }
}

BOOST_AUTO_TEST_CASE(a_checksum_is_of_the_data_and_not_of_the_cut) {
  const TempFolder folder;
  const auto file = [&](float last) {
    std::vector<float> values(60, 1);
    values.back() = last;
    write_npy(folder.path("x.npy"), Tensor::from(values, {20, 3}));
    return folder.path("x.npy");
  };
  const std::string path = file(2), sum = load(path).checksum;
  BOOST_TEST(sum.size() == 16U);
  BOOST_TEST(load(path, {.seed = 5, .train = 3, .valid = 1, .test = 2}).checksum == sum);
  BOOST_TEST(load(path, {.in_file_order = true}).checksum == sum);
  BOOST_TEST(load(file(3)).checksum != sum);
  BOOST_TEST(load(file(2)).checksum == sum);
  const LoadOptions few{.seed = 1, .train = 50, .valid = 5, .test = 5};
  LoadOptions other = few;
  other.seed = 2;
  BOOST_TEST(load("moons", few).checksum == load("moons", few).checksum);
  BOOST_TEST(load("moons", few).checksum != load("moons", other).checksum);
  BOOST_TEST(load("moons", few).checksum != load("circles", few).checksum);
}

BOOST_AUTO_TEST_SUITE_END()
