#include "cli/run_folder.h"

#include <cmath>
#include <filesystem>
#include <limits>
#include <regex>
#include <set>
#include <sstream>

#include "cli/settings.h"
#include "data/svg.h"
#include "flows/presets.h"
#include "nn/safetensors.h"

namespace nf::cli {

namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t kMaxLogBytes = 1ULL << 30;

/// What training writes into the run; nothing else is ever removed.
bool is_our_file(const std::string& name) {
  static const std::set<std::string> ours = {
      "config.json",       "log.jsonl",           "best.safetensors", "last.safetensors",
      "state.safetensors", "heldout.safetensors", "curve.svg"};
  return ours.contains(name);
}

/// The same in RUN/samples.
bool is_our_picture(const std::string& name) {
  static const std::regex ours("(epoch-[0-9]+|final)\\.png");
  return std::regex_match(name, ours);
}

/// What writers left that were killed. Only under the lock.
void sweep(const std::string& run) {
  remove_temporaries(run, is_our_file);
  remove_temporaries(run + "/samples", is_our_picture);
}

void remove_run(const std::string& run) {
  const auto remove = [](const std::string& folder, bool (*ours)(const std::string&)) {
    std::error_code ignored;  // what cannot be removed cannot be written either, which is told
    std::vector<fs::path> paths;
    for (const auto& entry : fs::directory_iterator(folder, ignored)) {
      if (ours(entry.path().filename().string())) paths.push_back(entry.path());
    }
    for (const fs::path& path : paths) fs::remove(path, ignored);
  };
  // config.json is the last to go: while it is there, all others are known to be ours.
  remove(run + "/samples", is_our_picture);
  remove(run, [](const std::string& name) { return name != "config.json" && is_our_file(name); });
  std::error_code ignored;
  fs::remove(run + "/config.json", ignored);
}

/// Whether a folder has files of names that training would write over.
bool holds_files_like_ours(const std::string& path) {
  std::error_code error;
  const auto any = [&](const std::string& folder, bool (*ours)(const std::string&)) {
    for (const auto& entry : fs::directory_iterator(folder, error)) {
      if (ours(entry.path().filename().string())) return true;
    }
    return false;
  };
  return any(path, is_our_file) || any(path + "/samples", is_our_picture);
}

/// Whether a training of ours has begun in a folder: its lock holds nothing but a process's number.
bool holds_our_lock(const std::string& path) {
  std::error_code error;
  const std::string lock = path + "/.lock";
  if (fs::symlink_status(lock, error).type() != fs::file_type::regular) return false;
  if (fs::file_size(lock, error) > 24 || error) return false;
  static const std::regex number("[0-9]+\n|");
  return std::regex_match(read_file(lock, 24), number);
}

bool holds_config(const std::string& path) {
  std::error_code error;
  return fs::exists(path + "/config.json", error);
}

RunState read_state(const std::string& path) {
  const nn::Metadata metadata = nn::read_safetensors_header(path).metadata;
  const auto entry = [&](const char* key) {
    const auto found = metadata.find(key);
    NF_CHECK(found != metadata.end(), "[run] ", path, " has no '", key,
             "'; it is not a training state");
    return found->second;
  };
  RunState state{entry("status"), 0, entry("data_checksum")};
  char* end = nullptr;
  const std::string step = entry("step");
  state.step = std::strtoll(step.c_str(), &end, 10);
  NF_CHECK(!step.empty() && *end == '\0' && state.step >= 0, "[run] ", path,
           ": 'step' is not a count");
  return state;
}

/// Whether config.json is that of a run, of any version.
bool holds_config_of_run(const std::string& path) {
  try {
    return read_config(path + "/config.json").is_run();
  } catch (const Error&) {  // damaged
    return holds_our_lock(path);
  }
}

/// What stands in the way of a new run in this folder; empty: nothing. Without `overwrite` only
/// what a start of ours left that never came to a first step is written over: there the state is
/// written first, then weights, config.json last.
std::string obstacle(const std::string& path, bool overwrite) {
  const bool config = holds_config(path);
  if (config && !holds_config_of_run(path)) {
    return " holds a config.json that is not of a run; choose another --out";
  }
  if (overwrite || (!config && !holds_files_like_ours(path))) return "";
  const std::string way_out = "choose another --out, or give --overwrite";
  std::error_code error;
  const auto there = [&](const char* name) { return fs::exists(path + "/" + name, error); };
  if (there("state.safetensors")) {
    try {
      const RunState state = read_state(path + "/state.safetensors");
      if (!state.usable() && holds_our_lock(path)) return "";
      return str(" already holds a run that was trained for ", state.step,
                 " steps; continue it with 'flowcli resume ", path, "', ", way_out);
    } catch (const Error&) {  // damaged, or of another version
      return " already holds a run; " + way_out;
    }
  }
  const bool trained = config || there("best.safetensors") || there("last.safetensors");
  if (!trained && holds_our_lock(path)) return "";
  return (config ? " holds a run that has lost its state; "
                 : " holds files that a run would write over; ") +
         way_out;
}

std::string default_path(const flows::Config& config) {
  const std::string data = fs::path(config.data).filename().string();
  const std::string base = "runs/" + config.model + "-" + (data.empty() ? "data" : data);
  std::string path = base;
  std::error_code error;
  for (int i = 2; fs::exists(path, error); ++i) path = str(base, "-", i);
  return path;
}

double number_at(const nlohmann::json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_number() ? found->get<double>()
                                                   : std::numeric_limits<double>::quiet_NaN();
}

}  // namespace

RunFolder RunFolder::create(const std::string& path, const flows::Config& config, bool overwrite) {
  RunFolder run;
  run.path_ = path.empty() ? default_path(config) : path;
  const auto check = [&] {
    const std::string why = obstacle(run.path_, overwrite);
    NF_CHECK(why.empty(), "[train] ", run.path_, why);
  };
  check();  // before anything is made
  try {
    make_folders(run.file("samples"));
  } catch (const Error& error) {
    fail(str("[train] ", error.what(), "; choose another with --out"));
  }
  run.lock();
  check();  // somebody else may have trained it since
  remove_run(run.path_);
  return run;
}

RunFolder RunFolder::open(const std::string& path) {
  NF_CHECK(holds_config(path), "[run] ", path,
           " is not a run folder: it has no config.json; 'flowcli "
           "train' makes one");
  RunFolder run;
  run.path_ = path;
  const ConfigFile file = read_config(run.file("config.json"));
  NF_CHECK(file.version == kRunVersion, "[run] ", path, " was made by ",
           file.version > kRunVersion ? "a newer version of flowcli; use that one"
                                      : "version 0.1 of flowcli, which kept other files; train it "
                                        "again with 'flowcli train " +
                                            path + "/config.json --out NEW'");
  run.known_ = known_from_facts(file.facts, file.where + "data: ");
  run.config_ = file.on(flows::preset(file.preset));
  return run;
}

void RunFolder::save_config(const flows::Config& config, const KnownData& known) {
  config_ = config;
  known_ = known;
  Json json = {{"version", kRunVersion}};
  json.update(flows::to_json(config));
  write_facts(known, json["data"]);
  atomic_write(file("config.json"),
               json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

void RunFolder::lock() {
  long holder = 0;
  lock_ = FileLock::take(file(".lock"), &holder);
  NF_CHECK(lock_, "[run] ", path_, " is being trained by ",
           holder > 0 ? str("process ", holder) : "another process", "; wait for it, or stop it");
  sweep(path_);
}

RunState RunFolder::state() const {
  NF_CHECK(fs::exists(file("state.safetensors")), "[run] ", path_,
           " has no state.safetensors: its training never began; train it again with 'flowcli "
           "train ",
           file("config.json"), "'");
  return read_state(file("state.safetensors"));
}

std::string RunFolder::warning(const RunState& state) const {
  if (state.status == "finished") return "";
  if (state.status == "diverged") {
    return str(path_, " diverged; its weights are of step ", state.step, " at most, before that");
  }
  return str(path_, " has not finished training: it stands at step ", state.step);
}

void RunFolder::append_log(const flows::EpochReport& r) const {
  const Json line = {{"epoch", r.epoch},
                     {"step", r.step},
                     {"seconds", number(std::round(r.seconds * 1000) / 1000)},
                     {"train_nats", number(r.train_nats)},
                     {"valid_nats", number(r.valid_nats)},
                     {"valid_bits_per_dim", number(r.valid_bits_per_dim)},
                     {"lr", number(r.lr)},
                     {"grad_norm", number(r.grad_norm)}};
  append_to_file(file("log.jsonl"), line.dump() + "\n");
}

std::vector<flows::EpochReport> RunFolder::read_log() const {
  std::vector<flows::EpochReport> reports;
  if (!fs::exists(file("log.jsonl"))) return reports;
  std::istringstream lines(read_file(file("log.jsonl"), kMaxLogBytes));
  for (std::string line; std::getline(lines, line);) {
    const auto json = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!json.is_object()) continue;
    reports.push_back({.epoch = static_cast<std::int64_t>(number_at(json, "epoch")),
                       .step = static_cast<std::int64_t>(number_at(json, "step")),
                       .seconds = number_at(json, "seconds"),
                       .train_nats = number_at(json, "train_nats"),
                       .valid_nats = number_at(json, "valid_nats"),
                       .valid_bits_per_dim = number_at(json, "valid_bits_per_dim"),
                       .lr = number_at(json, "lr"),
                       .grad_norm = number_at(json, "grad_norm")});
  }
  return reports;
}

void RunFolder::truncate_log(std::int64_t step, std::int64_t epochs) const {
  if (!fs::exists(file("log.jsonl"))) return;
  std::istringstream lines(read_file(file("log.jsonl"), kMaxLogBytes));
  std::string kept;
  for (std::string line; std::getline(lines, line);) {
    const auto json = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (json.is_object() && number_at(json, "step") <= static_cast<double>(step) &&
        number_at(json, "epoch") <= static_cast<double>(epochs)) {
      kept += line + "\n";
    }
  }
  atomic_write(file("log.jsonl"), kept);
}

std::string title_of(const flows::Config& config) {
  return config.model + " on " + fs::path(config.data).filename().string();
}

std::string RunFolder::curve() const {
  data::Series train{"train", {}, {}}, valid{"validation", {}, {}};
  for (const flows::EpochReport& r : read_log()) {
    const double epoch = static_cast<double>(r.epoch);
    train.x.push_back(epoch);
    train.y.push_back(r.train_nats);
    valid.x.push_back(epoch);
    valid.y.push_back(r.valid_nats);
  }
  return data::curve_svg({title_of(config_), "epoch", "log-likelihood, nats"}, {train, valid});
}

void RunFolder::write_curve() const { atomic_write(file("curve.svg"), curve()); }

}  // namespace nf::cli
