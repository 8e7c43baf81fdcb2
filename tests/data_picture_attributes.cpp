// What a table beside pictures says of them, as what is given to a model.
#include <filesystem>

#include "data/formats.h"
#include "data/source.h"
#include "tests/data_util.h"
#include "tests/picture_makers.h"

using namespace nf;
using namespace nf::data;
using namespace nf::test;

namespace {

/// Four pictures, level i in i.png, two of them in a folder.
void write_four(const TempFolder& folder) {
  std::filesystem::create_directory(folder.path("more"));
  for (int i = 0; i < 4; ++i) {
    folder.write((i < 2 ? "" : "more/") + str(i, ".png"), gray_png(1, 1, i));
  }
}

Dataset in_order(const TempFolder& folder, const std::string& given, bool skip_bad = false) {
  return load(folder.path(),
              {.valid = 0, .test = 0, .in_file_order = true, .given = given, .skip_bad = skip_bad});
}

}  // namespace

BOOST_AUTO_TEST_SUITE(data_picture_attributes)

BOOST_AUTO_TEST_CASE(columns_are_found_by_the_names_of_files) {
  const TempFolder folder;
  write_four(folder);
  folder.write(
      "attributes.csv",
      "file,text,a,b\n"
      "more/3.png,x,30,-3\n0.png,y,0,0.5\nunused.png,z,7,7\n1.png,x,10,-1\n2.png,x,20,-2\n");
  const Dataset d = in_order(folder, "b,a");
  BOOST_TEST(d.given == std::vector<std::string>({"b", "a"}), boost::test_tools::per_element());
  BOOST_TEST((d.given_classes == 0 && d.dims == 1 && d.notes.size() == 1));
  BOOST_TEST(d.train.x.to_vector<std::uint8_t>() == std::vector<std::uint8_t>({0, 1, 2, 3}),
             boost::test_tools::per_element());
  BOOST_TEST(
      d.train.given.to_vector<double>() == std::vector<double>({.5, 0, -1, 10, -2, 20, -3, 30}),
      boost::test_tools::per_element());
  // However they are cut, they stay with their pictures.
  const Dataset cut = load(folder.path(), {.valid = 1, .test = 1, .given = "a"});
  for (const Split* part : {&cut.train, &cut.valid, &cut.test}) {
    for (std::int64_t i = 0; i < part->size(); ++i) {
      BOOST_TEST(part->given.narrow(0, i, 1).to_vector<double>().at(0) ==
                 10 * part->x.narrow(0, i, 1).to_vector<std::uint8_t>().at(0));
    }
  }
  const std::string before = d.checksum;
  folder.write("attributes.csv", "file,a,b\n0.png,0,0.5\n1.png,10,-1\n2.png,20,-2\n3.png,30,-4\n");
  BOOST_TEST(in_order(folder, "b,a").checksum != before);
}

BOOST_AUTO_TEST_CASE(tables_as_other_programs_write_them) {
  for (const char* table : {"\xEF\xBB\xBF"
                            "file,a\n./0.png,5\n1.png,1\n2.png,1\n./more/3.png,1\n",
                            "\"file, name\",a\n0.png,5\n1.png,1\n2.png,1\n3.png,1\n"}) {
    const TempFolder folder;
    write_four(folder);
    folder.write("attributes.csv", table);
    BOOST_TEST(
        in_order(folder, "a").train.given.to_vector<double>() == std::vector<double>({5, 1, 1, 1}),
        boost::test_tools::per_element());
  }
}

BOOST_AUTO_TEST_CASE(tables_that_do_not_fit) {
  struct Row {
    const char* table;
    const char* given;
    std::string rule;
  };
  const Row rows[] = {
      {"", "a", "attributes.csv"},
      {"file,a\n0.png,1\n1.png,1\n2.png,1\n", "a", "more/3.png' has no row in"},
      {"file,a\n0.png,1\n1.png,1\n0.png,1\n", "a", "two rows of '0.png'"},
      {"file,alpha\n0.png,1\n", "alpa", "did you mean 'alpha'?; it has alpha"},
      {"file,a\n0.png,no\n", "a", "'no' is not a number; what is given with pictures is numbers"},
      {"file,a\n0.png,\n", "a", "leave these lines out; what is given with"},
      {"0.png,1\n1.png,1\n2.png,1\n3.png,1\n", "a", "must have names, as file,a,b"},
  };
  for (const Row& row : rows) {
    BOOST_TEST_CONTEXT(row.rule) {
      const TempFolder folder;
      write_four(folder);
      if (*row.table) folder.write("attributes.csv", row.table);
      check_error([&] { in_order(folder, row.given); }, {folder.path(), row.rule});
    }
  }
  const TempFolder folder;
  write_four(folder);
  folder.write("attributes.csv", "file,a\n0.png,1\n1.png,2\n2.png,3\n");
  const Dataset d = in_order(folder, "a", /*skip_bad=*/true);
  BOOST_TEST((d.skipped == 1 && d.train.size() == 3));
  BOOST_TEST(d.train.given.to_vector<double>() == std::vector<double>({1, 2, 3}),
             boost::test_tools::per_element());
  // Not asked for, it is not read.
  BOOST_TEST(in_order(folder, "").train.size() == 4);
}

BOOST_AUTO_TEST_SUITE_END()
