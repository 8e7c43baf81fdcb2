#include "cli/simulations.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <optional>
#include <string_view>
#include <utility>

#include "data/csv.h"
#include "data/csv_cells.h"
#include "tensor/files.h"
#include "tensor/text.h"

namespace nf::cli {

namespace {

constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 36;

// The shortest text that reads back as the same number.
std::string shortest(double value) {
  if (!std::isfinite(value)) return "nan";
  char text[32];
  return std::string(text, std::to_chars(text, text + sizeof text, value).ptr);
}

// The cells of a line without quotes; nothing where there is another number of them.
std::optional<std::vector<std::string_view>> cells_of_line(std::string_view line,
                                                           std::size_t count) {
  std::vector<std::string_view> cells;
  for (std::size_t from = 0;;) {
    const std::size_t end = line.find(',', from);
    cells.push_back(line.substr(from, end - from));
    if (end == line.npos) break;
    from = end + 1;
  }
  if (cells.size() != count) return {};
  return cells;
}

// Calls visit(line) for each line that has an end.
template <class Visit>
void for_lines(std::string_view text, const Visit& visit) {
  for (std::size_t end; (end = text.find('\n')) != text.npos; text.remove_prefix(end + 1)) {
    visit(text.substr(0, end));
  }
}

double number_or_nan(std::string_view cell) {
  const std::optional<double> number = data::cell_number(cell);
  return number ? *number : std::nan("");
}

Json json_of(const SimulationRound& round) {
  return {{"simulations", round.simulations},
          {"tried", round.tried},
          {"threshold", number(round.threshold)}};
}

std::vector<SimulationRound> rounds_of(const Json& json) {
  std::vector<SimulationRound> rounds;
  for (const Json& one : json) {
    rounds.push_back({.simulations = one.at("simulations").get<std::int64_t>(),
                      .tried = one.at("tried").get<std::int64_t>()});
    const Json& threshold = one.at("threshold");
    if (threshold.is_number()) rounds.back().threshold = threshold.get<double>();
    NF_CHECK(rounds.back().simulations >= 0 && rounds.back().tried >= 0, "negative");
  }
  return rounds;
}

}  // namespace

Simulations::Simulations(const std::string& folder, const std::vector<std::string>& parameters,
                         const std::vector<std::string>& data, const Json& identity)
    : folder_(folder),
      names_(parameters),
      parameters_(parameters.size()),
      data_(data.size()),
      identity_(identity),
      journal_(nullptr, std::fclose) {
  names_.insert(names_.end(), data.begin(), data.end());
  const std::string facts = folder_ + "/infer.json";
  if (!std::filesystem::exists(facts)) {
    for (const char* file : {"simulations.csv", "posterior.csv", "config.json", "ensemble.json",
                             "state.safetensors", "best.safetensors", "last.safetensors"}) {
      NF_CHECK(!std::filesystem::exists(folder_ + "/" + file), "[infer] ", printable(folder_),
               " has a ", file, " but no infer.json; choose another --out, or move it away");
    }
    return;
  }
  constexpr std::uint64_t kMostFacts = 1 << 24;
  const Json json = Json::parse(read_file(facts, kMostFacts), nullptr, /*allow_exceptions=*/false);
  std::int64_t rows = 0;
  try {
    rounds_ = rounds_of(json.at("rounds"));
    noted_ = json.at("training");
    for (const SimulationRound& round : rounds_) rows += round.simulations;
  } catch (const std::exception&) {
    fail("[infer] '" + printable(facts) + "' is damaged; choose another --out");
  }
  for (const auto& [key, value] : identity_.items()) {
    const Json before = json.value(key, Json());
    NF_CHECK(before == value, "[infer] the simulations in ", printable(folder_), " are of another ",
             key, " (", printable(before.dump(), 60), ", not ", printable(value.dump(), 60),
             "); choose another --out");
  }
  read_rows(rows);
  read_journal();
}

Simulations::~Simulations() = default;

std::int64_t Simulations::count(State state) const {
  return std::count(states_.begin(), states_.end(), state);
}

// Rows behind those of all rounds were planned by a process that was killed then.
void Simulations::read_rows(std::int64_t rows) {
  const std::string text = read_file(path(), kMostBytes);
  bool header = true;
  std::size_t line_number = 0;
  for_lines(text, [&](std::string_view line) {
    ++line_number;
    if (std::exchange(header, false) || size() == rows) return;
    const auto cells = cells_of_line(line, names_.size());
    NF_CHECK(cells, "[infer] '", printable(path()), "', line ", line_number,
             " is damaged; put it back, or choose another --out");
    bool waits = true, done = true;
    for (std::size_t i = 0; i < cells->size(); ++i) {
      values_.push_back(number_or_nan((*cells)[i]));
      if (i < parameters_) continue;
      waits = waits && (*cells)[i].empty();
      done = done && std::isfinite(values_.back());
    }
    states_.push_back(waits ? State::Waiting : done ? State::Done : State::Failed);
  });
  NF_CHECK(size() == rows, "[infer] '", printable(path()), "' has ", size(), " rows of ", rows,
           "; put it back, or choose another --out");
}

void Simulations::read_journal() {
  const std::string journal = folder_ + "/simulations.journal";
  if (!std::filesystem::exists(journal)) return;
  for_lines(read_file(journal, kMostBytes), [&](std::string_view line) {
    const auto cells = cells_of_line(line, data_ + 1);
    const double row = cells ? number_or_nan(cells->front()) : -1;
    if (!(row >= 0 && row < static_cast<double>(size()))) return;  // cut off
    std::vector<double> data;
    for (std::size_t i = 1; i <= data_; ++i) data.push_back(number_or_nan((*cells)[i]));
    set(static_cast<std::int64_t>(row), data);
  });
  save();
}

void Simulations::add(const Tensor& parameters, const SimulationRound& round, bool more) {
  if (rounds_.empty()) save_facts();  // so that what a killed process leaves is known to be ours
  const std::vector<double> all = parameters.to_vector<double>();
  for (std::size_t i = 0; i < all.size(); i += parameters_) {
    const auto first = all.begin() + static_cast<std::ptrdiff_t>(i);
    values_.insert(values_.end(), first, first + static_cast<std::ptrdiff_t>(parameters_));
    values_.resize(values_.size() + data_, std::nan(""));
    states_.push_back(State::Waiting);
  }
  if (more) {
    rounds_.back().simulations += round.simulations;
    rounds_.back().tried = round.tried;
  } else {
    rounds_.push_back(round);
  }
  save();
  save_facts();
}

std::vector<std::int64_t> Simulations::to_do() const {
  std::vector<std::int64_t> rows;
  for (std::size_t i = 0; i < states_.size(); ++i) {
    if (states_[i] == State::Waiting) rows.push_back(static_cast<std::int64_t>(i));
  }
  return rows;
}

std::string Simulations::line(std::int64_t row) const {
  std::string text;
  for (std::size_t i = 0; i < parameters_; ++i) {
    if (i > 0) text += ',';
    text += shortest(values_[static_cast<std::size_t>(row) * names_.size() + i]);
  }
  return text;
}

void Simulations::set(std::int64_t row, const std::vector<double>& data) {
  const auto at = static_cast<std::size_t>(row);
  const bool done =
      std::all_of(data.begin(), data.end(), [](double x) { return std::isfinite(x); });
  for (std::size_t i = 0; i < data_; ++i) {
    values_[at * names_.size() + parameters_ + i] = done ? data[i] : std::nan("");
  }
  states_[at] = done ? State::Done : State::Failed;
}

void Simulations::answer(std::int64_t row, const std::vector<double>& data) {
  set(row, data);
  const std::string path = folder_ + "/simulations.journal";
  if (!journal_) journal_.reset(std::fopen(path.c_str(), "ae"));
  std::string line = str(row);
  for (const double x : data) line += "," + shortest(x);
  line += '\n';
  NF_CHECK(
      journal_ && std::fputs(line.c_str(), journal_.get()) >= 0 && std::fflush(journal_.get()) == 0,
      "[infer] '", printable(path), "': ", std::strerror(errno));
}

void Simulations::save() {
  atomic_write(path(), [&](FileWriter& file) {
    std::string text;
    for (std::size_t i = 0; i < names_.size(); ++i) {
      text += (i > 0 ? "," : "") + data::csv_field(names_[i]);
    }
    file.write(text + "\n");
    for (std::size_t row = 0; row < states_.size(); ++row) {
      text = line(static_cast<std::int64_t>(row));
      for (std::size_t i = parameters_; i < names_.size(); ++i) {
        text += ',';
        if (states_[row] != State::Waiting) text += shortest(values_[row * names_.size() + i]);
      }
      file.write(text + "\n");
    }
  });
  journal_.reset();
  std::error_code ignored;  // what stays there is read again, and the same
  std::filesystem::remove(folder_ + "/simulations.journal", ignored);
}

Tensor Simulations::data() const {
  std::vector<double> all;
  for (std::size_t row = 0; row < states_.size(); ++row) {
    if (states_[row] != State::Done) continue;
    const auto first =
        values_.begin() + static_cast<std::ptrdiff_t>(row * names_.size() + parameters_);
    all.insert(all.end(), first, first + static_cast<std::ptrdiff_t>(data_));
  }
  return Tensor::from(
      all, {std::ssize(all) / static_cast<std::int64_t>(data_), static_cast<std::int64_t>(data_)});
}

void Simulations::note(const Json& value) {
  noted_ = value;
  save_facts();
}

void Simulations::save_facts() const {
  Json json = identity_;
  json["rounds"] = Json::array();
  for (const SimulationRound& round : rounds_) json["rounds"].push_back(json_of(round));
  json["training"] = noted_;
  atomic_write(folder_ + "/infer.json", json.dump(2) + "\n");
}

}  // namespace nf::cli
