// Tables with categories and missing cells: which columns are taken for what, their numbers, and
// what is no value of theirs.
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <sstream>

#include "data/columns.h"
#include "data/csv.h"
#include "data/source.h"
#include "tests/data_util.h"

using namespace nf;
using namespace nf::data;
using namespace nf::test;

namespace {

using Names = std::vector<std::string>;

Table read(const std::string& text, const ReadOptions& options) {
  const TempFolder folder;
  return read_csv(folder.write("t.csv", text), options);
}

std::string cells(const Table& table) {
  std::string text;
  for (const double value : table.values.to_vector<double>()) {
    text += (std::isnan(value) ? "-" : str(value)) + " ";
  }
  return text;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(data_csv_categories)

BOOST_AUTO_TEST_CASE(texts_become_places_in_ascending_order) {
  const Table table = read("a,town,n\n1,Bonn,10\n2,Aachen,9\n3,Bonn,10\n4,\"x, y\",9\n",
                           {.categories = {{"n", {}}}, .guess_categories = true});
  BOOST_TEST(cells(table) == "1 1 1 2 0 0 3 1 1 4 2 0 ");
  BOOST_TEST(table.categories[0].empty());
  BOOST_TEST(table.categories[1] == (Names{"Aachen", "Bonn", "x, y"}));
  BOOST_TEST(table.categories[2] == (Names{"9", "10"}));  // by their size
}

BOOST_AUTO_TEST_CASE(missing_cells_are_kept_where_they_may_be) {
  const std::string text = "a,town\n,Bonn\n2,NA\n3,\n4,Aachen\n-99,Bonn\n5,Bonn\n";
  const ReadOptions all{.missing_words = {"-99"}, .keep_missing = true, .guess_categories = true};
  BOOST_TEST(cells(read(text, all)) == "- 1 2 - 3 - 4 0 - 1 5 1 ");
  ReadOptions given = all;
  given.given = {"a"};
  check_error([&] { read(text, given); }, {"line 2, column 1 ('a'): the number is missing"});
  ReadOptions none = all;
  none.keep_missing = false;
  check_error([&] { read(text, none); }, {"line 2", "line 3, column 2 ('town')"});
  none.drop_missing = true;
  BOOST_TEST(cells(read(text, none)) == "4 0 5 1 ");
}

BOOST_AUTO_TEST_CASE(values_of_a_model_are_the_only_ones) {
  const ReadOptions known{.may_lack_split_by = true,
                          .known = {"a", "town"},
                          .categories = {{"town", {"Aachen", "Bonn", "Cork"}}}};
  const Table table = read("a,town\n1,Bonn\n2,Bonn\n", known);
  BOOST_TEST(cells(table) == "1 1 2 1 ");
  BOOST_TEST(table.categories[1].size() == 3U);
  BOOST_TEST(cells(read("1,Cork\n2,Bonn\n", known)) == "1 2 2 1 ");  // by position
  check_error([&] { read("a,town\n1,Bonn\n2,Born\n", known); },
              {"line 3, column 2 ('town'): 'Born' is none of the values", "did you mean 'Bonn'"});
  CsvLines lines("-", known);
  lines.row("a,town");
  BOOST_TEST(lines.row("1,Cork") == (std::vector<double>{1, 2}));
  check_error([&] { lines.row("1,Born"); }, {"line 3", "'Born'"});
}

BOOST_AUTO_TEST_CASE(what_is_no_category_is_told) {
  std::string names = "a,b\n", many = "a,b\n";
  for (int i = 0; i < 50; ++i) names += str(i, ",t", i, "\n");
  for (int i = 0; i < 700; ++i) many += str(i, ",t", i % 300, "\n");
  const ReadOptions guess{.guess_categories = true};
  const std::tuple<std::string, ReadOptions, std::string> cases[] = {
      {"a,b\n1,x\n2,x\n", guess, "'b' has the one value 'x'"},
      {names, guess, "50 different texts in 50 rows, as names have, the first in line 2, 't0'"},
      {"a,b\n1,k.A.\n2,3\n3,4\n4,5\n", guess, "'b' holds numbers, and 1 text, the first in line 2"},
      {many, guess, "line 258, column 2 ('b'): more than 256 different texts"},
      {"a,b\n1,2\n2,x\n", guess, "'x' is not a number"},
      {"a,b\n1,2\n2,x\n", guess, "--types b=category"},
      {"a,b\n1,x\n2,y\n", {.guess_categories = true, .numbers = {"b"}}, "'x' is not a number"},
      {"a,b\n1,2024-01-31\n", guess, "date or time"},
      {"a,b\n1,x\n2,y\n", {}, "train tabular, where text is a category"},
  };
  for (const auto& [text, options, says] : cases) {
    check_error([&, t = text, o = options] { read(t, o); }, {says});
  }
  BOOST_TEST(read(names, {.categories = {{"b", {}}}}).categories[1].size() == 50U);  // asked for
  const Table codes = read("a,zip\n1,01067\n2,01067\n3,10115\n4,01067\n", guess);
  BOOST_TEST(codes.categories[1] == (Names{"01067", "10115"}));
}

BOOST_AUTO_TEST_CASE(they_follow_their_columns_through_a_data_set) {
  const TempFolder folder;
  const std::string path = folder.write(
      "t.csv", "n,town,u,sex\n1,B,0.5,f\n2,A,,m\n3,B,1.5,f\n4,A,2.5,m\n5,B,3.5,f\n2,A,4.5,m\n");
  LoadOptions options{.valid = 0, .test = 0, .columns = {"sex", "n", "town", "u"}};
  options.keep_missing = options.guess_categories = true;
  Dataset data = load(path, options);
  BOOST_TEST(data.categories[0] == (Names{"f", "m"}));
  BOOST_TEST(data.texts == (Names{"sex", "town"}));
  BOOST_TEST(data.whole == Names{"n"});
  BOOST_TEST(with_guessed_types(data, "") == "n=integer,sex=category,town=category");
  match_columns(data, {"town", "u", "n"});
  BOOST_TEST(data.categories[0] == (Names{"A", "B"}));
  BOOST_TEST(data.categories[1].empty());
  // Other parts have the same numbers for the same words.
  LoadOptions parts = options;
  parts.test = -1;
  parts.test_data = folder.write("test.csv", "u,town,sex,n\n1.5,B,m,3\n");
  const Dataset both = load(path, parts);
  BOOST_TEST(both.test.x.to_vector<double>() == (std::vector<double>{1, 3, 1, 1.5}));
  parts.test_data = folder.write("test.csv", "u,town,sex,n\n1.5,C,m,3\n");
  check_error([&] { load(path, parts); }, {"'C' is none of the values"});
  // Constant in the rows that have a number, all missing, not whole.
  const std::string odd = folder.write("odd.csv", "a,b,c\n1,5,\n2,,\n3,5,\n4,5,\n");
  LoadOptions plain;
  plain.keep_missing = true;
  Dataset constant = load(odd, plain);
  check_error([&] { check_varies(constant, ""); }, {"column 'b', 'c'"});
}

BOOST_AUTO_TEST_CASE(words_are_written_where_they_stand) {
  std::ostringstream out;
  CsvWriter writer([&](std::string_view text) { out << text; }, {"town", "a"}, {true, false},
                   {{"x, y", "Bonn"}, {}});
  writer.add(Tensor::from<double>({0, 0.5, 1, 2}, {2, 2}));
  BOOST_TEST(out.str() == "town,a\n\"x, y\",0.5\nBonn,2\n");
  check_error([&] { writer.add(Tensor::from<double>({2, 0.5}, {1, 2})); }, {"none of 2 words"});
}

BOOST_AUTO_TEST_SUITE_END()
