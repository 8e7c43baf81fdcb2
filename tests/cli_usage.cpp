// Wrong command lines: status 2, one line that says what is meant. Files, data and the machine: 1.
#include <boost/test/unit_test.hpp>

#include "cli_util.h"

using namespace nf::test;

BOOST_AUTO_TEST_SUITE(cli_usage)

namespace {

struct Row {
  std::vector<std::string> call;
  std::string says;
  std::string never = "\n\n";  ///< what it must not say
};

void expect(const ScratchFolder& folder, int status, const Row& row) {
  std::string line;
  for (const std::string& word : row.call) line += " " + word;
  const Outcome outcome = flowcli(folder, row.call);
  BOOST_TEST(outcome.status == status, line << ": status " << outcome.status);
  BOOST_TEST(std::count(outcome.err.begin(), outcome.err.end(), '\n') == 1, outcome.err);
  BOOST_TEST(outcome.err.starts_with("flowcli: "), outcome.err);
  BOOST_TEST(outcome.err.size() < 400U, outcome.err);
  BOOST_TEST(outcome.err.find(row.says) != std::string::npos, line << ": " << outcome.err);
  BOOST_TEST(outcome.err.find(row.never) == std::string::npos, line << ": " << outcome.err);
}

}  // namespace

BOOST_AUTO_TEST_CASE(wrong_usage_is_status_2) {
  const ScratchFolder folder;
  const std::string out = folder.file("never"), three = folder.file("three.csv");
  std::ofstream(three) << "1,2\n2,1\n3,3\n";
  const std::string exact =
      (std::filesystem::path(__FILE__).parent_path() / "golden_runs" / "table").string();
  const Row rows[] = {
      {{}, "a command is missing"},
      {{"trian", "nice"}, "unknown command 'trian'; did you mean 'train'?"},
      {{"frobnicate"}, "unknown command 'frobnicate' (see 'flowcli --help')", "did you mean"},
      {{"trian", "data"}, "'train'"},  // "data" is a command, too
      {{"train"}, "MODEL is required (see 'flowcli train --help')"},
      {{"train", "nice", "--epoch", "5"}, "no option '--epoch'; did you mean '--epochs'?"},
      {{"train", "nice", "--epoch=5"}, "no option '--epoch'; did you mean '--epochs'?"},
      {{"train", "nice", "--xyzzy"}, "no option '--xyzzy'", "did you mean"},
      {{"train", "nice", "extra"}, "'extra'"},
      {{"train", "realnvp", "--boards", "3"}, "--boards is of image-plus; realnvp has --recipe, "},
      {{"bench", "realnvp", "--growth=3"}, "--growth is of image-plus; realnvp has --recipe, "},
      {{"train", "realnvp", "--set", "boards=3"}, "boards is of image-plus; realnvp has recipe, "},
      {{"bench", "nade", "--binarize=static"}, "of train; here it is --set binarize=VALUE"},
      {{"eval", "run", "--boards", "3"}, "eval has no option '--boards'", "image-plus"},
      {{"train", "image-plus", "--boards", "1000000"}, "boards = 1000000 is out", "e+06"},
      {{"train", "--skip-bad", "nice", "--out", out},
       "'nice' is neither true nor false; in front of another word write --skip-bad=true"},
      {{"train", "nice", "--skip-bad", "yes", "--out", out}, "'yes' is neither true nor false"},
      {{"train", "nice", "--epochs"}, "--epochs needs a value", "{"},
      {{"train", "nice", "--epochs", "1", "--epochs", "2"}, "--epochs is given more than once"},
      {{"train", "nice", "--beta2", "1"}, "it must be 0 to 0.9999999"},
      {{"train", "nice", "--alpha", "1e-9"}, "it must be 6e-08 to 0.49"},
      {{"train", "nice", "--train", "0", "--out", out}, "[train] train = 0 leaves no samples"},
      {{"train", "nice", "--data", "moons", "--layout", "first"}, "layout is for files"},
      {{"train", "realnvp-2d", "--flip", "true", "--out", out}, "[flip] only images are mirrored"},
      {{"train", "realnvp-2d", "--shift", "2", "--out", out}, "[shift] only images are shifted"},
      {{"train", "nice", "--shift", "28", "--out", out}, "28 x 28 cannot be shifted by 28"},
      {{"train", "nice", "--depths", "3,3", "--out", out}, "2 numbers for 4 couplings"},
      {{"train", "nice", "--depths", "3,3,x,3", "--out", out}, "'x' is no number"},
      {{"train", "nice", "--preprocess", "standard", "--out", out}, "pixels need preprocess"},
      {{"train", "nise", "--out", out}, "nice"},
      {{"train", "nice", "--set", "xyz=1"},
       "'flowcli train nice --help' lists them",
       "did you mean"},
      {{"train", "nice", "--set", "coupligs=3"}, "did you mean 'couplings'?"},
      {{"train", "nice", "--set", "epochs"}, "key=value"},
      {{"train", "nice", "--couplings", "0"}, "--couplings: "},
      {{"train", "nice", "--lr", "fast"}, "--lr: "},
      {{"train", "nice", "--optimizer", "adamm"}, "adamw"},
      {{"train", "nice", "--data", ""}, "--data: '' is no value"},
      {{"train", "nice", "--epochs", "2", "--steps", "3"}, "[epochs] would change nothing"},
      {{"train", "nice", "--scale-limit", "3"}, "[scale_limit] would change nothing"},
      {{"train", "realnvp", "--norm-lag", "0.5"}, "[norm_lag] would change nothing"},
      {{"train", "nice", "--set", "lr_every=5"}, "schedule is constant"},
      {{"train", "glow", "--dequantize-width", "8"}, "dequantize = uniform has no flow"},
      {{"eval", exact, "--importance", "4"}, "[importance] would change nothing"},
      {{"score", exact, "--importance", "4"}, "[importance] would change nothing"},
      {{"eval", "run", "--split", "tset"}, "did you mean 'test'?"},
      {{"eval", "run", "--split", "te\nst"}, "'te\\x0ast' is not one of train, valid, test, all"},
      {{"eval", "run", "--device", "c\x1bpu"}, "'c\\x1bpu' is not one of auto"},
      {{"eval", "run", "--seed", "-1"}, "'-1' is not a whole number of at least 0"},
      {{"eval", "run", "--seed", "18446744073709551616"}, "from 0 to 9223372036854775807"},
      {{"eval", "run", "--noise-draws", "1000000000"}, "from 1 to 10000"},
      {{"eval", "run", "--noise-draws", "0"}, "'0' is not a whole number from 1 to 10000"},
      {{"eval", "run", "--threads", "many"}, "from 0 to 1024"},
      {{"sample", "run", "--temperature", "-1"}, "of at least 0"},
      {{"sample", "run", "--temperature", "nan"}, "of at least 0"},
      {{"sample", "run", "--temperature", "inf"}, "is not a finite number of at least 0"},
      {{"score", "run", "--strangest", "3"}, "--png"},
      {{"resume", "run", "--epochs", "0"}, "from 1 to"},
      {{"data"}, "DATA is required"},
      {{"inspect", "glow", "--shape", "3x32x32"}, "in this order: 32x32x3?"},
      {{"report", "run", "--out", "page.png"}, "page.png must end in .html or .htm"},
      {{"completion", "fish"}, "bash, zsh"},
      {{"data", "make", "moons", "--out", out}, "--out must end in .csv, .npy or .idx"},
      {{"train", "realnvp-2d", "--data", three, "--train", "9", "--out", out}, "3 are there"},
      {{"train", "realnvp-2d", "--data", three, "--test", "2", "--valid", "2"}, "3 are there"},
      {{"train", "realnvp-2d", "--data", three, "--test-data", three, "--test", "4"}, "4 samples"},
  };
  for (const Row& row : rows) expect(folder, 2, row);
  BOOST_TEST(!std::filesystem::exists(out));
  for (const char* command : {"--help", "--version"}) {
    BOOST_TEST(flowcli(folder, {command}).status == 0, command);
  }
}

BOOST_AUTO_TEST_CASE(broken_files_are_status_1) {
  const ScratchFolder folder;
  std::ofstream(folder.file("broken.json")) << "{\n  \"couplings\": 3,\n  \"lr\" 1\n}\n";
  std::ofstream(folder.file("typo.json")) << R"({"model": "nice", "coupling_count": 3})";
  std::ofstream(folder.file("early.json")) << "{\"couplings\": ";
  std::ofstream(folder.file("two.csv")) << "1,2\n2,1\n";
  std::ofstream(folder.file("many.json"))
      << nlohmann::json({{"model", "realnvp-2d"}, {"data", folder.file("two.csv")}, {"train", 9}});
  const Row rows[] = {
      {{"train", folder.file("broken.json")}, "not valid JSON: the mistake is at line 3, column 8"},
      {{"train", folder.file("early.json")}, "line 1, column"},
      {{"train", folder.file("typo.json")}, "no setting 'coupling_count'"},
      {{"train", folder.file("none.json")}, "none.json"},
      {{"train", folder.file("many.json")}, "9 samples asked for, 2 are there"},
      {{"train", "nice", "--data", "no/such/place"}, "no/such/place"},
      {{"eval", folder.file("none")}, "not a run folder"},
  };
  for (const Row& row : rows) expect(folder, 1, row);
}

// realnvp-2d counts in steps; who counts in epochs is obeyed, wherever it is said.
BOOST_AUTO_TEST_CASE(epochs_are_epochs) {
  const ScratchFolder folder;
  std::ofstream(folder.file("two.json")) << R"({"model": "realnvp-2d", "epochs": 2})";
  const std::vector<std::string> small = {
      "--train", "100", "--couplings", "1",           "--valid", "20",
      "--test",  "20",  "--json",      "--overwrite", "--out",   folder.file("r")};
  const std::vector<std::vector<std::string>> calls = {
      {"train", "realnvp-2d", "--epochs", "2"},
      {"train", "realnvp-2d", "--set", "epochs=2"},
      {"train", folder.file("two.json")},
  };
  for (std::vector<std::string> call : calls) {
    call.insert(call.end(), small.begin(), small.end());
    const Outcome outcome = flowcli(folder, call);
    BOOST_TEST_REQUIRE(outcome.status == 0, outcome.err);
    BOOST_TEST(outcome.json()["steps"] == 2);  // 100 rows are one batch
  }
}

BOOST_AUTO_TEST_CASE(a_full_output_is_noticed) {
  const ScratchFolder folder;
  for (const std::string call : {"--help", "completion bash", "data moons --json"}) {
    const std::string line =
        std::string(FLOWCLI) + " " + call + " > /dev/full 2> " + folder.file("err");
    const int status = std::system(line.c_str());
    BOOST_TEST(WEXITSTATUS(status) == 1, call);
    BOOST_TEST(slurp(folder.file("err")).find("output") != std::string::npos, call);
  }
}

BOOST_AUTO_TEST_SUITE_END()
