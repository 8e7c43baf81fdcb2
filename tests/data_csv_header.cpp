// Which first lines of a table are names of its columns.
#include "data/csv_header.h"

#include <boost/test/unit_test.hpp>

#include "data/csv.h"
#include "tests/data_util.h"

BOOST_AUTO_TEST_SUITE(data_csv_header)

using namespace nf;
using namespace nf::data;

BOOST_AUTO_TEST_CASE(a_first_line_with_numbers_may_be_a_header) {
  struct Row {
    const char* first;
    const char* second;
    bool header;
  };
  const Row rows[] = {
      {"a,b", "1,2", true},
      {"town,2019,2020,2021", "Oslo,12,40,7", true},  // numbers that count
      {"town,2019,2020,2021", "Oslo,1,2,3", false},   // as the next line does
      {",0,1,2", "0,1.5,2.5,3.5", true},              // an index, as pandas writes it
      {",0.5,1,2", "0,1.5,2.5,3.5", false},           // a cell is missing
      {"id,age,2019", "7,31,0.5", true},              // text above numbers
      {"1.5,3..4,2.5,8", "1.5,3.4,2.5,8", false},     // a slip in a row
      {"NA,0,1,2", "3,1.5,2.5,3.5", false},           // a missing cell is no text
      {"Oslo,12,40,7", "Bergen,13,41,8", false},      //
      {"0,1,2", "0.5,3.25,1", false},                 // numbers alone are a row, with a note
      {"town,2019,2020", "Oslo,12", false},           // lines of unequal length say nothing
  };
  for (const Row& row : rows) {
    std::vector<std::string> lines[2];
    for (const int i : {0, 1}) {
      std::istringstream in(i == 0 ? row.first : row.second);
      for (std::string field; std::getline(in, field, ',');) lines[i].push_back(field);
    }
    BOOST_TEST(is_header(lines[0], lines[1], CellReader()) == row.header, row.first);
  }
}

BOOST_AUTO_TEST_CASE(a_dropped_column_leaves_the_header_a_header) {
  const test::TempFolder folder;
  const std::string path =
      folder.write("t.csv", "town,2019,2020,2021\nOslo,12,40,7\nBergen,13,41,8\n");
  const Table table = read_csv(path, {.drop = {"town"}});
  BOOST_TEST((table.columns == std::vector<std::string>{"2019", "2020", "2021"}));
  BOOST_TEST(table.values.dim(0) == 2);
}

// What a spreadsheet writes before the names, and advice that a shell takes as it stands.
BOOST_AUTO_TEST_CASE(a_line_that_names_the_separator_is_no_row) {
  const test::TempFolder folder;
  const std::string path = folder.write("t.csv", "sep=;\r\na;b\r\n1;2\r\n3;4\r\n");
  const Table table = read_csv(path);
  BOOST_TEST((table.columns == std::vector<std::string>{"a", "b"}));
  BOOST_TEST(table.values.dim(0) == 2);
  const std::string bad = folder.write("bad.csv", "sep=;\nid;size (cm)\n1;k.A.\n2;3\n");
  test::check_error([&] { read_csv(bad); },
                    {"line 3", "--drop 'size (cm)'", "'k.A.' is a missing number with --na"});
}

BOOST_AUTO_TEST_SUITE_END()
