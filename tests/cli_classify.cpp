// flowcli classify: the classifier of a run with --given label.
#include <boost/test/unit_test.hpp>

#include "cli_runs.h"

using namespace nf::test;

BOOST_AUTO_TEST_SUITE(cli_classify)

namespace {

nlohmann::json json_of(const Outcome& outcome) {
  expect_ok(outcome);
  return outcome.json();
}

std::vector<std::string> lines_in(const std::string& path) {
  std::istringstream in(slurp(path));
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

}  // namespace

BOOST_AUTO_TEST_CASE(densities_of_labels_classify) {
  const ScratchFolder folder;
  const std::string run = folder.file("run"), array = folder.file("new.npy");
  expect_ok(flowcli(folder, {"train",
                             "nice",
                             "--data",
                             "glyphs",
                             "--given",
                             "label",
                             "--train",
                             "1000",
                             "--valid",
                             "200",
                             "--test",
                             "200",
                             "--hidden-units",
                             "32",
                             "--hidden-layers",
                             "1",
                             "--epochs",
                             "3",
                             "--out",
                             run,
                             "--quiet",
                             "--seed",
                             "1",
                             "--threads",
                             "1"}));
  BOOST_TEST(config_of(run)["data"]["label_counts"].size() == 10);
  const auto json = json_of(flowcli(folder, {"classify", run, "--json"}));
  BOOST_TEST(json["accuracy"].get<double>() > 0.25);
  BOOST_TEST(json["count"] == 200);
  std::int64_t in_table = 0;
  for (const auto& row : json["confusion"]) {
    for (const auto& count : row) in_table += count.get<std::int64_t>();
  }
  BOOST_TEST(in_table == 200);
  const auto lines = lines_in(run + "/classes.csv");
  BOOST_TEST_REQUIRE(lines.size() == 201);
  BOOST_TEST(lines[0] == "row,label,predicted,p_0,p_1,p_2,p_3,p_4,p_5,p_6,p_7,p_8,p_9");

  const auto calmed = json_of(
      flowcli(folder, {"classify", run, "--json", "--calibrate", "--svg", folder.file("c.svg")}));
  BOOST_TEST(calmed["temperature"].get<double>() > 1);
  BOOST_TEST(calmed["cross_entropy"].get<double>() < json["cross_entropy"].get<double>());
  BOOST_TEST(slurp(folder.file("c.svg")).find("<svg") != std::string::npos);

  // Images without labels are classified too, but not judged.
  expect_ok(flowcli(folder, {"sample", run, "-n", "20", "--given", "3", "--out", array}));
  const auto unknown = json_of(flowcli(
      folder, {"classify", run, "--data", array, "--json", "--out", folder.file("new.csv")}));
  BOOST_TEST(!unknown.contains("accuracy"));
  const auto found = lines_in(folder.file("new.csv"));
  BOOST_TEST_REQUIRE(found.size() == 21);
  expect_failure(flowcli(folder, {"classify", run, "--data", array, "--svg", folder.file("d.svg")}),
                 {"[classify]", "has no labels"}, 2);
  expect_ok(flowcli(folder, tiny_training(folder.file("plain"), 1)));
  expect_failure(flowcli(folder, {"classify", folder.file("plain")}), {"is not given a label"}, 2);
}

BOOST_AUTO_TEST_SUITE_END()
