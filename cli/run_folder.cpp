#include "cli/run_folder.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <regex>
#include <set>
#include <sstream>

#include "cli/settings.h"
#include "data/svg.h"
#include "flows/runs/ensemble_run.h"
#include "nn/safetensors.h"
#include "tensor/text.h"

namespace nf::cli {

namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t kMaxLogBytes = 1ULL << 30;

/// What training writes into the run; nothing else is ever removed.
bool is_our_file(const std::string& name) {
  static const std::set<std::string> ours = {
      kPackedData,           "config.json",           "log.jsonl",         "log.csv",
      "curve.svg",           "best.safetensors",      "last.safetensors",  "state.safetensors",
      "heldout.safetensors", "baselines.safetensors", flows::kEnsembleFile};
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

// Whatever ensemble.json says, which may be damaged.
std::vector<std::string> member_folders(const std::string& run) {
  std::vector<std::string> folders;
  if (!fs::exists(run + "/" + flows::kEnsembleFile)) return folders;
  for (std::int64_t k = 1; k <= flows::kMostMembers; ++k) {
    const std::string folder = str(run, "/member-", k);
    if (!fs::is_symlink(folder) && flows::holds_config(folder)) folders.push_back(folder);
  }
  return folders;
}

void remove_run(const std::string& run) {
  std::error_code ignored_of_members;
  const auto remove = [](const std::string& folder, bool (*ours)(const std::string&)) {
    std::error_code ignored;  // what cannot be removed cannot be written either, which is told
    std::vector<fs::path> paths;
    for (const auto& entry : fs::directory_iterator(folder, ignored)) {
      if (ours(entry.path().filename().string())) paths.push_back(entry.path());
    }
    for (const fs::path& path : paths) fs::remove(path, ignored);
  };
  for (const std::string& member : member_folders(run)) {
    remove_run(member);
    fs::remove(member + "/samples", ignored_of_members);
    fs::remove(member + "/.lock", ignored_of_members);
    fs::remove(member, ignored_of_members);  // unless something of somebody else's is in it
  }
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

enum class ConfigThere { None, OfRun, Damaged, Foreign };

/// What config.json is, a run's of any version. One that cannot be read is damaged where something
/// else shows that the folder is ours.
ConfigThere config_there(const std::string& path) {
  if (!flows::holds_config(path)) return ConfigThere::None;
  try {
    return read_config(path + "/config.json").is_run() ? ConfigThere::OfRun : ConfigThere::Foreign;
  } catch (const Error&) {
    const bool ours = holds_our_lock(path) || flows::holds_our_files(path);
    return ours ? ConfigThere::Damaged : ConfigThere::Foreign;
  }
}

/// What stands in the way of a new run in this folder; empty: nothing. Without `overwrite` only
/// what a start of ours left that never came to a first step is written over: there the state is
/// written first, then weights, config.json last.
std::string obstacle(const std::string& path, bool overwrite) {
  const ConfigThere there_is = config_there(path);
  const bool config = there_is != ConfigThere::None;
  if (there_is == ConfigThere::Foreign) {
    return " holds a config.json that is not of a run; choose another --out, or move it away";
  }
  if (overwrite || (!config && !holds_files_like_ours(path))) return "";
  const std::string way_out = "choose another --out, or give --overwrite";
  if (there_is == ConfigThere::Damaged) {
    return " holds a run whose config.json is damaged; put it back, " + way_out;
  }
  std::error_code error;
  const auto there = [&](const char* name) { return fs::exists(path + "/" + name, error); };
  if (there("state.safetensors")) {
    try {
      const RunState state = flows::read_state(path + "/state.safetensors");
      if (!state.usable() && holds_our_lock(path)) return "";
      return str(" already holds a run that was trained for ", state.step,
                 " steps; continue it with 'flowcli resume ", path, "', ", way_out);
    } catch (const Error&) {  // damaged, or of another version
      return " already holds a run; " + way_out;
    }
  }
  if (config && there(flows::kEnsembleFile)) {
    return " already holds an ensemble; continue it with 'flowcli resume " + path + "', " + way_out;
  }
  const bool trained = config || there("best.safetensors") || there("last.safetensors") ||
                       there(flows::kEnsembleFile);
  if (!trained && holds_our_lock(path)) return "";
  return (config ? " holds a run that has lost its state; "
                 : " holds files that a run would write over; ") +
         way_out;
}

/// Makes runs/<model>-<data>, numbered when taken: who makes the folder has it, also when two start
/// at once.
std::string make_default_folder(const flows::Config& config) {
  const std::string data = fs::path(config.data.source).filename().string();
  const std::string base = "runs/" + config.model + "-" + (data.empty() ? "data" : data);
  std::error_code error;
  fs::create_directory("runs", error);
  for (int i = 1;; ++i) {
    const std::string path = i == 1 ? base : str(base, "-", i);
    if (fs::create_directory(path, error)) return path;
    std::error_code none;  // of a link to nothing, too, which takes the name
    NF_CHECK(fs::exists(fs::symlink_status(path, none)), "[train] cannot make the folder '",
             printable(path), "': ", error.message(), "; choose another with --out");
  }
}

double number_at(const nlohmann::json& json, const char* key) {
  const auto found = json.find(key);  // of what is no object: not there
  return found != json.end() && found->is_number() ? found->get<double>()
                                                   : std::numeric_limits<double>::quiet_NaN();
}

/// The keys of a line of log.jsonl, and the columns of log.csv.
const std::vector<std::string>& log_keys() {
  static const std::vector<std::string> keys = {"epoch",      "step",       "seconds",
                                                "train_nats", "valid_nats", "valid_bits_per_dim",
                                                "lr",         "grad_norm"};
  return keys;
}

struct LogLine {
  std::int64_t number;  ///< from 1
  std::string text;
  nlohmann::json json;
  std::optional<flows::EpochReport> report;  ///< nothing where the line is damaged
};

/// Calls visit(const LogLine&) for each line of a log.jsonl, which need not be there.
template <class Visit>
void for_log_lines(const std::string& path, const Visit& visit) {
  if (!fs::exists(path)) return;
  std::istringstream lines(read_file(path, kMaxLogBytes));
  LogLine line{0, {}, {}, {}};
  while (std::getline(lines, line.text)) {
    ++line.number;
    line.json = nlohmann::json::parse(line.text, nullptr, /*allow_exceptions=*/false);
    line.report = {};
    const double epoch = number_at(line.json, "epoch"), step = number_at(line.json, "step");
    if (epoch >= 0 && epoch <= 0x1p53 && step >= 0 && step <= 0x1p53) {
      line.report = {.epoch = static_cast<std::int64_t>(epoch),
                     .step = static_cast<std::int64_t>(step),
                     .seconds = number_at(line.json, "seconds"),
                     .train_nats = number_at(line.json, "train_nats"),
                     .valid_nats = number_at(line.json, "valid_nats"),
                     .valid_bits_per_dim = number_at(line.json, "valid_bits_per_dim"),
                     .lr = number_at(line.json, "lr"),
                     .grad_norm = number_at(line.json, "grad_norm")};
    }
    visit(line);
  }
}

/// The numbers as log.jsonl has them; nothing where it has null.
template <class AnyJson>
std::string csv_line(const AnyJson& line) {
  std::string text;
  for (const std::string& key : log_keys()) {
    const auto found = line.find(key);
    if (key != log_keys().front()) text += ",";
    if (found != line.end() && found->is_number()) text += found->dump();
  }
  return text + "\n";
}

}  // namespace

void RunFolder::check_free(const std::string& path, bool overwrite) {
  const std::string why = path.empty() ? "" : obstacle(path, overwrite);
  NF_CHECK(why.empty(), "[train] ", path, why);
}

RunFolder RunFolder::create(const std::string& path, const flows::Config& config, bool overwrite) {
  RunFolder run;
  run.path_ = path.empty() ? make_default_folder(config) : path;
  std::error_code error;
  check_usage(config.output.from.empty() || !fs::equivalent(run.path_, config.output.from, error),
              "[from] ", run.path_, " would be replaced by the training that begins with it; ",
              "choose another --out");
  check_free(run.path_, overwrite);  // before anything is made
  try {
    make_folders(run.file("samples"));
  } catch (const Error& error) {
    fail(str("[train] ", error.what(), "; choose another with --out"));
  }
  run.lock();
  check_free(run.path_, overwrite);  // somebody else may have trained it since
  remove_run(run.path_);
  return run;
}

RunFolder RunFolder::open(const std::string& path) {
  RunFolder run;
  run.path_ = path;
  run.saved_ = flows::open_run(path);
  return run;
}

void RunFolder::save_config(const flows::Config& config, const KnownData& known) {
  saved_ = {path_, config, known};
  Json json = {{"version", flows::kRunVersion}};
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
  const bool begun = fs::exists(file("log.csv"));
  append_to_file(file("log.csv"), (begun ? "" : join(log_keys(), ",") + "\n") + csv_line(line));
}

std::optional<std::vector<flows::EpochReport>> RunFolder::log_of(const RunState& state) const {
  auto log = read_log();
  std::erase_if(log, [&](const flows::EpochReport& r) { return r.step > state.step; });
  const bool whole = std::any_of(log.begin(), log.end(), [&](const flows::EpochReport& r) {
    return r.epoch == state.best_epoch && r.valid_nats == state.best_valid_nats;
  });
  if (state.best_epoch > 0 && !whole) return {};
  return log;
}

std::vector<flows::EpochReport> RunFolder::read_log() const {
  std::vector<flows::EpochReport> reports;
  for_log_lines(file("log.jsonl"), [&](const LogLine& line) {
    if (line.report) reports.push_back(*line.report);
  });
  return reports;
}

std::vector<std::int64_t> RunFolder::truncate_log(std::int64_t step, std::int64_t epochs,
                                                  std::int64_t best_epoch, double best_nats) const {
  if (!fs::exists(file("log.jsonl"))) {
    fs::remove(file("log.csv"));
    return {};
  }
  std::vector<std::int64_t> damaged;
  std::string kept, table = join(log_keys(), ",") + "\n";
  for_log_lines(file("log.jsonl"), [&](const LogLine& line) {
    if (!line.report) return damaged.push_back(line.number);
    const flows::EpochReport& r = *line.report;
    const bool best = r.epoch == best_epoch && r.valid_nats == best_nats;
    if (r.step > step || (r.epoch > epochs && !best)) return;
    kept += line.text + "\n";
    table += csv_line(line.json);
  });
  atomic_write(file("log.jsonl"), kept);
  atomic_write(file("log.csv"), table);
  return damaged;
}

double RunFolder::epochs_of(const flows::EpochReport& r) const {
  const std::int64_t batch = config().training.batch_size;
  const std::int64_t per_epoch =
      std::max<std::int64_t>(1, (known().train.count + batch - 1) / batch);
  const double part = static_cast<double>(r.step % per_epoch) / static_cast<double>(per_epoch);
  return static_cast<double>(r.epoch) - (part > 0 ? 1 - part : 0);
}

std::string RunFolder::best_name(const std::vector<flows::EpochReport>& log,
                                 std::int64_t best_epoch, double best_nats) const {
  const auto best = std::find_if(log.begin(), log.end(), [&](const flows::EpochReport& r) {
    return r.epoch == best_epoch && r.valid_nats == best_nats;
  });
  const bool whole = best == log.end() || epochs_of(*best) == static_cast<double>(best_epoch);
  return str("epoch ", best_epoch, whole ? "" : str(" as far as step ", best->step));
}

std::string title_of(const flows::Config& config) {
  return config.model + " on " + fs::path(config.data.source).filename().string();
}

std::string RunFolder::curve(const std::vector<flows::EpochReport>& log) const {
  data::Series train{"train", {}, {}}, valid{"validation", {}, {}};
  for (const flows::EpochReport& r : log) {
    const double epoch = epochs_of(r);
    train.x.push_back(epoch);
    train.y.push_back(r.train_nats);
    valid.x.push_back(epoch);
    valid.y.push_back(r.valid_nats);
  }
  return data::curve_svg({title_of(config()), "epoch", "log-likelihood, nats"}, {train, valid});
}

void tell_damaged(const RunFolder& run, const std::vector<std::int64_t>& lines,
                  const Common& common) {
  if (lines.empty()) return;
  constexpr std::size_t kMost = 8;
  std::vector<std::string> numbers;
  for (const std::int64_t line : lines) {
    if (numbers.size() < kMost) numbers.push_back(str(line));
  }
  const std::size_t more = lines.size() - numbers.size();
  const bool one = lines.size() == 1;
  common.note(str("note: ", run.file("log.jsonl"), one ? ": line " : ": lines ",
                  join(numbers, ", "), more > 0 ? str(" and ", more, " more") : "",
                  one ? " is" : " are", " damaged and left out"));
}

}  // namespace nf::cli
