// flowcli with little memory: it ends with its result or with one line, and never waits for ever.
#include <sys/wait.h>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cstdlib>

#include "tests/addresses.h"
#include "tests/cli_util.h"
#include "tests/file_makers.h"

using namespace nf::test;

namespace {

/// flowcli with at most `kib` KiB of address space. What hangs ends with status 124.
Outcome run_within(const ScratchFolder& folder, int kib,
                   const std::vector<std::string>& arguments) {
  const std::string out = folder.file("stdout.txt"), err = folder.file("stderr.txt");
  std::string command = "ulimit -v " + std::to_string(kib) + "; exec timeout 300 '" FLOWCLI "'";
  for (const std::string& word : arguments) command += " '" + word + "'";
  const int status = std::system(("(" + command + ") >'" + out + "' 2>'" + err + "'").c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status), slurp(out), slurp(err)};
}

}  // namespace

BOOST_AUTO_TEST_SUITE(cli_memory)

// What layers compute is kept for all steps of a scale; recovered on the way back, for one.
BOOST_AUTO_TEST_CASE(what_a_step_keeps_is_told_and_refused_where_it_is_too_much) {
  const ScratchFolder folder;
  const auto kept = [&](const char* steps, const char* memory) {
    const Outcome outcome =
        flowcli(folder, {"inspect", "image-plus", "--shape", "16x16x1", "--width", "8",
                         "--steps-per-level", steps, "--memory", memory, "--levels", "2",
                         "--boards", "0", "--dequantize", "uniform", "--json"});
    return outcome.json()["activation_bytes"].get<double>();
  };
  BOOST_TEST(kept("8", "tape") > 1.9 * kept("4", "tape"));
  BOOST_TEST(kept("8", "invertible") == kept("4", "invertible"));
  BOOST_TEST(kept("4", "invertible") < 0.3 * kept("4", "tape"));
  const Outcome outcome = flowcli(folder, {"train",
                                           "image-plus",
                                           "--data",
                                           "glyphs",
                                           "--train",
                                           "70000",
                                           "--test",
                                           "10",
                                           "--valid",
                                           "0",
                                           "--batch-size",
                                           "70000",
                                           "--width",
                                           "100000",
                                           "--out",
                                           folder.file("run"),
                                           "--blocks",
                                           "0",
                                           "--steps-per-level",
                                           "1"});
  BOOST_TEST(outcome.status == 1);
  BOOST_TEST(outcome.err.find("a batch of 70000 needs") != std::string::npos, outcome.err);
  BOOST_TEST(outcome.err.find("smaller --batch-size or --memory invertible") != std::string::npos,
             outcome.err);
  // A setting that the model does not have is no advice; draws of latents are rows, too.
  const auto refused = [&](std::vector<std::string> call, const char* batch) {
    for (const char* more : {"--data", "glyphs", "--test", "10", "--valid", "0", "--train", batch,
                             "--batch-size", batch, "--out"}) {
      call.emplace_back(more);
    }
    call.push_back(folder.file("other"));
    const Outcome told = flowcli(folder, call);
    BOOST_TEST(told.status == 1);
    return told.err;
  };
  const std::string other = refused({"train", "pixelcnn"}, "70000");
  BOOST_TEST(other.ends_with("; give a smaller --batch-size\n"), other);
  const std::string drawn =
      refused({"train", "vae", "--binarize", "static", "--importance", "10000"}, "10000");
  BOOST_TEST(drawn.find("a batch of 10000 with 10000 draws for each needs") != std::string::npos,
             drawn);
  BOOST_TEST(drawn.ends_with("smaller --batch-size or --importance\n"), drawn);
  // The discrepancy of latents has matrices of all pairs.
  const std::string pairs =
      refused({"train", "vae", "--binarize", "static", "--mmd", "1", "--importance", "3"}, "70000");
  BOOST_TEST(pairs.find("a batch of 70000 with 3 draws for each needs") != std::string::npos,
             pairs);
}

BOOST_AUTO_TEST_CASE(every_command_ends_within_any_address_space,
                     *boost::unit_test::precondition(addresses_can_be_limited)) {
  const ScratchFolder folder;
  const std::string run = folder.file("run");
  std::vector<std::string> training = tiny_training(run, 1);
  training.push_back("--quiet");
  BOOST_REQUIRE_EQUAL(flowcli(folder, training).status, 0);
  training.push_back("--overwrite");
  const std::vector<std::vector<std::string>> commands = {
      {"--version"},
      {"--help"},
      {"data", "moons"},
      {"eval", run, "--threads", "2"},
      {"sample", run, "-n", "4", "--out", folder.file("four.npy")},
      training};
  int results = 0;
  for (const int mib : {20, 60, 100, 130, 180, 240, 300, 400, 600}) {
    for (const auto& command : commands) {
      const Outcome outcome = run_within(folder, mib * 1024, command);
      const std::string what = command[0] + " within " + std::to_string(mib) + " MiB: status " +
                               std::to_string(outcome.status) + ", " + outcome.err;
      BOOST_TEST(outcome.status != 124, what);
      if (mib < 100) continue;
      const bool one_line = std::count(outcome.err.begin(), outcome.err.end(), '\n') == 1 &&
                            outcome.err.starts_with("flowcli: ");
      BOOST_TEST((outcome.status == 0 || (outcome.status == 1 && one_line)), what);
      if (command[0].starts_with("--")) BOOST_TEST(outcome.status == 0, what);
      results += outcome.status == 0 ? 1 : 0;
    }
  }
  BOOST_TEST(results >= 25);  // most of the larger ones
}

// Copies that will be made count, not only the first.
BOOST_AUTO_TEST_CASE(files_that_become_too_large_are_refused_first,
                     *boost::unit_test::precondition(addresses_can_be_limited)) {
  const ScratchFolder folder;
  const std::string idx = folder.file("zeros.gz"), csv = folder.file("ones.csv");
  // (250000, 28, 28) zeros: 196 MB, and as much again when they are cut into parts.
  std::string bytes("\0\0\x08\x03\0\x03\xD0\x90\0\0\0\x1C\0\0\0\x1C", 16);
  bytes.resize(16 + 250000 * 784);
  std::ofstream(idx, std::ios::binary) << gzip(bytes);
  // 24 MB of text, 96 MB of numbers, and as much again.
  std::string text = "x,y\n";
  while (text.size() < 24'000'000) text += "1,2\n";
  std::ofstream(csv, std::ios::binary) << text;
  for (const auto& [path, mib] : {std::pair{idx, 360}, {csv, 190}}) {
    const Outcome outcome = run_within(folder, mib * 1024, {"data", path, "--threads", "1"});
    BOOST_TEST(outcome.status == 1, path);
    BOOST_TEST(outcome.err.find("take a part of the data") != std::string::npos, outcome.err);
  }
}

BOOST_AUTO_TEST_SUITE_END()
