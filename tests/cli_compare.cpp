// flowcli compare: runs in one table, paired with the first where their rows are the same.
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>

#include "cli_util.h"
#include "nn/safetensors.h"

using namespace nf::test;
namespace fs = std::filesystem;

BOOST_AUTO_TEST_SUITE(cli_compare)

namespace {

void train(const ScratchFolder& folder, const std::string& run, int epochs,
           const std::string& option, const std::string& value) {
  auto arguments = tiny_training(run, epochs);
  *std::next(std::find(arguments.begin(), arguments.end(), option)) = value;
  const Outcome outcome = flowcli(folder, arguments);
  BOOST_TEST_REQUIRE(outcome.status == 0, outcome.err);
}

nlohmann::json table(const ScratchFolder& folder, std::vector<std::string> words) {
  words.insert(words.begin(), {"compare", "--json"});
  const Outcome outcome = flowcli(folder, words);
  BOOST_TEST_REQUIRE(outcome.status == 0, outcome.err);
  return outcome.json();
}

/// Column `nats` of what score writes.
std::vector<double> scores_of(const ScratchFolder& folder, const std::string& run) {
  const std::string path = folder.file("scores.csv");
  BOOST_TEST_REQUIRE(flowcli(folder, {"score", run, "--out", path}).status == 0);
  std::vector<double> scores;
  std::istringstream lines(slurp(path));
  std::string line;
  for (std::getline(lines, line); std::getline(lines, line);) {
    scores.push_back(std::stod(line.substr(line.find(',') + 1)));
  }
  return scores;
}

}  // namespace

BOOST_AUTO_TEST_CASE(runs_are_paired_with_the_first_on_the_same_rows) {
  const ScratchFolder folder;
  const std::string a = folder.file("a"), b = folder.file("b"), other = folder.file("other"),
                    fewer = folder.file("fewer");
  train(folder, a, 1, "--couplings", "2");
  train(folder, b, 3, "--couplings", "4");
  train(folder, other, 1, "--data", "rings");
  train(folder, fewer, 1, "--test", "200");
  const nlohmann::json rows = table(folder, {a, b, other, fewer});
  BOOST_TEST_REQUIRE(rows.size() == 4U);
  // Every row has the keys of eval, with its values.
  const nlohmann::json alone = flowcli(folder, {"eval", b, "--json"}).json();
  for (const auto& [key, value] : alone.items()) {
    if (key != "entropy") BOOST_TEST((rows[1][key] == value), key);
  }
  BOOST_TEST(rows[1]["run"] == b);
  BOOST_TEST(rows[1]["parameters"] ==
             flowcli(folder, {"inspect", b, "--json"}).json()["parameters"]);
  BOOST_TEST(rows[1]["seconds"].get<double>() > 0);
  BOOST_TEST(rows[0]["difference"] == 0.0);

  const std::vector<double> of_a = scores_of(folder, a), of_b = scores_of(folder, b);
  double mean = 0, squares = 0;
  const double n = static_cast<double>(of_a.size());
  BOOST_TEST_REQUIRE(of_a.size() == 300U);
  for (std::size_t i = 0; i < of_a.size(); ++i) mean += (of_b[i] - of_a[i]) / n;
  for (std::size_t i = 0; i < of_a.size(); ++i) squares += std::pow(of_b[i] - of_a[i] - mean, 2);
  const auto near = boost::test_tools::tolerance(1e-3);
  BOOST_TEST(rows[1]["difference"].get<double>() == mean, near);
  BOOST_TEST(rows[1]["difference_se"].get<double>() == std::sqrt(squares / (n - 1) / n), near);

  const Outcome told = flowcli(folder, {"compare", a, b, other, fewer});
  BOOST_TEST(told.status == 0, told.err);
  for (const int row : {2, 3}) {
    BOOST_TEST(rows[row]["nats"].is_number());
    BOOST_TEST(rows[row]["difference"].is_null());
    BOOST_TEST(rows[row]["difference_se"].is_null());
  }
  BOOST_TEST(told.err.find(other + " was trained on other data") != std::string::npos, told.err);
  BOOST_TEST(told.err.find(fewer + " ") != std::string::npos, told.err);
  for (const char* word : {"finished", "rings", "\na ", "\nfewer "}) {
    BOOST_TEST(told.out.find(word) != std::string::npos, told.out);
  }
  const Outcome twice = flowcli(folder, {"compare", a, a + "/"});  // of one name
  BOOST_TEST(twice.out.find("\n" + a.substr(0, 20)) != std::string::npos, twice.out);
}

BOOST_AUTO_TEST_CASE(a_run_without_its_data_is_told_by_the_scores_that_it_keeps) {
  const ScratchFolder folder;
  const std::string data = folder.file("t.csv"), a = folder.file("a"), b = folder.file("b");
  std::ofstream out(data);
  for (int i = 0; i < 300; ++i) out << i * 37 % 101 / 10. << "," << i * 53 % 97 / 7. << "\n";
  out.close();
  for (const std::string& run : {a, b}) {
    const Outcome trained = flowcli(
        folder, {"train", "realnvp-2d", "--data", data, "--out", run, "--couplings", "2",
                 "--hidden-units", "8", "--epochs", run == a ? "1" : "3", "--threads", "1"});
    BOOST_TEST_REQUIRE(trained.status == 0, trained.err);
  }
  const nlohmann::json before = table(folder, {a, b, "--split", "valid"});
  fs::remove(data);
  const nlohmann::json after = table(folder, {a, b, "--split", "valid"});
  for (const char* key : {"nats", "nats_se", "difference", "difference_se", "bits_per_dim"}) {
    BOOST_TEST(after[1][key].get<double>() == before[1][key].get<double>(),
               boost::test_tools::tolerance(1e-6));
  }
  BOOST_TEST(after[1]["count"] == before[1]["count"]);
  BOOST_TEST(after[1]["gaussian_nats"].is_null());
  // Test rows have no scores that are kept, nor have other weights.
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"compare", a, b},
        {"compare", a, b, "--split", "valid", "--weights", "last"}}) {
    const Outcome none = flowcli(folder, words);
    BOOST_TEST(none.status == 1);
    BOOST_TEST(none.err.find("not there any more") != std::string::npos, none.err);
  }
  // Scores of another training are not taken.
  const std::string kept = b + "/heldout.safetensors";
  const auto file = nf::nn::load_safetensors(kept);
  nf::nn::save_safetensors(kept, {file.tensors.begin(), file.tensors.end()},
                           {{"data_checksum", "other"}, {"split", "valid"}});
  const Outcome foreign = flowcli(folder, {"compare", a, b, "--split", "valid"});
  BOOST_TEST(foreign.status == 0);
  BOOST_TEST(foreign.err.find("of a training on other data") != std::string::npos, foreign.err);
}

BOOST_AUTO_TEST_CASE(a_run_that_cannot_be_evaluated_is_a_row_without_numbers) {
  const ScratchFolder folder;
  const std::string good = folder.file("good"), bad = folder.file("bad");
  train(folder, good, 1, "--couplings", "2");
  auto diverging = tiny_training(bad, 2);
  diverging.insert(diverging.end(), {"--lr", "1e30", "--schedule", "constant", "--mixing", "none"});
  BOOST_TEST_REQUIRE(flowcli(folder, diverging).status == 3);
  const nlohmann::json rows = table(folder, {good, bad});
  BOOST_TEST(rows[1]["status"] == "diverged");
  for (const auto& [key, value] : rows[0].items()) BOOST_TEST(rows[1].contains(key), key);
  for (const char* key : {"nats", "difference", "parameters", "gaussian_nats"}) {
    BOOST_TEST(rows[1][key].is_null(), key);
  }
  BOOST_TEST(flowcli(folder, {"compare", bad, "--quiet"}).status == 1);
  BOOST_TEST(flowcli(folder, {"compare", good, folder.file("none")}).status == 1);
  BOOST_TEST(flowcli(folder, {"compare"}).status == 2);
}

// A bound beside an exact figure, densities beside probabilities: said where a difference is.
BOOST_AUTO_TEST_CASE(figures_that_are_not_of_one_kind_are_told) {
  const ScratchFolder folder;
  const std::string csv = folder.file("counts.csv");
  {
    std::ofstream out(csv);
    out << "k,h\n";
    for (int i = 0; i < 200; ++i) out << i * 11 % 7 << ',' << i * 37 % 101 / 101.0 << '\n';
  }
  const auto trained = [&](const std::string& model, const std::string& types) {
    const std::string run = folder.file(model + types.substr(2));
    const Outcome outcome =
        flowcli(folder, {"train", model, "--data", csv, "--types", types, "--steps", "4",
                         "--hidden-units", "8", "--threads", "1", "--out", run});
    BOOST_TEST_REQUIRE(outcome.status == 0, outcome.err);
    return run;
  };
  const std::string exact = trained("tabular", "k=integer"), bound = trained("maf", "k=integer"),
                    real = trained("maf", "k=real");
  const Outcome told = flowcli(folder, {"compare", exact, bound, real, exact});
  BOOST_TEST_REQUIRE(told.status == 0, told.err);
  std::string text;  // broken lines as one
  for (const char c : told.out) {
    if (c != '\n' && c != ' ') text += c;
  }
  const auto without_spaces = [](std::string s) {
    std::erase(s, ' ');
    return s;
  };
  BOOST_TEST(
      text.find(without_spaces("CARE: the nats of " + bound + " are a lower bound, those of " +
                               exact + " exact")) != std::string::npos,
      told.out);
  BOOST_TEST(text.find(without_spaces("CARE: column 'k' has probabilities in " + exact +
                                      " and densities in " + real)) != std::string::npos,
             told.out);
  const nlohmann::json rows = table(folder, {exact, bound, real, exact});
  BOOST_TEST(rows[0]["difference_note"].is_null());
  BOOST_TEST(rows[1]["difference_note"].is_string());
  BOOST_TEST(rows[3]["difference_note"].is_null());
}

// In 80 columns each run is read in one place: what all have is told once below, long names have
// lines of their own.
BOOST_AUTO_TEST_CASE(runs_with_long_names_are_readable) {
  const ScratchFolder folder;
  const std::string stem = folder.file("realnvp-2d-clip03-batch300-hidden64-couplings16-seed");
  const std::vector<std::string> runs = {stem + "1", stem + "2", stem + "3", stem + "4",
                                         folder.file("another-realnvp-2d-of-rings-for-comparison")};
  train(folder, runs[0], 1, "--couplings", "2");
  for (int i = 1; i < 4; ++i) fs::copy(runs[0], runs[i], fs::copy_options::recursive);
  train(folder, runs[4], 1, "--data", "rings");
  struct Case {
    std::vector<std::string> runs;
    std::string below;        ///< what all have in common
    std::string of_the_last;  ///< what stands beside its name
  };
  const Case cases[] = {
      {{runs[0], runs[1], runs[2], runs[3]}, "all: realnvp-2d, moons, ", ""},
      {{runs[0], runs[1], runs[2], runs[4]}, "all: realnvp-2d, ", ": rings"},
  };
  for (const Case& c : cases) {
    std::vector<std::string> words = c.runs;
    words.insert(words.begin(), "compare");
    const Outcome told = flowcli(folder, words);
    BOOST_TEST_REQUIRE(told.status == 0, told.err);
    std::istringstream text(told.out);
    std::vector<std::string> lines;
    for (std::string line; std::getline(text, line);) lines.push_back(line);
    for (const std::string& line : lines) BOOST_TEST(line.size() <= 80U, line);
    BOOST_TEST(std::count_if(lines.begin(), lines.end(), [](const std::string& line) {
                 return line.find("bits/dim") != std::string::npos;
               }) == 1);
    BOOST_TEST(told.out.find("\n  " + c.below) != std::string::npos, told.out);
    BOOST_TEST(told.out.find("finished", told.out.find(c.below)) != std::string::npos, told.out);
    for (const std::string& run : c.runs) {
      const std::string name =
          fs::path(run).filename().string() + (run == c.runs.back() ? c.of_the_last : "");
      const auto at = std::find_if(lines.begin(), lines.end(),
                                   [&](const std::string& line) { return line.starts_with(name); });
      BOOST_TEST_REQUIRE((at != lines.end() && at + 1 != lines.end()), told.out);
      BOOST_TEST((at[1].starts_with("  ") && at[1].find("+-") != std::string::npos), told.out);
    }
  }
  const Outcome few = flowcli(folder, {"compare", runs[0], runs[4]});
  BOOST_TEST(few.out.find("all: realnvp-2d") != std::string::npos, few.out);
}

BOOST_AUTO_TEST_SUITE_END()
