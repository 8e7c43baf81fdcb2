// Run folders: what they know without their data, who may write them, what a failed start leaves.
#include <sys/stat.h>

#include <boost/test/unit_test.hpp>
#include <csignal>
#include <thread>

#include "cli_runs.h"
#include "tensor/files.h"

using namespace nf::test;
namespace fs = std::filesystem;

BOOST_AUTO_TEST_SUITE(cli_run_folder)

namespace {

void write_config(const std::string& run, const nlohmann::json& json) {
  write(run + "/config.json", json.dump());
}

/// A table of four columns, of which the second follows the first.
std::string table(int rows, int first = 0) {
  std::string text = "height,weight,age,income\n";
  for (int i = first; i < first + rows; ++i) {
    const double a = std::sin(i * 12.9898) * 43758.5, u = a - std::floor(a);
    const double b = std::sin(i * 78.233) * 12543.1, v = b - std::floor(b);
    char line[120];
    std::snprintf(line, sizeof line, "%.4f,%.4f,%.4f,%.4f\n", u, u + 0.3 * v, v * v, u * v);
    text += line;
  }
  return text;
}

/// realnvp-2d on a table.
std::vector<std::string> table_training(const std::string& data, const std::string& out) {
  return {"train",       "realnvp-2d", "--data",         data, "--out",        out,
          "--couplings", "2",          "--hidden-units", "8",  "--batch-size", "50",
          "--epochs",    "2",          "--threads",      "1"};
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_run_needs_no_training_data) {
  const ScratchFolder folder;
  const std::string data = folder.file("people.csv"), run = folder.file("run"),
                    moved = folder.file("elsewhere"), fresh = folder.file("new.csv");
  write(data, table(400));
  write(fresh, table(30, 1000));
  expect_ok(flowcli(folder, table_training(data, run)));
  const auto before = flowcli(folder, {"eval", run, "--data", fresh, "--json"});
  expect_ok(before);
  const nlohmann::json known = config_of(run)["data"];
  BOOST_TEST(config_of(run)["version"] == 3);
  BOOST_TEST(known["path"] == data);
  BOOST_TEST(known["dims"] == 4);
  BOOST_TEST((known["columns"] == nlohmann::json{"height", "weight", "age", "income"}));
  BOOST_TEST(known["parts"]["train"]["count"] == 320);

  fs::remove(data);
  fs::rename(run, moved);
  const auto after = flowcli(folder, {"eval", moved, "--data", fresh, "--json"});
  expect_ok(after);
  BOOST_TEST((before.json()["nats"] == after.json()["nats"]));
  const std::string z = folder.file("z.npy");
  for (const auto& call : std::vector<std::vector<std::string>>{
           {"sample", moved, "--out", folder.file("s.npy")},
           {"inspect", moved},
           {"encode", moved, "--data", fresh, "--out", z},
           {"decode", moved, z, "--out", folder.file("d.npy")},
           {"score", moved, "--data", fresh, "--out", folder.file("s.csv")},
           {"interpolate", moved, "--data", fresh, "-n", "2", "--out", folder.file("i.npy")},
           {"check", moved, "--data", fresh, "--split", "train"},
           {"spectrum", moved, "--out", folder.file("s.svg")},
           {"report", moved, "--out", folder.file("r.html")}}) {
    BOOST_TEST_CONTEXT(call[0]) { expect_ok(flowcli(folder, call)); }
  }
  // What needs the rows says where it looked.
  for (const char* command : {"eval", "encode", "score", "check", "resume"}) {
    expect_failure(flowcli(folder, {command, moved, "--quiet"}), {"[data]", data, "--data"});
  }
}

BOOST_AUTO_TEST_CASE(a_run_of_points_is_drawn_without_its_data) {
  const ScratchFolder folder;
  const std::string data = folder.file("points.csv"), run = folder.file("run");
  std::string text = "x,y\n";
  std::istringstream rows(table(300));
  std::string line;
  std::getline(rows, line);
  while (std::getline(rows, line))
    text += line.substr(0, line.find(',', line.find(',') + 1)) + "\n";
  write(data, text);
  expect_ok(flowcli(folder, table_training(data, run)));
  const auto with = flowcli(folder, {"plot", run, "--size", "32", "-n", "200", "--json"});
  expect_ok(with);
  fs::remove(data);
  const auto without = flowcli(folder, {"plot", run, "--size", "32", "-n", "200", "--json"});
  expect_ok(without);
  BOOST_TEST((with.json()["bounds"] == without.json()["bounds"]));
  BOOST_TEST(with.json()["files"].size() == 4U);
  BOOST_TEST(without.json()["files"].size() == 3U);
  expect_ok(flowcli(folder, {"report", run}));
}

BOOST_AUTO_TEST_CASE(the_source_is_found_from_another_folder) {
  const ScratchFolder folder;
  const std::string run = folder.file("run");
  write(folder.file("people.csv"), table(400));
  const fs::path here = fs::current_path();
  fs::current_path(folder.file("."));
  expect_ok(flowcli(folder, table_training("people.csv", "run")));
  fs::create_directory("other");
  fs::current_path("other");
  const auto found = flowcli(folder, {"eval", run, "--json"});
  // Another file of the same name is not the run's data.
  write("people.csv", table(200, 5000));
  const auto still = flowcli(folder, {"eval", run, "--json"});
  fs::current_path(here);
  expect_ok(found);
  expect_ok(still);
  BOOST_TEST(config_of(run)["data"]["source"] == "people.csv");
  BOOST_TEST((found.json()["nats"] == still.json()["nats"]));
}

BOOST_AUTO_TEST_CASE(changed_data_are_refused) {
  const ScratchFolder folder;
  const std::string data = folder.file("people.csv"), run = folder.file("run");
  write(data, table(400));
  expect_ok(flowcli(folder, table_training(data, run)));
  const std::string config = slurp(run + "/config.json"), state = slurp(run + "/state.safetensors");
  write(data, table(400, 77));  // as many rows
  expect_failure(flowcli(folder, {"resume", run, "--epochs", "4"}), {"has changed", "checksum"});
  expect_failure(flowcli(folder, {"eval", run}), {"has changed", "--data"});
  BOOST_TEST((slurp(run + "/config.json") == config));
  BOOST_TEST((slurp(run + "/state.safetensors") == state));
  expect_ok(flowcli(folder, {"eval", run, "--data", data}));
  write(data, table(400));
  expect_ok(flowcli(folder, {"resume", run, "--epochs", "4"}));
  BOOST_TEST(config_of(run)["training"]["epochs"] == 4);
}

BOOST_AUTO_TEST_CASE(the_same_file_keeps_its_parts) {
  const ScratchFolder folder;
  const std::string data = folder.file("people.csv"), copy = folder.file("copy.csv"),
                    run = folder.file("run");
  write(data, table(400));
  write(copy, table(400));
  auto training = table_training(data, run);
  training.insert(training.end(), {"--test", "100", "--valid", "60"});
  expect_ok(flowcli(folder, training));
  const auto own = flowcli(folder, {"eval", run, "--split", "test", "--json"});
  const auto given = flowcli(folder, {"eval", run, "--data", copy, "--split", "test", "--json"});
  expect_ok(given);
  BOOST_TEST(own.json()["count"] == 100);
  BOOST_TEST((own.json()["nats"] == given.json()["nats"]));
  BOOST_TEST(own.json()["gaussian_nats"].is_number());
  BOOST_TEST(own.json()["gaussian_nats"].get<double>() >
             own.json()["independent_nats"].get<double>());
  const auto all = flowcli(folder, {"eval", run, "--data", copy, "--json"});
  BOOST_TEST(all.json()["count"] == 400);
  BOOST_TEST(all.err.find("240 of these rows were trained on") != std::string::npos, all.err);
  BOOST_TEST(all.json()["gaussian_nats"].is_number());
}

BOOST_AUTO_TEST_CASE(columns_go_by_their_names) {
  const ScratchFolder folder;
  const std::string data = folder.file("people.csv"), run = folder.file("run"),
                    mixed = folder.file("mixed.csv"), bare = folder.file("bare.csv"),
                    lacking = folder.file("lacking.csv"), extra = folder.file("extra.csv");
  write(data, table(400));
  expect_ok(flowcli(folder, table_training(data, run)));
  const std::string fresh = folder.file("fresh.csv");
  write(fresh, table(50, 1000));
  // The same rows with their columns the other way round, with none, with one less, with one more.
  std::string reversed, rows, less, more;
  std::istringstream lines(table(50, 1000));
  for (std::string line; std::getline(lines, line);) {
    std::vector<std::string> cells;
    std::istringstream parts(line);
    for (std::string cell; std::getline(parts, cell, ',');) cells.push_back(cell);
    reversed += cells[3] + "," + cells[2] + "," + cells[1] + "," + cells[0] + "\n";
    if (cells[0] != "height") rows += line + "\n";
    less += cells[0] + "," + cells[1] + "," + cells[2] + "\n";
    more += line + (cells[0] == "height" ? ",shoe\n" : ",7.5\n");
  }
  write(mixed, reversed);
  write(bare, rows);
  write(lacking, less);
  write(extra, more);
  const auto eval = [&](const std::string& path) {
    return flowcli(folder, {"eval", run, "--data", path, "--json"});
  };
  const double nats = eval(fresh).json()["nats"].get<double>();
  expect_ok(eval(mixed));
  BOOST_TEST(eval(mixed).json()["nats"].get<double>() == nats);
  const auto by_position = eval(bare);
  expect_ok(by_position);
  BOOST_TEST(by_position.json()["nats"].get<double>() == nats);
  BOOST_TEST(by_position.err.find("by position") != std::string::npos, by_position.err);
  expect_failure(eval(lacking), {"no column 'income'"});
  const auto beside = eval(extra);
  expect_ok(beside);
  BOOST_TEST(beside.json()["nats"].get<double>() == nats);
  BOOST_TEST(beside.err.find("'shoe'") != std::string::npos, beside.err);
}

BOOST_AUTO_TEST_CASE(a_full_stdout_is_noticed) {
  if (!fs::exists("/dev/full")) return;
  const ScratchFolder folder;
  const std::string run = folder.file("run");
  expect_ok(flowcli(folder, tiny_training(run, 1)));
  const std::string program = FLOWCLI;
  for (const std::string& call :
       {"eval " + run + " --json", "eval " + run, "inspect " + run, std::string("completion bash"),
        std::string("--help"), std::string("--version"), "resume " + run + " --json --quiet",
        "sample " + run + " -n 5 --out -"}) {
    const std::string err = folder.file("err.txt");
    const int status = std::system((program + " " + call + " >/dev/full 2>" + err).c_str());
    BOOST_TEST(WEXITSTATUS(status) == 1, call << ": " << WEXITSTATUS(status));
    BOOST_TEST(slurp(err).find("[write] standard output") != std::string::npos, slurp(err));
    BOOST_TEST(slurp(err).find("wrote") == std::string::npos, slurp(err));
  }
}

// --- how training stands ------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(status_says_how_training_stands) {
  const ScratchFolder folder;
  const std::string run = folder.file("run"), state = run + "/state.safetensors";
  expect_ok(flowcli(folder, tiny_training(run, 2)));
  const auto finished = flowcli(folder, {"eval", run, "--json"});
  BOOST_TEST(finished.json()["status"] == "finished");
  BOOST_TEST(finished.err.empty(), finished.err);
  using nf::flows::TrainingStatus;
  const auto pretend = [&](TrainingStatus status, std::int64_t epochs) {
    edit_position(state, [&](nf::flows::Position& at) {
      at.status = status, at.epoch = epochs, at.step = 20 * epochs;
      at.best_epoch = epochs, at.since_best = 0;
      if (epochs == 0) at.best_valid_nats = nf::flows::kNaN;
    });
  };
  pretend(TrainingStatus::Diverged, 1);
  const auto diverged = flowcli(folder, {"eval", run, "--json"});
  expect_ok(diverged);
  BOOST_TEST(diverged.json()["status"] == "diverged");
  BOOST_TEST(diverged.err.find("diverged") != std::string::npos, diverged.err);
  pretend(TrainingStatus::Interrupted, 1);
  const auto sampled = flowcli(folder, {"sample", run, "--out", folder.file("s.npy")});
  expect_ok(sampled);
  BOOST_TEST(sampled.err.find("has not finished training") != std::string::npos, sampled.err);
  pretend(TrainingStatus::Running, 0);
  for (const char* command : {"eval", "sample", "score", "check", "report", "plot"}) {
    expect_failure(flowcli(folder, {command, run}), {"has not been trained yet", "resume"});
  }
}

BOOST_AUTO_TEST_CASE(a_training_that_diverges_at_once_blocks_nothing) {
  const ScratchFolder folder;
  const std::string run = folder.file("run");
  auto wild = tiny_training(run, 3);
  wild.insert(wild.end(), {"--lr", "1e30", "--schedule", "constant", "--mixing", "none"});
  BOOST_TEST(flowcli(folder, wild).status == 3);
  const auto looked = flowcli(folder, {"eval", run});
  expect_failure(looked, {"has not been trained yet", "diverged"});
  expect_ok(flowcli(folder, tiny_training(run, 1)));
  BOOST_TEST(flowcli(folder, {"eval", run, "--json"}).json()["status"] == "finished");
}

BOOST_AUTO_TEST_CASE(weights_that_are_not_finite_are_status_3) {
  const ScratchFolder folder;
  const std::string run = folder.file("run"), best = run + "/best.safetensors";
  expect_ok(flowcli(folder, tiny_training(run, 1)));
  auto file = nf::nn::load_safetensors(best);
  file.tensors.begin()->second.fill_(std::nan(""));
  nf::nn::save_safetensors(best, {file.tensors.begin(), file.tensors.end()}, file.metadata);
  const auto sampled = flowcli(folder, {"sample", run, "--out", folder.file("s.npy")});
  BOOST_TEST(sampled.status == 3);
  BOOST_TEST(sampled.err.find(file.tensors.begin()->first) != std::string::npos, sampled.err);
  BOOST_TEST(!fs::exists(folder.file("s.npy")));
}

// --- starts that fail ---------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(a_start_that_fails_leaves_nothing) {
  const ScratchFolder folder;
  const std::string run = folder.file("run"), constant = folder.file("constant.csv");
  std::string rows;
  for (int i = 0; i < 100; ++i) rows += std::to_string(i * 0.37) + ",1\n";
  write(constant, rows);
  expect_failure(flowcli(folder, table_training(constant, run)), {"constant"});
  auto depths = tiny_training(run, 1);
  depths.insert(depths.end(), {"--depths", "1,2,3"});
  BOOST_TEST(flowcli(folder, depths).status == 2);
  auto name = tiny_training(run, 1);
  name.insert(name.end(), {"--set", "model=../../../x"});
  BOOST_TEST(flowcli(folder, name).status == 2);
  BOOST_TEST(!fs::exists(run));
}

BOOST_AUTO_TEST_CASE(a_resume_that_cannot_be_changes_nothing) {
  const ScratchFolder folder;
  const std::string run = folder.file("run");
  expect_ok(flowcli(folder, tiny_training(run, 1)));
  const std::string config = slurp(run + "/config.json");
  BOOST_TEST(flowcli(folder, {"resume", run, "--epochs", "2000000000"}).status != 0);
  const std::string state = slurp(run + "/state.safetensors");
  write(run + "/state.safetensors", state.substr(0, state.size() - 9));
  expect_failure(flowcli(folder, {"resume", run, "--epochs", "5"}), {"state.safetensors"});
  BOOST_TEST((slurp(run + "/config.json") == config));
  BOOST_TEST(flowcli(folder, {"eval", run}).status == 1);
  write(run + "/state.safetensors", state);
  expect_ok(flowcli(folder, {"eval", run}));
}

BOOST_AUTO_TEST_CASE(overwrite_removes_only_what_is_ours) {
  const ScratchFolder folder;
  const std::string run = folder.file("run"), mine = folder.file("mine");
  expect_ok(flowcli(folder, tiny_training(run, 1)));
  write(run + "/samples/holiday.png", "a user's");
  write(run + "/notes.txt", "a user's");
  write(run + "/samples/epoch-0007.png", "of the old run");
  write(run + "/best.safetensors.tmp-0123456789abcdef", "torn");
  auto again = tiny_training(run, 1);
  again.push_back("--overwrite");
  expect_ok(flowcli(folder, again));
  BOOST_TEST(slurp(run + "/samples/holiday.png") == "a user's");
  BOOST_TEST(slurp(run + "/notes.txt") == "a user's");
  BOOST_TEST(!fs::exists(run + "/samples/epoch-0007.png"));
  BOOST_TEST(!fs::exists(run + "/best.safetensors.tmp-0123456789abcdef"));
  // Files of the same names, without a sign that they are ours.
  const std::string other = folder.file("other");
  fs::create_directories(other);
  write(other + "/log.jsonl", "a user's");
  expect_failure(flowcli(folder, tiny_training(other, 1)), {"write over", "--overwrite"});
  BOOST_TEST(slurp(other + "/log.jsonl") == "a user's");
  // Nor does a lock of somebody else make a folder ours, or weights that a state is missing for.
  for (const char* lock : {"user's lock\n", "4711\n"}) {
    write(other + "/.lock", lock);
    write(other + "/best.safetensors", "a user's");
    expect_failure(flowcli(folder, tiny_training(other, 1)), {"write over", "--overwrite"});
    BOOST_TEST(slurp(other + "/best.safetensors") == "a user's");
  }
  for (const char* lost : {"/config.json", "/state.safetensors"}) {
    const std::string copy = folder.file("copy");
    fs::remove_all(copy);
    fs::copy(run, copy, fs::copy_options::recursive);
    fs::remove(copy + lost);
    expect_failure(flowcli(folder, tiny_training(copy, 1)), {"--overwrite"});
    BOOST_TEST((slurp(copy + "/best.safetensors") == slurp(run + "/best.safetensors")));
  }
  // A lock that is a link would be written into what it leads to.
  const std::string linked = folder.file("linked");
  fs::create_directories(linked);
  write(folder.file("letter.txt"), "a user's");
  fs::create_symlink(folder.file("letter.txt"), linked + "/.lock");
  BOOST_TEST(flowcli(folder, tiny_training(linked, 1)).status == 1);
  BOOST_TEST(slurp(folder.file("letter.txt")) == "a user's");
  // A folder with somebody's config.json is none of ours.
  fs::create_directories(mine + "/samples");
  write(mine + "/config.json", "{\"port\": 8080}");
  write(mine + "/samples/final.png", "a user's");
  auto there = tiny_training(mine, 1);
  there.push_back("--overwrite");
  for (const char* config : {"{\"version\": 2}", "{\"port\": 8080}"}) {
    write(mine + "/config.json", config);
    expect_failure(flowcli(folder, there), {"not of a run"});
  }
  BOOST_TEST(slurp(mine + "/config.json") == "{\"port\": 8080}");
  BOOST_TEST(slurp(mine + "/samples/final.png") == "a user's");
}

BOOST_AUTO_TEST_CASE(runs_of_version_1_are_refused_in_one_line) {
  const ScratchFolder folder;
  const std::string run = folder.file("run");
  expect_ok(flowcli(folder, tiny_training(run, 1)));
  nlohmann::json config = config_of(run), flat;
  for (const char* group : {"model", "training", "data", "output"}) {
    for (const auto& [key, value] : config[group].items()) flat[key] = value;
  }
  flat = {{"model", "realnvp-2d"}, {"recipe", "paper"}, {"data", "moons"}, {"save_every", 1}};
  write_config(run, flat);
  for (const char* command : {"eval", "resume", "inspect"}) {
    expect_failure(flowcli(folder, {command, run}), {"older version", "train"});
  }
  expect_failure(flowcli(folder, tiny_training(run, 1)), {"--overwrite"});
  config["version"] = 4;
  write_config(run, config);
  expect_failure(flowcli(folder, {"eval", run}), {"newer version"});
}

// Version 2 differs for colour images alone.
BOOST_AUTO_TEST_CASE(runs_of_version_2_are_read_unless_they_are_of_colour_images) {
  const ScratchFolder folder;
  const std::string run = folder.file("run");
  expect_ok(flowcli(folder, {"train", "nice", "--data", "glyphs", "--hidden-units", "4", "--train",
                             "50", "--valid", "20", "--test", "20", "--steps", "1", "--out", run}));
  nlohmann::json config = config_of(run);
  config["version"] = 2;
  write_config(run, config);
  expect_ok(flowcli(folder, {"eval", run}));
  config["data"]["shape"] = {{"height", 14}, {"width", 14}, {"channels", 4}};
  write_config(run, config);
  expect_failure(flowcli(folder, {"eval", run}),
                 {"older version", "colour images", "train it again"});
}

BOOST_AUTO_TEST_CASE(a_config_of_a_run_trains_again) {
  const ScratchFolder folder;
  const std::string run = folder.file("run"), again = folder.file("again");
  expect_ok(flowcli(folder, tiny_training(run, 1)));
  expect_ok(flowcli(folder, {"train", run + "/config.json", "--out", again, "--threads", "1"}));
  BOOST_TEST((slurp(run + "/last.safetensors") == slurp(again + "/last.safetensors")));
}

BOOST_AUTO_TEST_CASE(what_is_wrong_in_config_json_is_named) {
  const ScratchFolder folder;
  const std::string run = folder.file("run");
  expect_ok(flowcli(folder, tiny_training(run, 1)));
  const nlohmann::json good = config_of(run);
  struct Case {
    std::string pointer;
    nlohmann::json value;
    std::string says;
  };
  for (const Case& c : std::initializer_list<Case>{
           {"/data/dims", "two", "'dims' must be a number"},
           {"/data/dims", 0, "'dims' must be above 0"},
           {"/data/dims", 1e300, "'dims' must be a whole number"},
           {"/data/shape", {{"height", 3}, {"width", 5}, {"channels", 1}}, "'shape' does not"},
           {"/data/columns", {"a", "b", "c"}, "'columns' has 3 names"},
           {"/data/levels", 3, "'levels' must be"},
           {"/data/parts", 7, "must be an object"},
           {"/data/bounds", {1, 2}, "'bounds' must be four"},
           {"/data/checksum", 5, "'checksum' must be text"},
           {"/version", "two", "version must be"},
           {"/model/name", "glue", "glue"},
           {"/model/couplings", 0, "out of range"}}) {
    nlohmann::json bad = good;
    bad[nlohmann::json::json_pointer(c.pointer)] = c.value;
    write_config(run, bad);
    expect_failure(flowcli(folder, {"sample", run, "--out", folder.file("s.npy")}), {c.says});
  }
  nlohmann::json bad = good;
  bad["data"].erase("checksum");
  write_config(run, bad);
  expect_failure(flowcli(folder, {"inspect", run}), {"has no 'checksum'"});
}

// --- one writer ---------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(one_process_writes_at_a_time) {
  const ScratchFolder folder;
  const std::string run = folder.file("run");
  expect_ok(flowcli(folder, tiny_training(run, 1)));
  {
    const auto lock = nf::FileLock::take(run + "/.lock");
    BOOST_TEST_REQUIRE(lock.has_value());
    const std::string by = "is being trained by process " + std::to_string(getpid());
    expect_failure(flowcli(folder, {"resume", run}), {by});
    auto again = tiny_training(run, 1);
    again.push_back("--overwrite");
    expect_failure(flowcli(folder, again), {by});
    expect_ok(flowcli(folder, {"eval", run}));  // readers need no lock
  }
  expect_ok(flowcli(folder, {"resume", run, "--epochs", "2", "--threads", "1"}));
}

BOOST_AUTO_TEST_CASE(pipes_are_not_waited_for) {
  const ScratchFolder folder;
  const std::string run = folder.file("run");
  expect_ok(flowcli(folder, tiny_training(run, 1)));
  for (const char* name : {"best.safetensors", "state.safetensors", "config.json"}) {
    fs::remove(run + "/" + name);
    BOOST_TEST_REQUIRE(mkfifo((run + "/" + name).c_str(), 0600) == 0);
    expect_failure(flowcli(folder, {"eval", run}), {name, "not a file"});
  }
}

BOOST_AUTO_TEST_SUITE_END()
