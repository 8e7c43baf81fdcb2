// Rows of a CSV text, before anybody asks for numbers.
#include "data/csv_text.h"

#include "data/csv.h"
#include "tests/data_util.h"

using namespace nf;
using namespace nf::data;
using namespace nf::test;

BOOST_AUTO_TEST_SUITE(data_csv_text)

BOOST_AUTO_TEST_CASE(rows_go_on_while_quotes_are_open) {
  using Rows = std::vector<std::vector<std::string>>;
  struct Case {
    const char* what;
    std::string text;
    Rows rows;
  };
  const Case cases[] = {
      {"a break in quotes", "a,\"b\nc\"\n1,2", {{"a", "b\nc"}, {"1", "2"}}},
      {"several", "\"\n\n\",\"\n\"\n1,2", {{"\n\n", "\n"}, {"1", "2"}}},
      {"\\r\\n", "a,\"b\r\nc\"\r\n1,2\r\n", {{"a", "b\r\nc"}, {"1", "2"}}},
      {"quotes within quotes", "a,\"\"\"b\"\"\nc\"\n1,2", {{"a", "\"b\"\nc"}, {"1", "2"}}},
      {"an empty field in quotes", "\"\",b\n1,\"\"\n", {{"", "b"}, {"1", ""}}},
      {"quotes within a field are a part of it",
       "5\" a,b\"\"\n1,2\n",
       {{"5\" a", "b\"\""}, {"1", "2"}}},
      {"semicolons", "a;\"b;\n\"\n1;2\n", {{"a", "b;\n"}, {"1", "2"}}},
      {"spaces", "1 2\n4 \"5\n\"\n", {{"1", "2"}, {"4", "5\n"}}},
  };
  for (const Case& c : cases) {
    BOOST_TEST_CONTEXT(c.what) {
      CsvText text("t.csv", c.text);
      text.choose_separator();
      Rows rows;
      while (text.next()) {
        rows.emplace_back();
        text.split(rows.back());
      }
      BOOST_CHECK(rows == c.rows);
    }
  }
}

BOOST_AUTO_TEST_CASE(a_row_has_the_number_of_the_line_in_which_it_begins) {
  const std::string text = "a,note\n1,\"so\n\nit is\"\n\n2,\"x\"\n";
  CsvText rows("t.csv", text);
  rows.choose_separator();
  std::vector<std::size_t> begins, ends;
  while (rows.next()) {
    begins.push_back(rows.number());
    ends.push_back(rows.lines());
  }
  BOOST_CHECK((begins == std::vector<std::size_t>{1, 2, 6}));
  BOOST_CHECK((ends == std::vector<std::size_t>{1, 4, 6}));
}

BOOST_AUTO_TEST_CASE(what_is_wrong_names_the_line_in_which_a_row_begins) {
  struct Case {
    std::string text, rule;
  };
  const Case cases[] = {
      {"a,b\n1,2\n\"3\n\",\"x\n", "line 3: a quote is not closed"},
      {"a,b\n\"x\ny\",2\n3,x\n", "line 4, column 2 ('b'): 'x' is not a number"},
      {"a,b\n1,\"" + std::string(CsvText::kLongestRow + 9, '\n') + "\"\n",
       "line 2: a quote is not closed"},
      {"a,b\n1,\"\n\x01\"\n", "line 2: byte 1 is not text"},
  };
  const TempFolder folder;
  for (const Case& c : cases) {
    BOOST_TEST_CONTEXT(c.rule) {
      const std::string path = folder.write("t.csv", c.text);
      check_error([&] { read_csv(path, {.drop = {"a"}}); }, {path, c.rule});
    }
  }
}

BOOST_AUTO_TEST_CASE(a_column_of_texts_with_line_breaks_can_be_left_out) {
  const TempFolder folder;
  const std::string path = folder.write("t.csv", "a,note\n1,\"so\nit, is\"\n2,\"\n\"\n");
  const Table table = read_csv(path, {.drop = {"note"}, .lines = true});
  BOOST_CHECK((table.values.to_vector<double>() == std::vector<double>{1, 2}));
  BOOST_CHECK((table.lines == std::vector<std::int64_t>{2, 4}));
}

BOOST_AUTO_TEST_CASE(a_cell_with_a_line_break_is_written_in_quotes) {
  BOOST_TEST(csv_field("k\nz") == "\"k\nz\"");
  BOOST_TEST(csv_field("k\r") == "\"k\r\"");
  BOOST_TEST(csv_field("k z") == "k z");
}

BOOST_AUTO_TEST_SUITE_END()
