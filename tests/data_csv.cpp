// Tables as text: what is told by the content, and hostile files.
#include "data/csv.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <sstream>

#include "tests/data_util.h"

using namespace nf;
using namespace nf::data;
using namespace nf::test;

namespace {

Table parse(const std::string& text) {
  const TempFolder folder;
  return read_csv(folder.write("t.csv", text));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(data_csv)

BOOST_AUTO_TEST_CASE(separators_headers_and_quotes_are_told_by_the_content) {
  using Names = std::vector<std::string>;
  using Rows = std::vector<double>;
  struct Case {
    const char* what;
    std::string text;
    Names columns;
    Rows values;
  };
  const Case cases[] = {
      {"comma", "a,b\n1,2\n3,4\n", {"a", "b"}, {1, 2, 3, 4}},
      {"no header", "1,2\n3,4\n", {"1", "2"}, {1, 2, 3, 4}},
      {"one row", "1,2", {"1", "2"}, {1, 2}},
      {"semicolon", "a;b, c\n1;2\n", {"a", "b, c"}, {1, 2}},
      {"tab", "a b\tc\n1\t2\n", {"a b", "c"}, {1, 2}},
      {"spaces", "  1   2 \n 3 4\n", {"1", "2"}, {1, 2, 3, 4}},
      {"one column", "all of it\n1\n2\n", {"all of it"}, {1, 2}},
      {"spaces around", " a , b \n 1 , 2 \n", {"a", "b"}, {1, 2}},
      {"CRLF and a byte order mark",
       "\xEF\xBB\xBF"
       "a,b\r\n1,2\r\n",
       {"a", "b"},
       {1, 2}},
      {"CR alone", "a,b\r1,2\r\r3,4\r", {"a", "b"}, {1, 2, 3, 4}},
      {"comments", "# made on Monday\n#\na,b\n1,2\n", {"a", "b"}, {1, 2}},
      {"comments, no names", "# made, on Monday, by us\n1,2\n", {"1", "2"}, {1, 2}},
      {"comments with quotes", "# \"so, \n1 2\n", {"1", "2"}, {1, 2}},
      {"names after #", "# a comment\n# a,b\n1,2\n", {"# a", "b"}, {1, 2}},
      {"names with #", "#id,b\n1,2\n", {"#id", "b"}, {1, 2}},
      {"empty lines", "\n\na,b\n\n1,2\n \n\n3,4\n\n", {"a", "b"}, {1, 2, 3, 4}},
      {"quotes", "\"a, \"\"b\"\"\", \"c\" \n\"1\",2\n", {"a, \"b\"", "c"}, {1, 2}},
      {"an unnamed column", ",b\n1,2\n", {"1", "b"}, {1, 2}},
      {"numbers",
       "x\n1e3\n-.5\n+2.\n1e-50\n3.4e38\n1700000000.25\n",
       {"x"},
       {1000, -.5, 2, 1e-50, 3.4e38, 1700000000.25}},
      {"numbers that are too small are 0", "x\n1e-400\n-1e-999\n", {"x"}, {0, 0}},
      {"names in UTF-8", "gr\u00F6\u00DFe\n1\n", {"gr\u00F6\u00DFe"}, {1}},
      {"names in Windows-1252",
       "gr\xF6\xDF"
       "e;\x80\n1;2\n",
       {"gr\u00F6\u00DFe", "\u20AC"},
       {1, 2}},
  };
  for (const Case& c : cases) {
    BOOST_TEST_CONTEXT(c.what) {
      const Table table = parse(c.text);
      BOOST_CHECK(table.columns == c.columns);
      BOOST_CHECK(table.values.to_vector<double>() == c.values);
      BOOST_CHECK_EQUAL(table.values.dim(1), static_cast<std::int64_t>(c.columns.size()));
    }
  }
}

BOOST_AUTO_TEST_CASE(gzipped_tables_are_read) {
  std::string text = "a,b\n";
  for (int i = 0; i < 30000; ++i) text += str(i, ",", i % 7, "\n");
  const Table table = parse(gzip(text));
  BOOST_CHECK_EQUAL(table.values.shape(), Shape({30000, 2}));
  BOOST_CHECK_EQUAL(table.values.narrow(0, 29999, 1).narrow(1, 0, 1).item(), 29999);
}

BOOST_AUTO_TEST_CASE(columns_are_chosen_and_groups_told) {
  const TempFolder folder;
  const std::string path = folder.write("t.csv", "id,town,a,b\n7,K\xF6ln,1,2\n8,\"B, onn\",3,4\n");
  const Table two = read_csv(path, {.columns = {"b", "a"}, .split_by = "town"});
  BOOST_CHECK((two.columns == std::vector<std::string>{"b", "a"}));
  BOOST_CHECK((two.values.to_vector<double>() == std::vector<double>{2, 1, 4, 3}));
  BOOST_CHECK((two.groups == std::vector<std::string>{"K\u00F6ln", "B, onn"}));
  const Table rest = read_csv(path, {.split_by = "town"});
  BOOST_CHECK((rest.columns == std::vector<std::string>{"id", "a", "b"}));
  BOOST_CHECK(read_csv(path, {.columns = {"a"}, .split_by = "none", .may_lack_split_by = true})
                  .groups.empty());
  BOOST_CHECK(
      (read_csv(path, {.columns = {"b", " a "}}).columns == std::vector<std::string>{"b", "a"}));
  check_error([&] { read_csv(path, {.columns = {"aa"}}); },
              {"no column 'aa'", "columns", "did you mean 'a'"});
  try {
    read_csv(path, {.columns = {"temperature"}});
    BOOST_ERROR("a column that is not there");
  } catch (const Error& error) {
    BOOST_TEST(std::string(error.what()).find("did you mean") == std::string::npos, error.what());
  }
  check_error([&] { read_csv(path, {.columns = {"a", "b", "a"}}); }, {"'a' is named twice"});
  check_error([&] { read_csv(path, {.columns = {"a"}, .split_by = "twon"}); },
              {"no column 'twon'", "split_by", "'town'"});
  check_error([&] { read_csv(path); },
              {"line 2, column 2 ('town')", "--drop town", "--label town"});
}

BOOST_AUTO_TEST_CASE(columns_are_dropped_and_labels_told) {
  using Names = std::vector<std::string>;
  const TempFolder folder;
  const std::string path =
      folder.write("t.csv", "id,town,a,b\n7,K\xF6ln,1,2\n8,Bonn,3,4\n9,Bonn,5,6\n");
  const Table table = read_csv(path, {.drop = {"id"}, .label = "town"});
  BOOST_CHECK((table.columns == Names{"a", "b"}));
  BOOST_CHECK((table.classes == Names{"Bonn", "K\u00F6ln"}));
  BOOST_CHECK((table.labels.to_vector<std::int32_t>() == std::vector<std::int32_t>{1, 0, 0}));
  const Table known =
      read_csv(path, {.drop = {"id"}, .label = "town", .class_names = {"X", "K\u00F6ln", "Bonn"}});
  BOOST_CHECK((known.labels.to_vector<std::int32_t>() == std::vector<std::int32_t>{1, 2, 2}));
  const Table alone = read_csv(path, {.label = "town", .labels_alone = true});
  BOOST_TEST(!alone.values.defined());
  BOOST_TEST(alone.labels.numel() == 3);
  // Numbers in the order of their size.
  const Table numbers = read_csv(folder.write("n.csv", "y,a\n10,1\n9,2\n-1,3\n"), {.label = "y"});
  BOOST_CHECK((numbers.classes == Names{"-1", "9", "10"}));
  const Table bare =
      read_csv(folder.write("p.csv", "10,1,2\n9,2,3\n"), {.drop = {"3"}, .label = "1"});
  BOOST_CHECK((bare.columns == Names{"2"}));
  // A run takes what it knows, in the order of the file.
  const Table some = read_csv(path, {.may_lack_split_by = true, .known = {"b", "a"}});
  BOOST_CHECK((some.columns == Names{"a", "b"}));
  BOOST_REQUIRE(some.notes.size() == 1U);
  BOOST_TEST(some.notes[0].find("does not know column 'id', 'town', which") != std::string::npos);
  const std::pair<ReadOptions, Names> wrong[] = {
      {{.drop = {"ib"}}, {"no column 'ib', which drop names", "did you mean 'id'"}},
      {{.columns = {"a"}, .drop = {"a"}}, {"'a' is named in columns or given, and also in drop"}},
      {{.label = "twon"}, {"no column 'twon', which label names"}},
      {{.drop = {"id", "a", "b"}, .label = "town"}, {"no columns are left"}},
      {{.drop = {"id"}, .label = "town", .class_names = {"Bonn", "Berlin"}},
       {"line 2: 'K\u00F6ln' is no label of the model", "Bonn, Berlin"}},
  };
  for (const auto& [options, says] : wrong) {
    check_error([&, options = options] { read_csv(path, options); }, says);
  }
  std::string many = "y,a\n";
  for (int i = 0; i < 1001; ++i) many += str(i, ".5,1\n");
  check_error([&] { read_csv(folder.write("m.csv", many), {.label = "y"}); },
              {"has 1001 different values"});
  check_error([&] { read_csv(folder.write("l.csv", "y,a\nA,1\n,2\n"), {.label = "y"}); },
              {"line 3, column 1 ('y'): the number is missing"});
}

BOOST_AUTO_TEST_CASE(rows_that_lack_a_number_are_left_out_when_asked_for) {
  const TempFolder folder;
  const std::string text = "a,b,c\n1,2,x\nNA,3,x\n4,,x\n5,6,\n-99,7,x\n";
  const std::string path = folder.write("t.csv", text);
  const Table table =
      read_csv(path, {.drop = {"c"}, .missing_words = {"-99"}, .drop_missing = true});
  BOOST_CHECK((table.values.to_vector<double>() == std::vector<double>{1, 2, 5, 6}));
  BOOST_CHECK((table.numbers.to_vector<std::int32_t>() == std::vector<std::int32_t>{0, 3}));
  BOOST_TEST(table.dropped == 3);
  BOOST_REQUIRE(table.notes.size() == 1U);
  BOOST_TEST(table.notes[0].find("3 of 5 rows lack a number and are left out, the first in line 3, "
                                 "column 'a'") != std::string::npos);
  check_error([&] { read_csv(path, {.drop = {"c"}}); },
              {"line 3, column 1 ('a'): the number is missing ('NA')",
               "line 4, column 2 ('b'): the number is missing", "--missing drop", "--drop a,b"});
  check_error(
      [&] {
        read_csv(path, {.drop = {"b", "c"}, .missing_words = {"-99"}});
      },
      {"line 3, column 1 ('a'): the number is missing ('NA')"});
  check_error([&] { read_csv(path, {.columns = {"a"}, .missing_words = {"1"}}); },
              {"line 2, column 1 ('a'): the number is missing ('1')"});
  check_error([&] { read_csv(folder.write("n.csv", "a,b\n1,NA\n2,NA\n"), {.drop_missing = true}); },
              {"each of its 2 rows lacks a number", "'b'", "--drop"});
}

BOOST_AUTO_TEST_CASE(decimal_commas_are_told_by_the_first_number_that_has_a_mark) {
  struct Case {
    std::string text;
    std::vector<double> values;
    std::string form;
  };
  const Case cases[] = {
      {"a;b\n1,5;2\n1;-3,25\n",
       {1.5, 2, 1, -3.25},
       "columns between semicolons, a header, decimal commas"},
      {"1;2,5\n3;4\n", {1, 2.5, 3, 4}, "columns between semicolons, no header, decimal commas"},
      {"1,5\t2e1\n,5\t3\n", {1.5, 20, 0.5, 3}, "columns between tabs, no header, decimal commas"},
      {"a|\"b\"\n1|2.5\n", {1, 2.5}, "columns between vertical bars, a header, quotes"},
      {"a,b\n1,2.5\n", {1, 2.5}, "columns between commas, a header"},
      {"a\n1\n", {1}, "one column, a header"},
  };
  for (const Case& c : cases) {
    BOOST_TEST_CONTEXT(c.text) {
      const Table table = parse(c.text);
      BOOST_CHECK(table.values.to_vector<double>() == c.values);
      BOOST_TEST(table.form == c.form);
      const bool comma = c.form.find("decimal") != std::string::npos;
      BOOST_TEST(table.notes.size() == (comma ? 1U : 0U));
      if (comma)
        BOOST_TEST(table.notes[0].find("commas are taken for decimal points") != std::string::npos);
    }
  }
}

BOOST_AUTO_TEST_CASE(names_that_are_no_utf8_are_told) {
  const TempFolder folder;
  const std::string path = folder.write("t.csv",
                                        "gr\xF6\xDF"
                                        "e\n1\n");
  const Table table = read_csv(path);
  BOOST_REQUIRE(table.notes.size() == 1);
  BOOST_TEST(table.notes[0].find("Windows-1252") != std::string::npos);
  BOOST_TEST(read_csv(folder.write("u.csv", "gr\u00F6\u00DFe\n1\n")).notes.empty());
}

BOOST_AUTO_TEST_CASE(what_was_decided_is_noted) {
  struct Case {
    std::string text, note;  ///< none: ""
  };
  const Case cases[] = {
      {"a,b\n1,2\n3,4\n", ""},
      {"#id,b\n1,2\n", ""},
      {"# one\na,b\n1,2\n", "': 1 line of comments (#) at the beginning left out"},
      {"# one\n\n# two\n# a,b\n1,2\n", "': 2 lines of comments"},
      {"0,1,2\n0.5,1,7\n",
       "': the first line, 0,1,..., is taken for a row; if it names the columns, delete it, or "
       "give "
       "them names that are no numbers"},
      {"2019,2020,2021\n12,40,7\n13,41,8\n", "the first line, 2019,2020,..., is taken for a row"},
      {"\"1\",\"2\"\n5,9\n", "the first line, 1,2, is taken for a row"},
      {"3,2,1\n4,8,7\n", "the first line, 3,2,..., is"},
      {"1990,2000,2010\n12,40,7\n", "the first line, 1990,2000,..., is"},
      {"1990,2000\n12,40\n", ""},
      {"10,20,30\n20,30,40\n", ""},
      {"5,5,5\n12,40,7\n", ""},
      {"1,2,3\n", ""},
      {"2019,2020\n0.5,1\n2,3\n", "the first line, 2019,2020, is"},
      {"0,1,2\n1,2,3\n", ""},
      {"0,1,3\n0.5,2,3\n", ""},
      {"a,b,c\n0,1,2\n0.5,2,3\n", ""},
      {"0\n0.5\n", ""},
  };
  for (const Case& c : cases) {
    BOOST_TEST_CONTEXT(c.text) {
      const Table table = parse(c.text);
      BOOST_TEST_REQUIRE(table.notes.size() == (c.note.empty() ? 0U : 1U));
      if (!c.note.empty()) BOOST_TEST(table.notes[0].find(c.note) != std::string::npos);
    }
  }
}

BOOST_AUTO_TEST_CASE(hostile_files_get_one_clear_line) {
  struct Case {
    std::string text, rule;
  };
  std::string wide;
  for (int i = 0; i <= 1 << 16; ++i) wide += "1,";
  const Case cases[] = {
      {"", "holds no rows"},
      {"\n \n\t\n", "holds no rows"},
      {"a,b\n", "holds no rows"},
      {"a,b\n1,2\n3\n", "line 3: 1 columns, the lines before have 2"},
      {"a,b\n1,2,3\n", "line 2: 3 columns, the lines before have 2"},
      {"1,2\n3,\n", "line 2, column 2: the number is missing"},
      {"1,2\n\n3,x\n", "line 3, column 2: 'x' is not a number"},
      {"1,x\n3,4\n", "line 1, column 2: 'x' is not a number"},
      {"a,b\nc,2\n",
       "line 2, column 1 ('a'): 'c' is not a number; leave the column out with "
       "--drop a, or make its values labels with --label a"},
      {"id,b\n1,\n", "line 2, column 2 ('b'): the number is missing; fill in the numbers"},
      // All columns at once, each with its first cell.
      {"a,b,c\n1,x,\nNA,y,2\n",
       "line 3, column 1 ('a'): the number is missing ('NA'); line 2, column 2 ('b'): 'x' is not a "
       "number; "
       "line 2, column 3 ('c'): the number is missing; fill in"},
      {"a;b\n1;2.5\n1;3,5\n", "'3,5' is not a number"},
      {"a;b\n1;2.5\n1;3,5\n", "write numbers with a point"},
      {"a;b\n1;2,5\n1;3.5\n", "'3.5' has a point, where numbers before have a decimal comma"},
      {"a;b\n1;1.234,5\n", "'1.234,5' is not a number"},
      {"a,b\n1,\"3,5\"\n", "'3,5' is not a number"},
      {"1,2,3,4,5,6,7,8,9,10\na,b,c,d,e,f,g,h,i,j\n",
       "'h' is not a number; and in 2 more columns;"},
      {"day,b\n2024-01-31,2\n",
       "column 1 ('day'): '2024-01-31' is not a number but a date or time"},
      {"day,b\n13.7.2024,2\n", "'13.7.2024' is not a number but a date"},
      {"at,b\n12:30,2\n", "'12:30' is not a number but a date or time"},
      {"\xFF\xFE"
       "a\0,\0",
       "UTF-16 text; save it as UTF-8"},
      {"1,2\n\x1B[31m,4\n", "line 2: byte 27 is not text"},
      {"1,2\n\u202E,4\n", "'\\u202e' is not a number"},
      {"1,2\n3,NaN\n", "line 2, column 2: the number is missing ('NaN'); fill in the numbers"},
      {"# only\n# comments", "holds no rows"},
      {"1,2\n-inf,4\n", "line 2, column 1: '-inf' is not a finite number"},
      {"1,2\n1e39,4\n", "line 2, column 1: '1e39' is not a finite number of 32 bits"},
      {"1,2\n1e999,4\n", "'1e999' is not a finite number"},
      {"1,2\n3,0x10\n", "'0x10' is not a number"},
      {"1,2\n3,+-4\n", "'+-4' is not a number"},
      {"1,2\n3,4 5\n", "'4 5' is not a number"},
      {"1,2\n3," + std::string(1000, 'y'), "'yyyyyyyyyyyyyyyyyyyyyyyy...' is not a number"},
      {"a,\"b\n1,2\n", "line 1: a quote is not closed"},
      {"a,\"b\"c\n1,2\n", "line 1: text after a closing quote"},
      {std::string("1,2\n3,\0"
                   "4\n",
                   9),
       "line 2: byte 0 is not text"},
      {"\x89PNG\r\n\x1a\n", "is not text"},
      {wide, "line 1: more than 65536 columns"},
      {std::string((1 << 22) + 1, '1'), "line 1: 4194305 bytes; at most 4194304"},
      {gzip(std::string(30 << 20, '\n')), "unpacks to more than"},
      {gzip("1,2\n3,4\n").substr(0, 20), "cut off"},
  };
  const TempFolder folder;
  for (const Case& c : cases) {
    BOOST_TEST_CONTEXT(c.rule) {
      const std::string path = folder.write("hostile", c.text);
      check_error([&] { read_csv(path); }, {path, c.rule});
    }
  }
}

BOOST_AUTO_TEST_CASE(text_is_told_from_other_bytes) {
  BOOST_CHECK(looks_like_text("a,b\r\n1\t2"));
  BOOST_CHECK(
      looks_like_text("gr\xC3\xB6\xC3\x9F"
                      "e,b"));
  BOOST_CHECK(
      looks_like_text("\xFF\xFE"
                      "a"));  // UTF-16, which read_csv() refuses in words
  BOOST_CHECK(!looks_like_text(""));
  BOOST_CHECK(!looks_like_text(std::string_view("1,2\0", 4)));
}

// --- written -------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(what_is_written_reads_back_as_the_same_bits) {
  const TempFolder folder;
  const std::string path = folder.path("t.csv");
  const std::vector<std::vector<std::string>> all_names = {
      {"a", "b"},          {"a, b", "c;d"}, {"say \"x\"", "\""},      {" a", "b "},
      {"#first", "b"},     {"a\tb", "c d"}, {"gr\u00F6\u00DFe", "b"}, {"a", "2"},
      {"3 phases", "1e5x"}};
  const std::vector<double> values = {1e-300,
                                      -0.0,
                                      0.1,
                                      1.0 / 3,
                                      5e-324,
                                      -1e38,
                                      1e5,
                                      1700000000.125,
                                      123456789012345680,
                                      0x1p-1074 * 3,
                                      7,
                                      2.2250738585072014e-308};
  const Tensor wide = Tensor::from(values, {6, 2});
  const auto bits = [](const std::vector<double>& v) {
    std::vector<std::uint64_t> out;
    for (const double value : v) out.push_back(std::bit_cast<std::uint64_t>(value));
    return out;
  };
  for (const auto& names : all_names) {
    BOOST_TEST_CONTEXT(names[0]) {
      write_csv(path, names, wide);
      const Table table = read_csv(path);
      BOOST_CHECK(table.columns == names);
      BOOST_CHECK(bits(table.values.to_vector<double>()) == bits(values));
      BOOST_CHECK(table.notes.empty());
    }
  }
  write_csv(path, {"one, of them"}, wide.narrow(1, 0, 1));
  BOOST_CHECK(read_csv(path).columns[0] == "one, of them");
  // As f32: the shortest text of a float.
  const Tensor narrow = Tensor::from(
      std::vector<float>{0.1F, -0.0F, 1.17549435e-38F, 3.4028235e38F, 16777216, 1e-45F}, {3, 2});
  write_csv(path, {"a", "b"}, narrow);
  BOOST_TEST(bytes_of(path).starts_with("a,b\n0.1,-0\n"));
  const Tensor again = read_csv(path).values.to(DType::F32);
  for (std::int64_t i = 0; i < 6; ++i) {
    BOOST_TEST(std::bit_cast<std::uint32_t>(again.data<float>()[i]) ==
               std::bit_cast<std::uint32_t>(narrow.data<float>()[i]));
  }
}

BOOST_AUTO_TEST_CASE(whole_numbers_are_written_whole) {
  const TempFolder folder;
  const std::string path = folder.path("t.csv");
  write_csv(path, {"a", "n"}, Tensor::from(std::vector<double>{1e5, 1e5, 2, -0.0, 3, 1e23}, {3, 2}),
            {false, true});
  BOOST_TEST(bytes_of(path) == "a,n\n1e+05,100000\n2,0\n3,99999999999999991611392\n");
  write_csv(path, {"a"}, Tensor::full({1, 1}, 255, DType::U8));
  BOOST_TEST(bytes_of(path) == "a\n255\n");
}

BOOST_AUTO_TEST_CASE(what_could_not_be_read_back_is_not_written) {
  const TempFolder folder;
  const std::string path = folder.path("t.csv");
  const auto row = [](double value) {
    return Tensor::from(std::vector<double>{1, 2, 3, value}, {2, 2});
  };
  check_error([&] { write_csv(path, {"a", "b"}, row(NAN)); }, {"row 1, column 'b': nan", ".npy"});
  check_error(
      [&] {
        write_csv(path, {"a", "b"}, row(-INFINITY));
      },
      {"-inf is not a finite number"});
  check_error([&] { write_csv(path, {"a", "b"}, row(1e39)); }, {"1e+39"});
  check_error([&] { write_csv(path, {"a", "1.5"}, row(1)); }, {"'1.5' would be read as a number"});
  check_error([&] { write_csv(path, {"a", "nan"}, row(1)); }, {"'nan' would be read as a number"});
  check_error([&] { write_csv(path, {"a", "b\nc"}, row(1)); }, {"not text"});
  check_error([&] { write_csv(path, {"a"}, row(1)); }, {"rows of 1 columns"});
  BOOST_TEST(folder.files() == 0U);  // nothing is left of any of them
}

// --- line by line --------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(lines_give_the_rows_of_the_whole_file) {
  const std::string texts[] = {"a,b\n1,2\n3,4\n",
                               "1,2\n3,4\n",
                               "a;b, c\n1;2\n",
                               "\xEF\xBB\xBF"
                               "a,b\r\n1,2\r\n",
                               "# made on Monday\n#\na,b\n1,2\n",
                               "# a,b\n\n1,2\n  \n3,4\n",
                               "all of it\n1\n2\n",
                               "1,2,3\n5,9,7\n2,2,2\n",
                               "\"a, b\",\"say \"\"x\"\"\"\n1,2\n-0,1e-300\n",
                               "x,\"3 phases, y\"\n1,2\n"};
  for (const std::string& text : texts) {
    BOOST_TEST_CONTEXT(text) {
      const Table whole = parse(text);
      CsvLines lines("t.csv");
      std::vector<double> values;
      std::istringstream in(text);
      for (std::string line; std::getline(in, line);) {
        const std::vector<double> row = lines.row(line);
        values.insert(values.end(), row.begin(), row.end());
      }
      BOOST_CHECK(lines.columns() == whole.columns);
      BOOST_CHECK(values == whole.values.to_vector<double>());
      BOOST_TEST(lines.notes().size() == whole.notes.size());
      BOOST_TEST(lines.line_number() ==
                 static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')));
    }
  }
  CsvLines chosen("t.csv", {.columns = {"b"}, .split_by = "town"});
  BOOST_TEST(chosen.row("town,a,b").empty());
  BOOST_TEST(chosen.row("Bonn,x,2.5") == std::vector<double>{2.5});
}

BOOST_AUTO_TEST_CASE(many_lines_before_the_first_row_are_looked_at_once) {
  for (const std::string text : {"", "# x", "\r", " \t"}) {
    CsvLines lines("t.csv");
    for (int i = 0; i < 200'000; ++i) BOOST_REQUIRE(lines.row(text).empty());
    BOOST_TEST(lines.row("a,b").empty());
    for (int i = 0; i < 200'000; ++i) BOOST_REQUIRE(lines.row("").empty());
    BOOST_TEST(lines.row("1,2") == (std::vector<double>{1, 2}));
    BOOST_TEST(lines.columns() == (std::vector<std::string>{"a", "b"}));
    BOOST_TEST(lines.line_number() == 400'002U);
  }
}

BOOST_AUTO_TEST_CASE(a_bad_line_is_told_by_its_number) {
  struct Case {
    std::vector<std::string> good;
    std::string bad, says;
  };
  const Case cases[] = {{{"a,b", "1,2", "", "3,4"}, "5", "line 5: 1 columns, the lines before"},
                        {{"a,b", "1,2"}, "1,NaN", "line 3, column 2 ('b'): the number is missing"},
                        {{"a,b"}, "1,x", "line 2, column 2 ('b'): 'x' is not a number"},
                        {{}, "1,x", "line 1, column 2: 'x' is not a number"},
                        {{"a,b", "1,2"}, "\x1B[31m,4", "line 3: byte 27"},
                        {{"# \x1B"}, "a,b", "line 1: byte 27"},
                        {{"a,b", "1,2"}, "3,4\n5,6", "after line 2: lines end in \\r before"},
                        {{"1,2"}, std::string((1 << 22) + 1, '1'), "line 2: 4194305 bytes"}};
  for (const Case& c : cases) {
    CsvLines lines(kStandardInput);
    for (const std::string& line : c.good) lines.row(line);
    check_error([&] { lines.row(c.bad); }, {"'standard input', " + c.says});
  }
  CsvLines endless("t.csv");
  const std::string comment = "#" + std::string(4000000, 'x');
  BOOST_TEST(endless.row(comment).empty());
  BOOST_TEST(endless.row(comment).empty());
  check_error([&] { endless.row(comment); }, {"no row of numbers in the first"});
}

BOOST_AUTO_TEST_SUITE_END()
