// Which rows are for training, validation and test.
#include "data/splits.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <set>

#include "data/columns.h"
#include "data/idx.h"
#include "data/npy.h"
#include "data/setting_error.h"
#include "data/source.h"
#include "tests/data_util.h"

using namespace nf;
using namespace nf::data;
using namespace nf::test;

namespace {

/// Of the first column.
std::vector<int> numbers(const Split& split) {
  std::vector<int> out;
  if (split.size() == 0) return out;
  for (const double x : split.x.narrow(1, 0, 1).to(DType::F64).to_vector<double>()) {
    out.push_back(static_cast<int>(x));
  }
  return out;
}

std::set<int> set_of(const Split& split) {
  const std::vector<int> all = numbers(split);
  return {all.begin(), all.end()};
}

bool apart(const std::set<int>& a, const std::set<int>& b) {
  return std::none_of(a.begin(), a.end(), [&](int x) { return b.contains(x); });
}

/// Rows (i, g) with g = i / 10, sorted.
std::string sorted_table(const TempFolder& folder, int n = 200) {
  std::ofstream out(folder.path("sorted.csv"));
  out << "i,g\n";
  for (int i = 0; i < n; ++i) out << i << "," << i / 10 << "\n";
  return folder.path("sorted.csv");
}

std::string sorted_archive(const TempFolder& folder, int train, int test) {
  const auto array = [&](int n) {
    std::vector<float> rows(static_cast<std::size_t>(n));
    for (int i = 0; i < n; ++i) rows[static_cast<std::size_t>(i)] = static_cast<float>(i);
    write_npy(folder.path("array"), Tensor::from(rows, {n, 1}));
    return bytes_of(folder.path("array"));
  };
  return folder.write("parts.npz",
                      zip_file({{"x_train.npy", array(train)}, {"x_test.npy", array(test)}}));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(data_splits)

BOOST_AUTO_TEST_CASE(a_sorted_archive_gives_no_sorted_validation) {
  const TempFolder folder;
  const std::string path = sorted_archive(folder, 1000, 100);
  const Dataset d = load(path);
  BOOST_CHECK(d.train.size() == 900 && d.valid.size() == 100 && d.test.size() == 100);
  double mean = 0;
  for (const int i : numbers(d.valid)) mean += i / 100.0;
  BOOST_TEST(std::abs(mean - 500) < 100);  // the last hundred have 950
  const std::vector<int> test = numbers(d.test);
  BOOST_TEST(std::is_sorted(test.begin(), test.end()));  // whole parts stay as they are
  BOOST_TEST(d.cut ==
             "test is the source's own, validation drawn from the rows at random, the "
             "same ones every time");
  const Dataset few = load(path, {.train = 20, .test = 20});
  const std::vector<int> train = numbers(few.train);
  BOOST_TEST(*std::max_element(train.begin(), train.end()) > 500);  // not the first ones
  BOOST_TEST(*set_of(few.test).rbegin() > 50);
}

BOOST_AUTO_TEST_CASE(asking_for_fewer_rows_moves_none_into_another_part) {
  const TempFolder folder;
  const std::string path = sorted_table(folder);
  const Dataset d = load(path);
  for (const std::int64_t test : {1, 5, 20}) {
    for (const std::int64_t valid : {1, 7, 20}) {
      for (const std::int64_t train : {-1, 30}) {
        const Dataset few = load(path, {.train = train, .valid = valid, .test = test});
        BOOST_CHECK(few.test.size() == test && few.valid.size() == valid);
        BOOST_CHECK_EQUAL(few.train.size(), train < 0 ? 160 : train);
        for (const auto& [part, whole] :
             {std::pair{&few.train, &d.train}, {&few.valid, &d.valid}, {&few.test, &d.test}}) {
          const std::set<int> all = set_of(*whole);
          for (const int i : numbers(*part)) BOOST_CHECK(all.contains(i));
        }
      }
    }
  }
  // Those who want all rows get them; the test stays the end of the same order.
  BOOST_CHECK_EQUAL(load(path, {.valid = 0, .test = 0}).train.size(), 200);
  const Dataset most = load(path, {.train = 190, .valid = 5, .test = 5});
  BOOST_CHECK(set_of(most.test) == set_of(load(path, {.test = 5}).test));
  check_error([&] { load(path, {.train = 190, .valid = 6, .test = 5}); },
              {"201 samples asked for, 200"});
}

BOOST_AUTO_TEST_CASE(groups_stay_together) {
  const TempFolder folder;
  const std::string path = sorted_table(folder);
  const Dataset d = load(path, {.split_by = "g"}), again = load(path, {.seed = 9, .split_by = "g"});
  BOOST_CHECK((d.columns == std::vector<std::string>{"i"}) && d.dims == 1);
  BOOST_CHECK(numbers(d.train) == numbers(again.train) && numbers(d.test) == numbers(again.test));
  BOOST_CHECK(d.train.size() == 160 && d.valid.size() == 20 && d.test.size() == 20);
  const auto groups = [](const Split& split) {
    std::set<int> out;
    for (const int i : numbers(split)) out.insert(i / 10);
    return out;
  };
  BOOST_CHECK(apart(groups(d.train), groups(d.valid)) && apart(groups(d.train), groups(d.test)) &&
              apart(groups(d.valid), groups(d.test)));
  BOOST_CHECK(groups(d.test) != (std::set<int>{18, 19}));  // at random
  BOOST_TEST(d.cut.starts_with("whole groups of the column 'g'"));
  const std::vector<int> train = numbers(d.train);
  BOOST_TEST(!std::is_sorted(train.begin(), train.end()));

  const Dataset late = load(path, {.split_by = "ordered:g"});
  BOOST_CHECK(groups(late.test) == (std::set<int>{18, 19}));
  BOOST_CHECK(groups(late.valid) == (std::set<int>{16, 17}));  // 9 comes before 10
  BOOST_CHECK_EQUAL(load(path, {.valid = 0, .test = 15, .split_by = "ordered:g"}).test.size(), 15);
  // A table without names has numbers.
  write_npy(folder.path("x.npy"), load(path, {.in_file_order = true}).train.x);
  const Dataset numbered = load(folder.path("x.npy"), {.split_by = "2", .columns = {"1"}});
  BOOST_CHECK(apart(groups(numbered.train), groups(numbered.test)));
  // Whoever takes all rows in the order of the file cuts nothing.
  BOOST_CHECK_EQUAL(load(path, {.in_file_order = true, .split_by = "none"}).dims, 2);
}

// Each row is in the test part of one fold, and in no other part of that.
BOOST_AUTO_TEST_CASE(folds_hold_out_every_row_once) {
  const TempFolder folder;
  const std::string path = sorted_table(folder);
  for (const std::string groups : {"", "g"}) {
    for (const int folds : {2, 3, 7}) {
      std::set<int> held_out;
      std::size_t count = 0;
      for (int fold = 1; fold <= folds; ++fold) {
        const LoadOptions options{.split_by = groups, .fold = str(fold, "/", folds)};
        const Dataset data = load(path, options);
        const std::set<int> train = set_of(data.train), valid = set_of(data.valid),
                            test = set_of(data.test);
        BOOST_TEST((apart(train, valid) && apart(train, test) && apart(valid, test)));
        BOOST_TEST(train.size() + valid.size() + test.size() == 200U);
        BOOST_TEST(valid.size() == 20U);
        BOOST_TEST(std::abs(static_cast<int>(test.size()) - 200 / folds) <=
                   (groups.empty() ? 1 : 10));
        BOOST_TEST(data.cut.find(str("fold ", fold, "/", folds)) != std::string::npos);
        BOOST_TEST(numbers(load(path, options).test) == numbers(data.test));
        if (!groups.empty()) {
          std::set<int> of_train, of_test;
          for (const int row : train) of_train.insert(row / 10);
          for (const int row : test) of_test.insert(row / 10);
          BOOST_TEST(apart(of_train, of_test));
        }
        held_out.insert(test.begin(), test.end());
        count += test.size();
      }
      BOOST_TEST(held_out.size() == 200U);
      BOOST_TEST(count == 200U);
    }
  }
}

BOOST_AUTO_TEST_CASE(folds_that_are_none) {
  const TempFolder folder;
  const std::string path = sorted_table(folder), archive = sorted_archive(folder, 50, 10);
  struct Row {
    std::string source;
    LoadOptions options;
    std::vector<std::string> says;
  };
  std::vector<Row> rows = {
      {path, {.fold = "1/201"}, {"[fold]", "200 rows are too few for 201 folds"}},
      {path, {.split_by = "g", .fold = "1/21"}, {"[fold]", "20 groups of rows are too few"}},
      {path, {.split_by = "ordered:g", .fold = "1/3"}, {"[fold]", "ordered"}},
      {path, {.test = 5, .fold = "1/3"}, {"[fold]", "leave test out"}},
      {archive, {.fold = "1/3"}, {"[fold]", "is there by itself"}},
      {"moons", {.fold = "1/3"}, {"fold is for files"}}};
  for (const char* text : {"3", "0/3", "4/3", "1/1", "1.5/3", "a/b", "1/3/5", "1/9999", "nan/3"}) {
    rows.push_back({path, {.fold = text}, {"[fold]", "write 2/5"}});
  }
  for (const Row& row : rows) {
    check_error([&] { load(row.source, row.options); }, row.says);
    BOOST_CHECK_THROW(load(row.source, row.options), SettingError);
  }
}

BOOST_AUTO_TEST_CASE(an_order_that_is_none_is_refused) {
  const TempFolder folder;
  const auto file_of = [&](const std::vector<std::string>& groups) {
    std::string text = "i,g\n";
    for (int i = 0; i < 100; ++i) {
      text += str(i + 0.5, ",", groups[static_cast<std::size_t>(i) % groups.size()], "\n");
    }
    return folder.write("o.csv", text);
  };
  const LoadOptions options{.split_by = "ordered:g"};
  for (const auto& [groups, says] : std::vector<std::pair<std::vector<std::string>, std::string>>{
           {{"1/9/2022", "1/10/2022", "2/1/2022"}, "2024-07-13"},
           {{"31.12.24", "1.1.25", "2.1.25"}, "2024-07-13"},
           {{"2022-9-1", "2022-10-1"}, "2024-07-13"},
           {{"1", "2", "n/a", "4"}, "'n/a'"},
           {{"1", "2", "\"\"", "4"}, "''"}}) {
    try {
      load(file_of(groups), options);
      BOOST_ERROR("taken: " + groups[0]);
    } catch (const data::SettingError& error) {
      BOOST_TEST(std::string(error.what()).find(says) != std::string::npos, error.what());
    }
  }
  for (const std::vector<std::string>& groups :
       {std::vector<std::string>{"2022-09-01", "2022-10-01", "2021-12-31"},
        {"2022-09-01T10:00", "2022-09-01T11:00", "2022-09-02T00:00"},
        {"-1.5", "9", "10"},
        {"a", "b", "c1"}}) {
    BOOST_CHECK_NO_THROW(load(file_of(groups), options));
  }
}

BOOST_AUTO_TEST_CASE(groups_that_make_uneven_parts_are_told) {
  const TempFolder folder;
  std::string text = "i,g\n";
  for (int i = 0; i < 200; ++i) text += str(i, ",", i < 150 ? 0 : i, "\n");
  const std::string path = folder.write("t.csv", text);
  const Dataset d = load(path, {.split_by = "ordered:g", .types = "i=integer"});
  BOOST_TEST(d.notes.empty());  // the large group is in the training part
  const std::string late = folder.write(
      "u.csv", "i,g\n" + [] {
        std::string rows;
        for (int i = 0; i < 200; ++i) rows += str(i, ",", i < 50 ? i : 1000, "\n");
        return rows;
      }());
  const Dataset u = load(late, {.split_by = "ordered:g", .types = "i=integer"});
  BOOST_REQUIRE(u.notes.size() == 1);
  BOOST_TEST(u.notes[0].find(str(u.train.size(), " / ", u.valid.size(), " / 150 rows")) !=
             std::string::npos);
  BOOST_TEST(u.notes[0].find("160 / 20 / 20 were meant") != std::string::npos, u.notes[0]);
  BOOST_TEST(u.notes[0].find("the largest has 150 rows") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(rows_know_their_place_in_the_file) {
  const TempFolder folder;
  const std::string path = sorted_table(folder, 100);
  const std::string test = folder.write("t.csv", "i,g\n2000,1\n2001,2\n");
  for (const LoadOptions& options :
       {LoadOptions{}, LoadOptions{.split_by = "g"}, LoadOptions{.in_file_order = true},
        LoadOptions{.train = 20, .valid = 3, .test = 2}}) {
    const Dataset d = load(path, options);
    for (const Split* part : {&d.train, &d.valid, &d.test}) {  // the first column is the row
      BOOST_CHECK(part->numbers.to_vector<std::int32_t>() == numbers(*part));
    }
  }
  const Dataset d = load(path, {.test_data = test});
  BOOST_CHECK((d.test.numbers.to_vector<std::int32_t>() == std::vector<std::int32_t>{0, 1}));
  BOOST_TEST(d.test_file == test);
  BOOST_TEST(!load("moons", {.train = 5}).train.numbers.defined());
}

BOOST_AUTO_TEST_CASE(too_few_groups_and_columns_that_are_not_there) {
  const TempFolder folder;
  const std::string path = folder.write("t.csv", "a,g\n1,x\n2,x\n3,y\n4,y\n");
  check_error([&] { load(path, {.valid = 1, .test = 1, .split_by = "g"}); },
              {"2 groups of rows", "--valid 0"});
  BOOST_CHECK_EQUAL(load(path, {.valid = 0, .test = 1, .split_by = "g"}).test.size(), 1);
  check_error([&] { load(path, {.split_by = "h"}); }, {"no column 'h'", "split_by"});
  check_error([&] { load("moons", {.split_by = "g"}); }, {"split_by is for files"});
  check_error([&] { load("glyphs", {.layout = "last"}); }, {"layout is for files"});
}

BOOST_AUTO_TEST_CASE(parts_from_files_of_their_own) {
  const TempFolder folder;
  const std::string path = sorted_table(folder, 100);
  const std::string valid = folder.write("v.csv", "g,i\n1,1000\n2,1001\n");
  const std::string test = folder.write("t.csv", "i,g\n2000,1\n2001,2\n2002,3\n");
  const Dataset d = load(path, {.valid_data = valid, .test_data = test});
  BOOST_CHECK_EQUAL(d.train.size(), 100);
  BOOST_CHECK(numbers(d.valid) == (std::vector<int>{1000, 1001}));  // by name
  BOOST_CHECK(numbers(d.test) == (std::vector<int>{2000, 2001, 2002}));
  BOOST_CHECK(d.cut.find("v.csv") != std::string::npos && d.cut.find("t.csv") != std::string::npos);
  BOOST_CHECK_EQUAL(d.checksum, load(path).checksum);
  const Dataset half = load(path, {.test_data = test});
  BOOST_CHECK(half.train.size() == 90 && half.valid.size() == 10 && half.test.size() == 3);
  check_error([&] { load(path, {.test_data = folder.write("w.csv", "i,h\n1,2\n")}); },
              {"no column 'g'"});
  check_error([&] { load(path, {.test_data = folder.path("none")}); },
              {"test_data", "no such file"});
}

// --- types --------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(whole_numbers_are_noted_unless_they_are_known) {
  const TempFolder folder;
  const std::string path =
      folder.write("t.csv", "count,size,big\n1,0.5,1e300\n2,1.5,2\n-3,2.5,3\n4,3.5,4.5\n");
  check_error([&] { load(path); }, {"'1e300' is not a finite number of 32 bits"});
  const std::string good =
      folder.write("t.csv", "count,size,big\n1,0.5,1e20\n2,1.5,2\n-3,2.5,3\n4,3.5,4.5\n");
  const Dataset d = load(good, {.valid = 0, .test = 0});
  BOOST_TEST(d.whole == std::vector<std::string>{"count"});
  BOOST_TEST(advice_on_types(d).find("column 'count'") != std::string::npos);
  BOOST_TEST(advice_on_types(d).find("--types count=integer") != std::string::npos);
  BOOST_TEST(with_guessed_types(d, "size=real") == "size=real,count=integer");
  for (const char* said : {"count=integer", " count =integer", "count=real", "\"count\"=integer"}) {
    BOOST_TEST(load(good, {.types = said}).whole.empty(), said);
  }
  check_error([&] { load(good, {.types = "size=integer"}); }, {"'size'", "not whole"});
  check_error([&] { load(good, {.types = "cuont=integer"}); }, {"'cuont'", "did you mean 'count'"});
  const std::pair<const char*, std::vector<std::string>> wrong[] = {
      {"count=whole", {"'count=whole' is not COLUMN=real, integer"}},
      {"count", {"'count' is not COLUMN=real, integer"}},
      {"size=bounded:0", {"is not COLUMN="}},
      {"size=bounded:a:1", {"'a' is no bound"}},
      {"size=bounded:2:1", {"between 2 and 1 there is nothing"}},
      {"size=bounded::", {"has no bound; say COLUMN=real"}},
      {"size=bounded:0.5:4",
       {"'size'", "between 0.5 and 4", "1 of its numbers", "the first is 0.5"}},
      {"size=bounded::3", {"between -inf and 3", "the first is 3.5"}},
  };
  for (const auto& [types, says] : wrong) {
    check_error([&, types = types] { load(good, {.valid = 0, .test = 0, .types = types}); }, says);
  }
  BOOST_TEST(load(good, {.types = "count=category"}).categories[0] ==
             (std::vector<std::string>{"-3", "1", "2", "4"}));
  const Dataset bounded = load(good, {.types = "size=bounded:0:4,count=bounded:-3.5:"});
  BOOST_TEST(bounded.whole.empty());
  // A trained model gives what is beyond its bounds the density 0: that is no error of a file.
  load(good, {.types = "size=bounded:1:2", .of_run = true});
}

BOOST_AUTO_TEST_CASE(types_are_told_apart) {
  const std::vector<ColumnType> types =
      column_types("\"a,b\"=bounded:-1.5:, c = integer ,d=bounded::2e3", {"a,b", "c", "d", "e"}, 4);
  BOOST_TEST((types[0].low == -1.5 && std::isinf(types[0].high) && !types[0].integer));
  BOOST_TEST(types[1].integer);
  BOOST_TEST((std::isinf(types[2].low) && types[2].high == 2000));
  BOOST_TEST((!types[3].bounded() && !types[3].integer));
  BOOST_TEST(type_in_words(types[0]) == "above -1.5");
  BOOST_TEST(type_in_words(types[2]) == "below 2000");
  BOOST_TEST(types[0].holds(0));
  BOOST_TEST(!types[0].holds(-1.5));
}

BOOST_AUTO_TEST_CASE(constant_columns_are_named_all_at_once) {
  Dataset d;
  d.name = "t.csv";
  d.dims = 4;
  d.columns = {"a", "b", "c", "d"};
  d.train.x = Tensor::from<double>({1, 5, 7, 1, 2, 5, 7, 1}, {2, 4});
  d.valid.x = Tensor::from<double>({3, 5, 7, 2}, {1, 4});
  check_error([&] { check_varies(d, ""); },
              {"constant in all of 't.csv'", "'b', 'c'", "--columns"});
  check_varies(d, "b=integer,c=integer,d=integer");
  BOOST_CHECK(d.spread.empty() && d.notes.empty());
  // What varies in the file is no error of its owner: 1, 1 in training, 2 in validation.
  check_varies(d, "b=integer,c=integer");
  BOOST_REQUIRE(d.spread.size() == 4 && d.notes.size() == 1);
  BOOST_CHECK_CLOSE_FRACTION(d.spread[3], std::sqrt(2.0 / 9), 1e-12);
  BOOST_CHECK(d.spread[0] == 0 && d.spread[1] == 0 && d.spread[2] == 0);
  BOOST_TEST(d.notes[0].find("column 'd' is constant in the 2 training rows") != std::string::npos);
  BOOST_TEST(d.notes[0].find("its scale is that of all rows") != std::string::npos);
  check_varies(d, "b=integer,c=integer", /*scaled=*/false);
  BOOST_TEST(d.notes[1].find("scale") == std::string::npos, d.notes[1]);
  BOOST_TEST(d.notes[1].find("--preprocess standard") != std::string::npos, d.notes[1]);
}

BOOST_AUTO_TEST_SUITE_END()
