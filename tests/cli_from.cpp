// flowcli train --from RUN: a training that begins with the weights of another.
#include <algorithm>
#include <boost/test/unit_test.hpp>

#include "cli_util.h"
#include "nn/safetensors.h"

using namespace nf::test;
namespace fs = std::filesystem;

BOOST_AUTO_TEST_SUITE(cli_from)

namespace {

using Arguments = std::vector<std::string>;

Arguments with(Arguments arguments, const Arguments& more) {
  for (std::size_t i = 0; i < more.size(); i += 2) {
    const auto at = std::find(arguments.begin(), arguments.end(), more[i]);
    if (at != arguments.end()) {
      *std::next(at) = more[i + 1];
    } else {
      arguments.insert(arguments.end(), {more[i], more[i + 1]});
    }
  }
  return arguments;
}

void expect_ok(const Outcome& outcome) { BOOST_TEST_REQUIRE(outcome.status == 0, outcome.err); }

}  // namespace

BOOST_AUTO_TEST_CASE(training_begins_with_the_best_weights_and_a_new_optimizer) {
  const ScratchFolder folder;
  const std::string a = folder.file("a"), same = folder.file("same"), on = folder.file("on");
  expect_ok(flowcli(folder, tiny_training(a, 3)));
  // With a learning rate of 0 nothing moves: neither drawn nor set from data anew.
  const Arguments still = {"--from", a, "--lr", "0", "--schedule", "constant", "--seed", "7"};
  const Outcome begun = flowcli(folder, with(tiny_training(same, 1), still));
  expect_ok(begun);
  BOOST_TEST(begun.err.find("begins with the weights of " + a + "/best") != std::string::npos);
  const auto then = nf::nn::load_safetensors(a + "/best.safetensors").tensors;
  for (const auto& [name, tensor] : nf::nn::load_safetensors(same + "/last.safetensors").tensors) {
    BOOST_TEST(tensor.to(nf::DType::F64).to_vector<double>() ==
                   then.at(name).to(nf::DType::F64).to_vector<double>(),
               name);
  }
  const auto config = nlohmann::json::parse(slurp(same + "/config.json"));
  BOOST_TEST(config["output"]["from"] == a);

  // It is a training of its own: steps from 0, on other data too, resumed without the first.
  expect_ok(flowcli(folder, with(tiny_training(on, 2), {"--from", a, "--data", "rings"})));
  fs::remove_all(a);
  expect_ok(flowcli(folder, {"resume", on, "--epochs", "3"}));
  const std::string log = slurp(on + "/log.jsonl");
  BOOST_TEST(std::count(log.begin(), log.end(), '\n') == 3);
  BOOST_TEST(nlohmann::json::parse(log.substr(0, log.find('\n')))["step"] == 20);
}

BOOST_AUTO_TEST_CASE(what_does_not_fit_is_one_line_and_makes_no_folder) {
  const ScratchFolder folder;
  const std::string a = folder.file("a"), out = folder.file("out"), table = folder.file("t.csv"),
                    other = folder.file("u.csv"), of_table = folder.file("of-table");
  expect_ok(flowcli(folder, tiny_training(a, 1)));
  for (const std::string& path : {table, other}) {
    std::ofstream file(path);
    file << (path == table ? "x,n\n" : "x,m\n");
    for (int i = 0; i < 3000; ++i) file << i * 37 % 101 / 10. << "," << i * 53 % 97 << "\n";
  }
  const Arguments on_table = {"--data", table, "--train", "100", "--valid", "50", "--test", "50"};
  expect_ok(flowcli(folder, with(tiny_training(of_table, 1), on_table)));
  const auto untrained = folder.file("untrained");
  BOOST_TEST(flowcli(folder, tiny_training(untrained, 1), "log-append:1:kill").status == -SIGKILL);
  const std::string of_nice = folder.file("of-nice");
  expect_ok(flowcli(folder, {"train", "nice", "--data", "glyphs", "--train", "50", "--valid", "20",
                             "--test", "20", "--hidden-units", "4", "--steps", "1", "--out",
                             of_nice, "--sample-every", "0"}));
  struct Case {
    Arguments arguments;
    std::vector<std::string> says;
  };
  const std::vector<Case> cases = {
      {{"--from", a, "--couplings", "4"}, {"[from] " + a, "couplings = 2, not 4"}},
      {{"--from", a, "--hidden-units", "9"}, {"hidden_units = 8, not 9"}},
      {{"--from", of_nice, "--data", "glyphs"}, {"of-nice is a nice, not a realnvp-2d"}},
      {with({"--from", a}, on_table), {"has the columns none", "x,n"}},
      {with(with({"--from", of_table}, on_table), {"--data", other}), {"columns x,n", "has x,m"}},
      {with(with({"--from", of_table}, on_table), {"--types", "n=real"}),
       {"of-table", "types = 'n=integer', not 'n=real'"}},
      {{"--from", a, "--data", "glyphs"}, {"2-dimensional real numbers", "784-dimensional pixels"}},
      {{"--from", untrained}, {"has not been trained yet"}},
      {{"--from", folder.file("none")}, {"is not a run folder"}},
  };
  // A run is not replaced by the training that begins with it.
  Arguments itself = with(tiny_training(a, 1), {"--from", a + "/"});
  const std::string before = slurp(a + "/config.json");
  for (const bool overwrite : {false, true}) {
    if (overwrite) itself.push_back("--overwrite");
    const Outcome outcome = flowcli(folder, itself);
    BOOST_TEST(outcome.status == 2, outcome.err);
    BOOST_TEST(outcome.err.find("would be replaced by the training that begins with it") !=
                   std::string::npos,
               outcome.err);
    BOOST_TEST(slurp(a + "/config.json") == before);
  }
  const std::string lost = folder.file("lost");
  fs::copy(a, lost, fs::copy_options::recursive);
  fs::remove(lost + "/best.safetensors");
  const Outcome no_best = flowcli(folder, with(tiny_training(out, 1), {"--from", lost}));
  BOOST_TEST(no_best.err.find("lost has lost its best weights (best.safetensors); put the file "
                              "back\n") != std::string::npos,
             no_best.err);
  for (const Case& c : cases) {
    const Outcome outcome = flowcli(folder, with(tiny_training(out, 1), c.arguments));
    BOOST_TEST(outcome.status == 1, outcome.err);
    for (const std::string& text : c.says) {
      BOOST_TEST(outcome.err.find(text) != std::string::npos, text << " not in: " << outcome.err);
    }
    BOOST_TEST(!fs::exists(out));
  }
}

BOOST_AUTO_TEST_SUITE_END()
