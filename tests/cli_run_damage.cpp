// Run folders to which something happened: files lost, damaged, of another run, moved or linked.
// Nothing of it may pass in silence, and the line that tells it says what to do.
#include <boost/test/unit_test.hpp>
#include <csignal>
#include <set>

#include "cli_runs.h"
#include "tensor/files.h"

using namespace nf::test;
namespace fs = std::filesystem;

BOOST_AUTO_TEST_SUITE(cli_run_damage)

namespace {

/// Two columns of numbers, one following the other.
std::string table(int rows, int first = 0) {
  std::string text = "a,b\n";
  for (int i = first; i < first + rows; ++i) {
    const double a = std::sin(i * 12.9898) * 43758.5, u = a - std::floor(a);
    const double b = std::sin(i * 78.233) * 12543.1, v = b - std::floor(b);
    char line[80];
    std::snprintf(line, sizeof line, "%.4f,%.4f\n", u, u + 0.3 * v);
    text += line;
  }
  return text;
}

std::vector<std::string> table_training(const std::string& data, const std::string& out,
                                        const std::vector<std::string>& more = {}) {
  std::vector<std::string> all = {
      "train",          "realnvp-2d", "--data",       data, "--out",    out, "--couplings", "2",
      "--hidden-units", "8",          "--batch-size", "50", "--epochs", "2", "--threads",   "1"};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

}  // namespace

// --- the best weights ---------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(lost_best_weights_are_told_by_every_command) {
  const ScratchFolder folder;
  const std::string run = folder.file("run");
  expect_ok(flowcli(folder, tiny_training(run, 1)));
  fs::remove(run + "/best.safetensors");
  for (const char* command : {"eval", "sample", "score", "encode", "check", "report", "plot"}) {
    expect_failure(flowcli(folder, {command, run, "--quiet"}),
                   {"has lost its best weights (best.safetensors)", "--weights last"});
    expect_ok(flowcli(folder, {command, run, "--weights", "last"}));
  }
}

BOOST_AUTO_TEST_CASE(a_training_without_its_best_weights_begins_the_best_anew) {
  const ScratchFolder folder;
  const std::string run = folder.file("run"), best = run + "/best.safetensors";
  expect_ok(flowcli(folder, tiny_training(run, 2)));
  fs::remove(best);
  const std::string config = slurp(run + "/config.json");
  expect_failure(flowcli(folder, resume(run, {})),
                 {"has lost its best weights", "nothing is left to train", "--weights last"});
  BOOST_TEST(slurp(run + "/config.json") == config);
  const Outcome resumed =
      flowcli(folder, {"resume", run, "--epochs", "3", "--threads", "1", "--json"});
  expect_ok(resumed);
  BOOST_TEST(resumed.err.find("lost its best weights") != std::string::npos, resumed.err);
  BOOST_TEST(resumed.err.find("begins anew") != std::string::npos, resumed.err);
  BOOST_TEST(resumed.json()["best_epoch"] == 3);
  BOOST_TEST(nf::nn::load_safetensors(best).metadata.at("epoch") == "3");
  expect_ok(flowcli(folder, {"eval", run}));
}

// Files of another run of the same model and settings, in every command.
BOOST_AUTO_TEST_CASE(crossed_files_are_refused_by_every_command) {
  const ScratchFolder folder;
  write(folder.file("a.csv"), table(300));
  write(folder.file("b.csv"), table(300, 1000));
  for (const char* name : {"a", "b"}) {
    expect_ok(flowcli(folder,
                      table_training(folder.file(name + std::string(".csv")), folder.file(name))));
  }
  const std::string a = folder.file("a"), b = folder.file("b");
  for (const char* name :
       {"config.json", "state.safetensors", "best.safetensors", "last.safetensors"}) {
    const std::string run = folder.file("crossed");
    fs::remove_all(run);
    fs::copy(a, run, fs::copy_options::recursive);
    fs::copy(b + "/" + name, run + "/" + name, fs::copy_options::overwrite_existing);
    const std::string which = name == std::string("last.safetensors") ? "last" : "best";
    for (const char* command : {"eval", "sample", "check", "report"}) {
      expect_failure(flowcli(folder, {command, run, "--quiet", "--weights", which}),
                     {"is of a training on other data", "put the run's own files back"});
    }
  }
  // The last weights are not the best.
  fs::copy(a + "/last.safetensors", a + "/best.safetensors", fs::copy_options::overwrite_existing);
  expect_failure(flowcli(folder, resume(a, {"--epochs", "3"})), {"are not the weights of epoch"});
}

// A kill between the best weights and the state, and then another end: the state's best is told.
BOOST_AUTO_TEST_CASE(best_weights_of_a_lost_future_are_not_taken) {
  const ScratchFolder folder;
  write(folder.file("t.csv"), table(300));
  const std::string run = folder.file("run"), ahead = folder.file("ahead");
  expect_ok(flowcli(folder, table_training(folder.file("t.csv"), run)));
  fs::copy(run, ahead, fs::copy_options::recursive);
  expect_ok(flowcli(folder, resume(ahead, {"--epochs", "6"})));
  fs::copy(ahead + "/best.safetensors", run + "/best.safetensors",
           fs::copy_options::overwrite_existing);
  const Outcome resumed =
      flowcli(folder, {"resume", run, "--epochs", "3", "--threads", "1", "--json"});
  expect_ok(resumed);
  BOOST_TEST(resumed.err.find("begins anew") != std::string::npos, resumed.err);
  BOOST_TEST(resumed.json()["best_epoch"] == 3);
  const Outcome evaluated = flowcli(folder, {"eval", run, "--split", "valid", "--json"});
  BOOST_TEST(evaluated.json().at("nats").get<double>() ==
                 resumed.json().at("best_valid_nats").get<double>(),
             boost::test_tools::tolerance(1e-6));
}

BOOST_AUTO_TEST_CASE(a_log_that_is_not_the_trainings_is_told) {
  const ScratchFolder folder;
  const std::string run = folder.file("run"), path = run + "/log.jsonl";
  expect_ok(flowcli(folder, tiny_training(run, 2)));
  const std::string log = slurp(path), says = "is lost, or of another training";
  const auto told = [&](const std::string& text) {
    write(path, text);
    const Outcome checked = flowcli(folder, {"check", run});
    expect_ok(checked);
    return checked.err.find(says) != std::string::npos;
  };
  BOOST_TEST(!told(log));
  BOOST_TEST(told(""));
  BOOST_TEST(told(R"({"epoch":2,"step":4,"train_nats":1,"valid_nats":7})"
                  "\n"));
  // Lines after the state are of no training that the weights know.
  BOOST_TEST(!told(log + R"({"epoch":9,"step":9007199254740992,"valid_nats":-1e308})"
                         "\n"));
  fs::remove(path);
  BOOST_TEST(flowcli(folder, {"report", run}).err.find(says) != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_lost_state_is_told_as_lost) {
  const ScratchFolder folder;
  const std::string run = folder.file("run");
  expect_ok(flowcli(folder, tiny_training(run, 1)));
  fs::remove(run + "/state.safetensors");
  expect_failure(flowcli(folder, {"eval", run}), {"has lost its state (state.safetensors)"});
}

BOOST_AUTO_TEST_CASE(rows_without_names_fit_a_run_of_chosen_columns) {
  const ScratchFolder folder;
  write(folder.file("t.csv"), table(300));
  const std::string run = folder.file("run"), rows = folder.file("rows.npy");
  expect_ok(flowcli(folder, table_training(folder.file("t.csv"), run, {"--columns", "a,b"})));
  expect_ok(flowcli(folder, {"sample", run, "-n", "5", "--out", rows}));
  const Outcome scored = flowcli(folder, {"score", run, "--data", rows});
  expect_ok(scored);
  BOOST_TEST(scored.err.find("by position") != std::string::npos, scored.err);
}

BOOST_AUTO_TEST_CASE(damaged_best_weights_are_seen_before_the_first_step) {
  const ScratchFolder folder;
  const std::string run = folder.file("run"), other = folder.file("other"),
                    best = run + "/best.safetensors";
  expect_ok(flowcli(folder, tiny_training(run, 2)));
  auto another = tiny_training(other, 2);
  another.insert(another.end(), {"--seed", "7"});
  expect_ok(flowcli(folder, another));
  const std::string good = slurp(best), config = slurp(run + "/config.json"),
                    log = slurp(run + "/log.jsonl"), state = slurp(run + "/state.safetensors");
  const std::vector<std::string> damaged = {good.substr(0, good.size() - 9), good.substr(0, 20), "",
                                            slurp(other + "/best.safetensors"),
                                            slurp(run + "/state.safetensors")};
  for (const std::string& bytes : damaged) {
    write(best, bytes);
    expect_failure(flowcli(folder, resume(run, {"--epochs", "4"})),
                   {"best.safetensors", "put the file back", "begins anew"});
    BOOST_TEST((slurp(best) == bytes));
    BOOST_TEST(slurp(run + "/config.json") == config);
    BOOST_TEST(slurp(run + "/log.jsonl") == log);
    BOOST_TEST((slurp(run + "/state.safetensors") == state));
  }
  write(best, good);
  edit(best, [](auto& file) { file.tensors.begin()->second.fill_(std::nan("")); });
  expect_failure(flowcli(folder, resume(run, {"--epochs", "4"})), {"not finite", "begins anew"});
  write(best, good);
  expect_ok(flowcli(folder, resume(run, {"--epochs", "4"})));
}

// --- files that do not belong together ----------------------------------------------------------

BOOST_AUTO_TEST_CASE(settings_that_are_not_those_of_the_weights_are_refused) {
  const ScratchFolder folder;
  const std::string run = folder.file("run");
  expect_ok(flowcli(folder, tiny_training(run, 1)));
  const nlohmann::json good = config_of(run);
  struct Case {
    const char* pointer;
    nlohmann::json value;
    std::vector<std::string> says;
  };
  for (const Case& c : std::initializer_list<Case>{
           {"/model/activation", "tanh", {"activation = \"silu\", not \"tanh\""}},
           {"/model/scale_limit", 3.5, {"scale_limit = 2.0, not 3.5"}},
           {"/model/coupling", "additive", {"coupling = \"affine\", not \"additive\""}},
           {"/model/prior", "logistic", {"prior = \"gaussian\", not \"logistic\""}},
           {"/model/couplings", 3, {"couplings = 2, not 3"}}}) {
    nlohmann::json bad = good;
    bad[nlohmann::json::json_pointer(c.pointer)] = c.value;
    write(run + "/config.json", bad.dump());
    for (const char* command : {"eval", "sample", "resume"}) {
      expect_failure(flowcli(folder, {command, run, "--quiet"}), c.says);
    }
  }
  write(run + "/config.json", good.dump());
  expect_ok(flowcli(folder, {"eval", run}));
}

BOOST_AUTO_TEST_CASE(the_state_of_another_training_is_refused) {
  const ScratchFolder folder;
  const std::string run = folder.file("run"), data = folder.file("t.csv"), a = folder.file("a"),
                    b = folder.file("b"), state = run + "/state.safetensors";
  expect_ok(flowcli(folder, tiny_training(run, 1)));
  edit(state, [](auto& file) { file.metadata["seed"] = "7"; });
  expect_failure(flowcli(folder, resume(run, {"--epochs", "2"})),
                 {"state.safetensors", "seed 7, not 1", "another training"});
  // A file does not depend on the seed, and another file is another run's.
  write(data, table(200));
  expect_ok(flowcli(folder, table_training(data, a)));
  write(folder.file("other.csv"), table(200, 1000));
  expect_ok(flowcli(folder, table_training(folder.file("other.csv"), b)));
  fs::copy_file(b + "/state.safetensors", a + "/state.safetensors",
                fs::copy_options::overwrite_existing);
  expect_failure(flowcli(folder, resume(a, {"--epochs", "3"})),
                 {"state.safetensors", "other data", "checksum"});
}

// --- data that moved or changed -----------------------------------------------------------------

BOOST_AUTO_TEST_CASE(files_of_validation_and_test_are_found_and_compared) {
  const ScratchFolder folder;
  const std::string run = folder.file("run"), valid = folder.file("v.csv");
  write(folder.file("t.csv"), table(300));
  write(valid, table(60, 1000));
  write(folder.file("e.csv"), table(50, 2000));
  const fs::path here = fs::current_path();
  fs::current_path(folder.file("."));
  const Outcome trained = flowcli(
      folder, table_training("t.csv", "run", {"--valid-data", "v.csv", "--test-data", "e.csv"}));
  fs::current_path(here);
  expect_ok(trained);
  BOOST_TEST(config_of(run)["data"]["valid_path"] == valid);
  BOOST_TEST(config_of(run)["data"]["test_path"] == folder.file("e.csv"));
  for (const char* split : {"test", "valid"}) {
    expect_ok(flowcli(folder, {"eval", run, "--split", split}));
  }
  expect_ok(flowcli(folder, {"eval", run, "--data", folder.file("t.csv"), "--split", "valid"}));
  expect_ok(flowcli(folder, resume(run, {"--epochs", "3"})));

  write(valid, table(60, 5000));  // as many rows
  for (const char* end : {"4", "5"}) {
    expect_failure(flowcli(folder, resume(run, {"--epochs", end})), {"v.csv", "has changed"});
  }
  fs::remove(valid);
  expect_failure(flowcli(folder, resume(run, {"--epochs", "4"})), {"not there", "v.csv", valid});
  write(valid, table(60, 1000));
  expect_ok(flowcli(folder, resume(run, {"--epochs", "4"})));
  // A run that was made before these paths were kept.
  nlohmann::json config = config_of(run);
  for (const char* key : {"valid_path", "test_path"}) config["data"].erase(key);
  config["data"]["valid_data"] = valid;
  config["data"]["test_data"] = folder.file("e.csv");
  write(run + "/config.json", config.dump());
  expect_ok(flowcli(folder, resume(run, {"--epochs", "5"})));
}

BOOST_AUTO_TEST_CASE(a_training_goes_on_where_its_data_are_now) {
  const ScratchFolder folder;
  const std::string run = folder.file("run"), data = folder.file("t.csv"),
                    moved = folder.file("moved.csv"), other = folder.file("other.csv");
  write(data, table(300));
  write(other, table(300, 1000));
  expect_ok(flowcli(folder, table_training(data, run)));
  fs::rename(data, moved);
  expect_failure(flowcli(folder, resume(run, {"--epochs", "3"})), {"not there", "--data"});
  const std::string config = slurp(run + "/config.json");
  expect_failure(flowcli(folder, resume(run, {"--epochs", "3", "--data", other})),
                 {other, "is not what", "checksum"});
  fs::copy(moved, data);  // a wrong path is told, though the old one is there
  expect_failure(flowcli(folder, resume(run, {"--epochs", "3", "--data", folder.file("no.csv")})),
                 {"no.csv", "no such file"});
  fs::remove(data);
  BOOST_TEST(slurp(run + "/config.json") == config);
  expect_ok(flowcli(folder, resume(run, {"--epochs", "3", "--data", moved})));
  BOOST_TEST(config_of(run)["data"]["path"] == moved);
  BOOST_TEST(config_of(run)["data"]["source"] == moved);
  expect_ok(flowcli(folder, resume(run, {"--epochs", "4"})));
  expect_ok(flowcli(folder, {"eval", run}));
}

// Of a program that drew otherwise: no file can be put back.
BOOST_AUTO_TEST_CASE(built_in_data_that_are_drawn_otherwise_now_are_told) {
  const ScratchFolder folder;
  const std::string run = folder.file("run");
  expect_ok(flowcli(folder, tiny_training(run, 1)));
  const std::string good = slurp(run + "/config.json");
  const std::string other = "0123456789abcdef";
  const auto told = [&] {
    for (const char* command : {"eval", "resume"}) {
      const Outcome outcome = flowcli(folder, {command, run, "--quiet"});
      expect_failure(outcome, {"the flowcli that trained", "drew other moons", "train again"});
      BOOST_TEST(outcome.err.find("old") == std::string::npos, outcome.err);
    }
  };
  nlohmann::json config = config_of(run);
  config["data"]["parts"]["test"]["checksum"] = other;
  write(run + "/config.json", config.dump());
  told();
  config = nlohmann::json::parse(good);
  config["data"]["checksum"] = other;
  write(run + "/config.json", config.dump());
  for (const char* name : {"/state", "/best", "/last"}) {
    edit(run + name + ".safetensors", [&](auto& file) { file.metadata["data_checksum"] = other; });
  }
  told();
  expect_ok(flowcli(folder, {"sample", run, "-n", "5", "--out", folder.file("s.npy")}));
  expect_ok(flowcli(folder, {"eval", run, "--data", "circles"}));
}

BOOST_AUTO_TEST_CASE(a_path_that_config_json_cannot_hold_is_refused_at_the_start) {
  const ScratchFolder folder;
  const std::string data = folder.file("gr\xF6\xDF\x65.csv"), run = folder.file("run");
  write(data, table(200));
  expect_failure(flowcli(folder, table_training(data, run)), {"data = ", "no UTF-8", "\\xf6"});
  BOOST_TEST(!fs::exists(run));
  fs::create_symlink(data, folder.file("link.csv"));
  expect_ok(flowcli(folder, table_training(folder.file("link.csv"), run)));
  expect_failure(flowcli(folder, {"resume", run, "--epochs", "99", "--data", data}),
                 {"data = ", "no UTF-8", "\\xf6"});
}

// --- models that give no numbers ----------------------------------------------------------------

BOOST_AUTO_TEST_CASE(a_model_that_gives_nan_is_status_3) {
  const ScratchFolder folder;
  const std::string run = folder.file("run"), out = folder.file("out");
  expect_ok(flowcli(folder, tiny_training(run, 1)));
  edit(run + "/best.safetensors", [](auto& file) {
    for (auto& [name, tensor] : file.tensors) {
      if (name.starts_with("couplings.") && name.ends_with("weight")) tensor.fill_(3e38F);
    }
  });
  const std::vector<std::vector<std::string>> calls = {
      {"sample", run, "--out", out + ".npy"},
      {"eval", run},
      {"score", run, "--out", out + ".csv"},
      {"encode", run, "--out", out + ".npy"},
      {"interpolate", run, "-n", "2", "--out", out + ".npy"}};
  for (const auto& call : calls) {
    BOOST_TEST_CONTEXT(call[0]) {
      expect_failure(flowcli(folder, call), {"[" + call[0] + "]", "NaN", "couplings."}, 3);
    }
  }
  for (const char* ending : {".npy", ".csv"}) BOOST_TEST(!fs::exists(out + ending));
}

// --- folders ------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(a_run_with_a_damaged_config_can_be_replaced) {
  const ScratchFolder folder;
  const std::string run = folder.file("run"), mine = folder.file("mine");
  expect_ok(flowcli(folder, tiny_training(run, 1)));
  auto again = tiny_training(run, 1);
  again.push_back("--overwrite");
  for (const char* sign : {"state.safetensors", "best.safetensors", "log.jsonl"}) {
    const std::string kept = slurp(run + "/" + sign);
    for (const auto& entry : fs::directory_iterator(run)) fs::remove_all(entry.path());
    write(run + "/" + sign, kept);
    write(run + "/config.json", "{\"version\": 2, \"mod");
    expect_failure(flowcli(folder, tiny_training(run, 1)),
                   {"config.json is damaged", "--overwrite"});
    BOOST_TEST((slurp(run + "/" + sign) == kept));
    expect_ok(flowcli(folder, again));
  }
  // Files of those names that are not ours.
  fs::create_directories(mine);
  write(mine + "/config.json", "{\"port\": 80");
  write(mine + "/log.jsonl", "{\"time\": 12, \"level\": \"info\"}\n");
  write(mine + "/best.safetensors", "a user's");
  auto there = tiny_training(mine, 1);
  there.push_back("--overwrite");
  expect_failure(flowcli(folder, there), {"not of a run", "move it away"});
  BOOST_TEST(slurp(mine + "/best.safetensors") == "a user's");
}

BOOST_AUTO_TEST_CASE(trainings_that_start_at_once_take_folders_of_their_own) {
  constexpr int kAtOnce = 4;
  const ScratchFolder work;
  std::vector<std::unique_ptr<ScratchFolder>> outputs;
  std::vector<std::unique_ptr<Child>> children;
  auto training = tiny_training("", 1);
  const auto out = std::find(training.begin(), training.end(), "--out");
  training.erase(out, out + 2);
  training.push_back("--json");
  for (int i = 0; i < kAtOnce; ++i) {
    outputs.push_back(std::make_unique<ScratchFolder>());
    children.push_back(std::make_unique<Child>(*outputs.back(), training, "", [&] {
      if (chdir(work.file("").c_str()) != 0) _exit(126);
    }));
  }
  std::set<std::string> runs;
  for (const auto& child : children) {
    BOOST_TEST_REQUIRE(child->wait() == 0, child->err());
    runs.insert(nlohmann::json::parse(child->out())["run"].get<std::string>());
  }
  BOOST_TEST(runs.size() == static_cast<std::size_t>(kAtOnce));
  BOOST_TEST(runs.contains("runs/realnvp-2d-moons"));
}

BOOST_AUTO_TEST_CASE(lines_of_the_log_that_are_no_reports_are_left_out) {
  const ScratchFolder folder;
  const std::string run = folder.file("run");
  expect_ok(flowcli(folder, tiny_training(run, 1)));
  std::ofstream log(run + "/log.jsonl", std::ios::app);
  for (const char* value : {"1e300", "-1e300", "null", "\"x\"", "-1"}) {
    log << "{\"epoch\":" << value << ",\"step\":1,\"train_nats\":1,\"valid_nats\":1e9}\n"
        << "{\"epoch\":1,\"step\":" << value << ",\"train_nats\":1,\"valid_nats\":1e9}\n";
  }
  log.close();
  const std::string page = folder.file("r.html");
  expect_ok(flowcli(folder, {"report", run, "--out", page}));
  BOOST_TEST(slurp(page).find("1000000000") == std::string::npos);
}

// --- pictures -----------------------------------------------------------------------------------

// Wherever a training is killed, it makes all pictures after all.
BOOST_AUTO_TEST_CASE(no_kill_loses_a_picture) {
  const ScratchFolder folder;
  bool finished = false;
  for (int kill = 5; !finished; ++kill) {  // after the fourth file the folder is a run
    const std::string run = folder.file("run-" + std::to_string(kill));
    auto training = tiny_training(run, 2);
    *std::next(std::find(training.begin(), training.end(), "--sample-every")) = "1";
    const int status =
        flowcli(folder, training, "write-done:" + std::to_string(kill) + ":kill").status;
    finished = status == 0;
    if (!finished) {
      BOOST_TEST_REQUIRE(status == -SIGKILL);
      const auto state = nf::nn::load_safetensors(run + "/state.safetensors").metadata;
      if (state.at("status") != "finished") expect_ok(flowcli(folder, resume(run, {})));
    }
    for (const char* name :
         {"samples/epoch-0001.png", "samples/epoch-0002.png", "samples/final.png", "curve.svg",
          "heldout.safetensors", "baselines.safetensors"}) {
      BOOST_TEST(fs::exists(run + "/" + name), "killed after file " << kill << ": no " << name);
    }
    BOOST_TEST_REQUIRE(kill < 40);
  }
}

BOOST_AUTO_TEST_SUITE_END()
