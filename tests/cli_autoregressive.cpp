// flowcli on autoregressive models: of the plane, of tables, of pixels, given labels and columns;
// every command that takes a run.
#include <boost/test/unit_test.hpp>

#include "cli_runs.h"

using namespace nf::test;

BOOST_AUTO_TEST_SUITE(cli_autoregressive)

namespace {

using Arguments = std::vector<std::string>;

Arguments joined(Arguments first, const Arguments& more) {
  first.insert(first.end(), more.begin(), more.end());
  return first;
}

struct Runs {
  void train(const std::string& model, const Arguments& more) const {
    const Arguments call = {"train",     model, "--out",          run,  "--overwrite",  "--quiet",
                            "--threads", "1",   "--hidden-units", "12", "--batch-size", "50",
                            "--layers",  "2"};
    expect_ok(flowcli(folder, joined(call, more)));
  }
  Outcome call(const std::string& command, const Arguments& more = {}) const {
    return flowcli(folder, joined({command, run, "--threads", "1"}, more));
  }
  // What a command writes into a file of the folder.
  std::string made(const std::string& command, const std::string& name,
                   const Arguments& more = {}) const {
    const std::string path = folder.file(name);
    expect_ok(call(command, joined(more, {"--out", path})));
    return slurp(path);
  }

  ScratchFolder folder;
  const std::string run = folder.file("run");
};

const Arguments kModels[] = {{"maf"}, {"nsf"}, {"nsf", "--kind", "coupling"}, {"made"}};

Arguments options_of(const Arguments& model) { return {model.begin() + 1, model.end()}; }

}  // namespace

BOOST_AUTO_TEST_CASE(densities_in_the_plane_go_through_every_command) {
  const Runs runs;
  const Arguments moons = {"--data", "moons",  "--train", "400",     "--valid",
                           "100",    "--test", "100",     "--steps", "20"};
  for (const Arguments& model : kModels) {
    BOOST_TEST_CONTEXT(model.back()) {
      runs.train(model[0], joined(options_of(model), moons));
      for (const char* command : {"eval", "check", "plot", "inspect", "report"}) {
        expect_ok(runs.call(command));
      }
      BOOST_TEST(slurp(runs.run + "/report.html").size() > 1000U);
      expect_ok(runs.call("sample", {"-n", "50"}));
      const std::string z = runs.made("encode", "z.npy"),
                        x = runs.made("decode", "x.npy", {runs.folder.file("z.npy")});
      BOOST_TEST(z.size() == x.size());
      BOOST_TEST(!runs.made("score", "scores.csv").empty());
    }
  }
}

// Batch norm's statistics, permutations and the factors of a matrix are all in the state.
BOOST_AUTO_TEST_CASE(a_resumed_training_is_one_without_a_break) {
  for (const Arguments& model : kModels) {
    const Runs whole, parts;
    const auto train = [&](const Runs& runs, const std::string& epochs) {
      runs.train(model[0], joined(options_of(model),
                                  {"--data", "moons", "--train", "200", "--valid", "50", "--test",
                                   "50", "--epochs", epochs, "--schedule", "constant"}));
    };
    train(whole, "4");
    train(parts, "2");
    expect_ok(flowcli(parts.folder, resume(parts.run, {"--epochs", "4"})));
    BOOST_TEST((slurp(whole.run + "/last.safetensors") == slurp(parts.run + "/last.safetensors")),
               model.back());
  }
}

BOOST_AUTO_TEST_CASE(tables_and_pixels_are_taken_given_something_too) {
  const Runs runs;
  std::string table = "a,b,c\n";
  for (int i = 0; i < 300; ++i) {
    table += std::to_string(i * 37 % 101) + "," + std::to_string(i * i % 89) + "," +
             std::to_string((i * 37 % 101) * 0.5 + i % 7) + "\n";
  }
  const std::string csv = runs.folder.file("table.csv");
  write(csv, table);
  const Arguments kSources[] = {{"--data", csv, "--epochs", "2"},
                                {"--data", csv, "--epochs", "2", "--given", "a"},
                                {"--data", csv, "--epochs", "2", "--given", "a,b"},
                                {"--data", "glyphs", "--train", "200", "--valid", "50", "--test",
                                 "50", "--steps", "2", "--given", "label"}};
  for (const Arguments& model : kModels) {
    for (const Arguments& source : kSources) {
      const bool one_dimension = source.back() == "a,b";
      if (one_dimension && model.size() > 1) continue;  // nothing to split
      BOOST_TEST_CONTEXT(model.back() << " " << source[1] << " " << source.back()) {
        runs.train(model[0], joined(options_of(model), source));
        for (const char* command : {"eval", "inspect"}) expect_ok(runs.call(command));
        BOOST_TEST(!runs.made("score", "scores.csv").empty());
        expect_ok(runs.call("sample", {"-n", "20"}));
      }
    }
  }
  expect_failure(flowcli(runs.folder, {"train", "nsf", "--kind", "coupling", "--data", csv,
                                       "--given", "a,b", "--out", runs.folder.file("other")}),
                 {"[kind] a coupling needs two dimensions"}, 2);
  for (const auto& [setting, says] : {std::pair{"bound=2", "map is gaussian"},
                                      {"components=3", "map = gaussian has none"},
                                      {"alpha=0.1", "has no logit"}}) {
    expect_failure(flowcli(runs.folder, {"train", "maf", "--data", csv, "--set", setting, "--out",
                                         runs.folder.file("other")}),
                   {says}, 2);
  }
}

BOOST_AUTO_TEST_SUITE_END()
