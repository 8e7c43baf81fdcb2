// flowcli sweep: a grid, a part of it, what goes on after a signal, and what is refused.
#include <boost/test/unit_test.hpp>

#include <cmath>

#include "cli_runs.h"
#include "tensor/files.h"

using namespace nf::test;

BOOST_AUTO_TEST_SUITE(cli_sweep)

namespace {

using Words = std::vector<std::string>;

Words sweep(const std::string& out, const Words& more) {
  Words call = {"sweep",       "realnvp-2d", "--data",  "moons", "--train",        "300",
                "--valid",     "100",        "--test",  "10",    "--batch-size",   "50",
                "--couplings", "2",          "--steps", "12",    "--hidden-units", "4",
                "--threads",   "1",          "--out",   out};
  call.insert(call.end(), more.begin(), more.end());
  return call;
}

}  // namespace

BOOST_AUTO_TEST_CASE(all_combinations_are_trained_and_the_best_is_named) {
  const ScratchFolder folder;
  const std::string out = folder.file("sweep");
  const Words call =
      sweep(out, {"--try", "lr=1e-9,5e-3", "--try", "activation=silu,tanh", "--json"});
  const Outcome done = flowcli(folder, call);
  expect_ok(done);
  const auto json = done.json();
  BOOST_TEST_REQUIRE(json["runs"].size() == 4U);
  BOOST_TEST(json["runs"][1]["settings"]["lr"] == "1e-9");
  BOOST_TEST(json["runs"][1]["settings"]["activation"] == "tanh");
  double best = -1e9;
  for (const auto& run : json["runs"]) {
    BOOST_TEST(run["status"] == "finished");
    best = std::max(best, run["valid_nats"].get<double>());
    const auto config = config_of(run["run"]);
    BOOST_TEST(config["model"]["activation"] == run["settings"]["activation"]);
    if (run["run"] == json["best"]) BOOST_TEST(run["settings"]["lr"] == "5e-3");
  }
  for (const auto& run : json["runs"]) {
    if (run["run"] == json["best"]) BOOST_TEST(run["valid_nats"] == best);
  }
  const Words lines = lines_of(slurp(out + "/sweep.csv"));
  BOOST_TEST_REQUIRE(lines.size() == 5U);
  BOOST_TEST(lines[0] == "run,lr,activation,status,best_epoch,valid_nats");
  BOOST_TEST(lines[1].starts_with("001,1e-9,silu,finished,"), lines[1]);
  // Once more: nothing is trained again.
  const std::string state = slurp(out + "/002/state.safetensors");
  const Outcome again = flowcli(folder, call);
  BOOST_TEST(again.json() == json);
  BOOST_TEST(slurp(out + "/002/state.safetensors") == state);
  expect_failure(flowcli(folder, sweep(out, {"--try", "lr=1e-3,5e-3"})), {"is of another sweep"});
  Words text = call;
  text.pop_back();
  const Outcome told = flowcli(folder, text);
  BOOST_TEST(told.out.find("best on validation: lr=5e-3") != std::string::npos, told.out);
  BOOST_TEST(told.out.find("flowcli eval " + json["best"].get<std::string>()) != std::string::npos,
             told.out);
}

BOOST_AUTO_TEST_CASE(a_sweep_that_was_ended_goes_on) {
  const ScratchFolder folder;
  const std::string out = folder.file("sweep");
  const Words call = sweep(out, {"--try", "lr=1e-3,2e-3,5e-3", "--random", "2", "--json"});
  // A signal that the sweep alone gets ends its training, too.
  int err[2];
  BOOST_TEST_REQUIRE(pipe(err) == 0);
  {
    const Child child(folder, call, "", [&] { dup2(err[1], STDERR_FILENO); });
    close(err[1]);
    char c = 0;
    while (c != '\n' && read(err[0], &c, 1) == 1) {
    }
    child.signal(SIGTERM);
    BOOST_TEST(child.wait() == 130);
  }
  close(err[0]);
  const Outcome killed = flowcli(folder, call, "log-append:1:kill");
  // A training that was quick enough had ended before the signal came; all others are killed.
  const bool none = killed.err.find("no training of") != std::string::npos;
  BOOST_TEST(killed.status == (none ? 1 : 0), killed.err);
  const Outcome done = flowcli(folder, call);
  expect_ok(done);
  const nlohmann::json runs = done.json()["runs"];
  BOOST_TEST(runs.size() == 2U);
  for (const auto& run : runs) BOOST_TEST(run["status"] == "finished");
}

// Of 12^6 combinations a few are drawn, always the same; one of them is drawn once.
BOOST_AUTO_TEST_CASE(some_of_very_many_combinations) {
  const ScratchFolder folder;
  Words more = {"--random", "2", "--json"};
  for (const char* key : {"lr", "eps", "ema", "beta1", "weight-decay", "clip"}) {
    std::string values = std::string(key) + "=";
    for (int i = 1; i <= 12; ++i) values += "0.0" + std::to_string(i) + (i < 12 ? "," : "");
    more.insert(more.end(), {"--try", values});
  }
  const Outcome one = flowcli(folder, sweep(folder.file("a"), more)),
                two = flowcli(folder, sweep(folder.file("b"), more));
  expect_ok(one);
  expect_ok(two);
  const nlohmann::json runs = one.json()["runs"], again = two.json()["runs"];
  BOOST_TEST_REQUIRE(runs.size() == 2U);
  BOOST_TEST(runs[0]["settings"] != runs[1]["settings"]);
  for (std::size_t i = 0; i < 2; ++i) BOOST_TEST(runs[i]["settings"] == again[i]["settings"]);
}

BOOST_AUTO_TEST_CASE(runs_on_other_data_are_not_compared) {
  const ScratchFolder folder;
  const std::string csv = folder.file("table.csv"), out = folder.file("sweep");
  const auto add_rows = [&](int first, int last) {
    std::ofstream table(csv, std::ios::app);
    for (int i = first; i < last; ++i) table << i % 17 * 0.5 << "," << i * i % 23 << "\n";
  };
  add_rows(0, 200);
  const Words call = {"sweep", "realnvp-2d",     "--data", csv,       "--couplings",
                      "2",     "--hidden-units", "4",      "--steps", "3",
                      "--try", "lr=1e-3,2e-3",   "--out",  out};
  expect_ok(flowcli(folder, call));
  {
    const auto lock = nf::FileLock::take(out + "/.lock");
    expect_failure(flowcli(folder, call), {"is in use by another sweep"});
  }
  add_rows(200, 240);
  std::filesystem::remove_all(out + "/002");
  Words quiet = call;
  quiet.push_back("--quiet");
  expect_failure(flowcli(folder, quiet), {"the data have changed: run 002", "another --out"});
}

// Each row is held out once, and what is told is what eval tells of the folds' runs.
BOOST_AUTO_TEST_CASE(folds_are_held_out_in_turn) {
  const ScratchFolder folder;
  const std::string csv = folder.file("table.csv"), out = folder.file("folds");
  std::ofstream table(csv);
  for (int i = 0; i < 121; ++i) table << i % 17 * 0.5 << "," << i * i % 23 * 0.25 << "\n";
  table.close();
  const Words call = {
      "sweep",   "realnvp-2d", "--data", csv,         "--couplings", "2",     "--hidden-units",
      "4",       "--steps",    "9",      "--threads", "1",           "--try", "lr=1e-9,5e-3",
      "--folds", "3",          "--out",  out,         "--json"};
  const Outcome done = flowcli(folder, call);
  expect_ok(done);
  const nlohmann::json json = done.json();
  BOOST_TEST_REQUIRE(json["runs"].size() == 6U);
  BOOST_TEST_REQUIRE(json["cross_validation"].size() == 2U);
  for (std::size_t setting = 0; setting < 2; ++setting) {
    double total = 0, squares = 0;
    std::int64_t count = 0;
    for (std::size_t fold = 0; fold < 3; ++fold) {
      const auto& run = json["runs"][3 * setting + fold];
      BOOST_TEST(run["settings"]["fold"] == std::to_string(fold + 1) + "/3");
      const auto eval = flowcli(folder, {"eval", run["run"], "--json"}).json();
      BOOST_TEST(run["test_nats"] == eval["nats"]);
      BOOST_TEST(run["gaussian_nats"] == eval["gaussian_nats"]);
      BOOST_TEST(run["test_count"] == eval["count"]);
      count += run["test_count"].get<std::int64_t>();
      total += run["test_nats"].get<double>();
      squares += run["test_nats"].get<double>() * run["test_nats"].get<double>();
    }
    BOOST_TEST(count == 121);
    const auto& means = json["cross_validation"][setting];
    BOOST_TEST(means["folds"] == 3);
    BOOST_TEST(means["settings"]["lr"] == (setting == 0 ? "1e-9" : "5e-3"));
    BOOST_TEST(!means["settings"].contains("fold"));
    const auto close = boost::test_tools::tolerance(1e-6);
    BOOST_TEST(means["test_nats"].get<double>() == total / 3, close);
    const double variance = (squares - total * total / 3) / 2;
    BOOST_TEST(means["test_nats_se"].get<double>() == std::sqrt(variance / 3), close);
  }
  BOOST_TEST(json["best_settings"]["lr"] == "5e-3");
  BOOST_TEST(json["best"].is_null());
  const Words lines = lines_of(slurp(out + "/cross_validation.csv"));
  BOOST_TEST_REQUIRE(lines.size() == 3U);
  BOOST_TEST(lines[0] == "lr,folds,valid_nats,test_nats,test_nats_se,gaussian_nats");
  BOOST_TEST(lines[2].starts_with("5e-3,3,"), lines[2]);
  BOOST_TEST(lines_of(slurp(out + "/sweep.csv"))[0] ==
             "run,lr,fold,status,best_epoch,valid_nats,test_nats,test_nats_se,test_count,"
             "gaussian_nats");
  BOOST_TEST(flowcli(folder, call).json() == json);
  Words text = call;
  text.pop_back();
  const Outcome told = flowcli(folder, text);
  BOOST_TEST(told.out.find("lr=5e-3: held out, mean of 3 of 3 folds: ") != std::string::npos,
             told.out);
  const Words others = {"sweep", "realnvp-2d", "--data", csv, "--folds", "3", "--out"};
  const std::pair<Words, std::string> refused[] = {
      {{out + "2", "--test", "10"}, "leave test"},
      {{out + "2", "--fold", "1/2"}, "leave test"},
      {{out + "2", "--try", "fold=1/2,2/2"}, "decides which rows validate"},
      {{out + "2", "--data", "moons"}, "more of it is a test as good"}};
  for (auto [more, says] : refused) {
    more.insert(more.begin(), others.begin(), others.end());
    if (says.starts_with("more")) more.erase(more.begin() + 2, more.begin() + 4);
    expect_failure(flowcli(folder, more), {says}, 2);
  }
}

BOOST_AUTO_TEST_CASE(what_cannot_be_swept_is_one_line) {
  const ScratchFolder folder;
  const std::pair<Words, std::string> rows[] = {
      {{}, "there is nothing to try"},
      {{"--try", "lr"}, "'lr' is not SETTING=VALUE"},
      {{"--try", "lr=1e-3,x"}, "--try: "},
      {{"--try", "rl=1e-3"}, "there is no setting 'rl'"},
      {{"--try", "lr=1,1"}, "'1' stands twice"},
      {{"--try", "lr=1", "--try", "lr=2"}, "lr stands twice"},
      {{"--try", "couplings=2,4"}, "couplings is tried, and given besides"},
      {{"--try", "valid=2,4"}, "valid is tried, and given besides"},
      {{"--try", "split_by=a,b"}, "decides which rows validate"},
      {{"--try", "test=100,500"}, "test is tried, and given besides"},
      {{"--try", "drop=a,b"}, "decides of what the density is"},
      {{"--try", "types=\"a=real\",\"a=integer\""}, "decides of what the density is"},
      {{"--try", "bits=1,8"}, "decides of what the density is"},
      {{"--try", "lr=1,2", "--set", "valid=0"}, "leaves nothing to choose by"},
      {{"--try", "lr=1,2,3,4,5,6,7,8,9", "--try", "clip=1,2,3,4,5,6,7,8,9", "--try",
        "ema=.1,.2,.3,.4,.5,.6,.7,.8,.9", "--try", "beta1=.1,.2,.3,.4,.5,.6,.7,.8,.9"},
       "6561 trainings are more than 1000; give --random N"},
      {{"--try", "lr=1,2", "--random", "3"}, "there are 2 combinations only"},
      {{"--try", "lr=1,2", "--budget", "1"}, "leave out --steps and --epochs"},
      {{"--try", "lr=1,2", "--set", "budget=1"}, "give it as --budget"},
  };
  for (const auto& [more, says] : rows) {
    expect_failure(flowcli(folder, sweep(folder.file("s"), more)), {says}, 2);
  }
  BOOST_TEST(!std::filesystem::exists(folder.file("s")));
  std::filesystem::create_directories(folder.file("other/x"));
  expect_failure(flowcli(folder, sweep(folder.file("other"), {"--try", "lr=1"})),
                 {"holds something else"});
}

BOOST_AUTO_TEST_SUITE_END()
