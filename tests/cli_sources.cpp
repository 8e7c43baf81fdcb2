// Rows of other sources than the run's: where their results go, and which of them were trained on.
#include <boost/test/unit_test.hpp>
#include <fstream>

#include "tensor/error.h"
#include "tests/cli_util.h"

using namespace nf::test;

BOOST_AUTO_TEST_SUITE(cli_sources)

namespace {

constexpr int kRows = 200;

std::string row(int i) {
  std::ostringstream text;
  text << i * 37 % 101 / 10.0 << "," << i * 53 % 97 / 10.0 + 0.05 << "\n";
  return text.str();
}

/// Rows `first` to `end` of the table, as a file.
std::string table(const ScratchFolder& folder, const std::string& name, int first, int end) {
  std::ofstream out(folder.file(name));
  out << "a,b\n";
  for (int i = first; i < end; ++i) out << row(i);
  return folder.file(name);
}

std::string train(const ScratchFolder& folder, const std::string& data) {
  const std::string run = folder.file("run");
  const Outcome trained = flowcli(
      folder, {"train", "realnvp-2d", "--data", data, "--out", run, "--couplings", "2",
               "--hidden-units", "4", "--steps", "20", "--batch-size", "50", "--threads", "1"});
  BOOST_TEST_REQUIRE(trained.status == 0, trained.err);
  return run;
}

nlohmann::json json_of(const ScratchFolder& folder, std::vector<std::string> call) {
  call.push_back("--json");
  const Outcome outcome = flowcli(folder, call);
  BOOST_TEST_REQUIRE(outcome.status == 0, outcome.err);
  return outcome.json();
}

}  // namespace

BOOST_AUTO_TEST_CASE(results_of_other_rows_have_names_of_their_own) {
  const ScratchFolder folder;
  const std::string own = table(folder, "own.csv", 0, kRows), run = train(folder, own);
  const std::string odd = table(folder, "a b; c.csv", 7, 40), valid = table(folder, "valid", 3, 40);
  struct Row {
    std::vector<std::string> more;
    std::string stem, data, split;
  };
  const Row rows[] = {
      {{}, "", own, "test"},
      {{"--split", "test"}, "", own, "test"},
      {{"--split", "valid"}, ".valid", own, "valid"},
      {{"--data", odd}, "-a_b__c", odd, "all"},
      {{"--data", odd, "--split", "train"}, "-a_b__c.train", odd, "train"},
      {{"--data", valid}, "-valid", valid, "all"},
      {{"--data", "csv:" + valid}, "-valid", valid, "all"},
  };
  for (const auto& [command, stem, ending] :
       {std::tuple{"score", "scores", ".csv"}, std::tuple{"encode", "latents", ".npy"}}) {
    for (const Row& row : rows) {
      std::vector<std::string> call = {command, run};
      call.insert(call.end(), row.more.begin(), row.more.end());
      const auto json = json_of(folder, call);
      const std::string file = run + "/" + stem + row.stem + ending;
      BOOST_TEST(json["file"] == file);
      BOOST_TEST(std::filesystem::exists(file), file);
      BOOST_TEST(json["data"] == row.data);
      BOOST_TEST(json["split"] == row.split);
    }
  }
}

// Sources of one name do not write over each other's results; each writes over its own.
BOOST_AUTO_TEST_CASE(sources_of_one_name_keep_their_results) {
  const ScratchFolder folder;
  const std::string run = train(folder, table(folder, "own.csv", 0, kRows));
  for (const char* place : {"a", "b", "x/b"}) {
    std::filesystem::create_directories(folder.file(place));
  }
  const std::string first = table(folder, "a/new.csv", 3, 40),
                    second = table(folder, "b/new.csv", 7, 40),
                    third = table(folder, "x/b/new.csv", 9, 40),
                    fourth = table(folder, "x/new.csv", 9, 40);
  struct Row {
    std::string data, name;
    int count;
    std::string note;  ///< none: ""
  };
  const Row rows[] = {
      {first, "new", 37, ""},
      {second, "b-new", 33, "/scores-new.csv is of " + first + "; these scores go to scores-b-new"},
      {second, "b-new", 33, "these scores go to scores-b-new"},
      {third, "x-b-new", 31, "these scores go to scores-x-b-new"},
      {folder.file("b/../a/new.csv"), "new", 37, ""},
      {"csv:" + first, "new", 37, ""},
  };
  const auto one_line = [](std::string err) {  // long lines are broken
    for (std::size_t at = 0; (at = err.find("\n    ", at)) != std::string::npos;) {
      err.replace(at, 5, " ");
    }
    return err;
  };
  for (const Row& row : rows) {
    const Outcome outcome = flowcli(folder, {"score", run, "--data", row.data, "--json"});
    BOOST_TEST_REQUIRE(outcome.status == 0, outcome.err);
    const std::string file = run + "/scores-" + row.name + ".csv", err = one_line(outcome.err);
    BOOST_TEST(outcome.json()["file"] == file);
    const std::string written = slurp(file);
    BOOST_TEST(std::count(written.begin(), written.end(), '\n') == row.count + 1);
    BOOST_TEST((err.find("scores go to") != std::string::npos) == !row.note.empty(), err);
    BOOST_TEST(err.find(row.note) != std::string::npos, err);
  }
  BOOST_TEST(json_of(folder, {"encode", run, "--data", second})["file"] ==
             run + "/latents-new.npy");  // of scores nothing is known there
  // A name is free again when its file is gone, for who has none yet.
  std::filesystem::remove(run + "/scores-new.csv");
  BOOST_TEST(json_of(folder, {"score", run, "--data", third})["file"] ==
             run + "/scores-x-b-new.csv");
  BOOST_TEST(json_of(folder, {"score", run, "--data", fourth})["file"] == run + "/scores-new.csv");
  std::ofstream(run + "/sources.json") << "[1]";
  const Outcome damaged = flowcli(folder, {"score", run, "--data", first});
  BOOST_TEST(damaged.status == 1);
  BOOST_TEST(damaged.err.find("sources.json") != std::string::npos, damaged.err);
}

// A file that holds part of the training rows is another file, but says little of new data.
BOOST_AUTO_TEST_CASE(training_rows_in_another_file_are_told) {
  const ScratchFolder folder;
  const std::string own = table(folder, "own.csv", 0, kRows), run = train(folder, own);
  const std::string part = table(folder, "part.csv", 0, 50),
                    other = table(folder, "other.csv", kRows, kRows + 30);
  // Where its test and validation rows are in the file.
  int trained_in_part = 50;
  for (const char* split : {"valid", "test"}) {
    std::istringstream lines(slurp(json_of(folder, {"score", run, "--split", split})["file"]));
    std::string line;
    std::getline(lines, line);
    while (std::getline(lines, line)) {
      trained_in_part -= std::stoi(line.substr(line.rfind(',') + 1)) < 50;
    }
  }
  BOOST_TEST_REQUIRE(trained_in_part > 30);
  const std::string note = std::to_string(trained_in_part) + " of the 50 rows of " + part +
                           " are also training rows of " + run;
  for (const std::vector<std::string>& call :
       {std::vector<std::string>{"eval", run, "--data", part},
        std::vector<std::string>{"score", run, "--data", part},
        std::vector<std::string>{"score", run, "--against", part}}) {
    const Outcome outcome = flowcli(folder, call);
    BOOST_TEST_REQUIRE(outcome.status == 0, outcome.err);
    std::string err = outcome.err;  // long lines are broken
    for (std::size_t at = 0; (at = err.find("\n    ", at)) != std::string::npos;) {
      err.replace(at, 5, " ");
    }
    BOOST_TEST(err.find(note) != std::string::npos, err);
  }
  BOOST_TEST(json_of(folder, {"eval", run, "--data", part})["trained_on"] == trained_in_part);
  BOOST_TEST(json_of(folder, {"eval", run, "--data", other})["trained_on"] == 0);
  BOOST_TEST(json_of(folder, {"eval", run})["trained_on"] == 0);
  BOOST_TEST(json_of(folder, {"eval", run, "--split", "train", "-n", "9"})["trained_on"] == 9);
  std::filesystem::remove(own);
  BOOST_TEST(json_of(folder, {"eval", run, "--data", part})["trained_on"].is_null());
}

BOOST_AUTO_TEST_CASE(copies_of_training_rows_are_told_where_rows_do_not_come_again_by_chance) {
  const ScratchFolder folder;
  std::string twice = "a,b\n", whole = "a,b\n";
  for (int i = 0; i < 400; ++i) {
    twice += nf::str(i % 100 * 37 % 101 / 7.0, ",", i % 100 * 53 % 97 / 7.0, "\n");
    whole += nf::str(i * 37 % 5, ",", i * 53 % 3, "\n");
  }
  for (const bool copies : {true, false}) {
    const std::string data = folder.file("t.csv"), run = folder.file("run");
    std::ofstream(data) << (copies ? twice : whole);
    const Outcome trained = flowcli(
        folder, {"train", "tabular", "--data", data, "--out", run, "--overwrite", "--threads", "1",
                 "--epochs", "1", "--hidden-units", "8", "--valid", "40", "--test", "40"});
    BOOST_TEST_REQUIRE(trained.status == 0, trained.err);
    BOOST_TEST((trained.err.find("40 test rows are copies of") != std::string::npos) == copies,
               trained.err);
    BOOST_TEST((json_of(folder, {"eval", run})["trained_on"] > 30) == copies);
  }
}

// Samples are written without names; whole numbers are told by name.
BOOST_AUTO_TEST_CASE(samples_of_a_run_with_whole_numbers_are_scored) {
  const ScratchFolder folder;
  const std::string run = folder.file("run"), samples = folder.file("samples.npy");
  std::ofstream out(folder.file("counts.csv"));
  out << "a,n\n";
  for (int i = 0; i < kRows; ++i) out << i * 37 % 101 / 10.0 << "," << i * 7 % 23 << "\n";
  out.close();
  for (const std::vector<std::string>& call : std::vector<std::vector<std::string>>{
           {"train", "realnvp-2d", "--data", folder.file("counts.csv"), "--types", "n=integer",
            "--steps", "5", "--hidden-units", "4", "--out", run},
           {"sample", run, "-n", "20", "--out", samples},
           {"score", run, "--data", samples}}) {
    const Outcome outcome = flowcli(folder, call);
    BOOST_TEST(outcome.status == 0, outcome.err);
  }
}

BOOST_AUTO_TEST_SUITE_END()
