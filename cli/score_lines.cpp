// flowcli score RUN --data -: a filter, and what it shares with the scores of a file.
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <exception>

#include "cli/choice.h"
#include "cli/evaluation.h"
#include "cli/lines.h"
#include "cli/score.h"
#include "cli/table.h"
#include "data/columns.h"
#include "data/csv.h"
#include "data/given.h"
#include "data/splits.h"
#include "flows/layers/residual.h"
#include "tensor/ops.h"
#include "tensor/text.h"

namespace nf::cli {

bool ScoreOptions::line_by_line() const {
  return rows.data == data::kStandardInput && (out.empty() || out == kStandardOutput);
}

// --- flags --------------------------------------------------------------------------------------

std::optional<Flagging> flagging_of(const ScoreOptions& options, const TrainedModel& model) {
  if (!options.flag && !options.typicality) return std::nullopt;
  const char* const what = options.flag ? "[flag] " : "[typicality] ";
  const std::optional<HeldOut> kept = held_out_of(model);
  NF_CHECK(kept, what, model.run.path(),
           " has no held-out scores to compare with (heldout.safetensors): its training has not "
           "ended, or had no rows for validation or test");
  const bool best = model.state.best_epoch > 0;
  check_usage(options.model.weights == "best" || !best, what,
              "the held-out scores are of the best weights: leave --weights out");
  const bool draws = model.density->bound() || flows::estimates_log_det(*model.density);
  check_usage(options.evaluate.noise_draws == 1 || !draws, what,
              "the held-out scores are of one draw of the noise: leave ",
              options.importance > 0 ? "--importance" : "--noise-draws", " out");
  const auto unusual = options.typicality ? flows::Unusual::Far : flows::Unusual::Low;
  Flagging flagging{options.flag, flows::HeldOutScores(kept->scores, unusual), kept->split};
  const double least = flagging.held_out.least();
  check_usage(!options.flag || flagging.flags(least), "[flag] ", options.flag.value_or(0),
              " would flag nothing: beside ", flagging.held_out.size(),
              " held-out rows the least p-value is ", least, "; give a level above that");
  return flagging;
}

// --- lines --------------------------------------------------------------------------------------

std::string ScoreLines::header(bool q_values, bool why) const {
  return str("row,nats,bits_per_dim", flagging_ ? ",p_value" : "",
             flagging_ && q_values ? ",q_value" : "", flagging_ && flagging_->level ? ",flag" : "",
             ",file_row", why ? ",why\n" : "\n");
}

std::string ScoreLines::line(std::int64_t row, double log_prob,
                             std::optional<std::int64_t> file_row, std::optional<double> q_value,
                             const std::optional<std::string>& why) const {
  std::string text = str(row, ",", fixed(density_.nats(log_prob), 6), ",",
                         fixed(density_.bits_per_dim(log_prob), 6));
  if (flagging_) {
    const double p = flagging_->held_out.p_value(log_prob);
    text += str(",", p);
    if (q_value) text += str(",", *q_value);
    if (flagging_->level) text += flagging_->flags(p) ? ",1" : ",0";
  }
  text += "," + (file_row ? str(*file_row) : std::string());
  if (why) text += "," + (why->empty() ? "" : data::csv_field(*why));
  return text + "\n";
}

// --- the filter ---------------------------------------------------------------------------------

namespace {

// Standard input, as many whole lines at a time as are there.
class WaitingLines {
 public:
  /// Waits for a line at least; none: the input has ended.
  std::vector<std::string> next() {
    constexpr std::size_t kLongest = 1 << 23;  // what is longer is no line, and is refused as one
    std::vector<std::string> lines;
    while (lines.empty() && !ended_) {
      char bytes[1 << 16];
      const ssize_t got = ::read(STDIN_FILENO, bytes, sizeof bytes);
      if (got < 0 && errno == EINTR) continue;
      NF_CHECK(got >= 0, "[read] standard input: ", std::strerror(errno));
      ended_ = got == 0;
      begun_.append(bytes, static_cast<std::size_t>(got));
      if (!end_of_line_) end_of_line_ = ending();
      std::size_t at = 0;
      for (std::size_t end;
           end_of_line_ && (end = begun_.find(*end_of_line_, at)) != std::string::npos;
           at = end + 1) {
        lines.push_back(begun_.substr(at, end - at));
      }
      begun_.erase(0, at);
      if ((ended_ && !begun_.empty()) || begun_.size() > kLongest) {
        lines.push_back(std::move(begun_));
        begun_.clear();
      }
    }
    return lines;
  }

 private:
  /// How lines end: as read_csv() tells it, by what is there of the first one. \r as the last byte
  /// may be half of \r\n.
  std::optional<char> ending() const {
    if (begun_.find('\n') != std::string::npos) return '\n';
    const std::size_t at = begun_.find('\r');
    if (at == std::string::npos || (at + 1 == begun_.size() && !ended_)) return std::nullopt;
    return '\r';
  }

  std::string begun_;  // a line whose end has not come
  std::optional<char> end_of_line_;
  bool ended_ = false;
};

// Rows for the model, of lines that are read together.
class RowReader {
 public:
  explicit RowReader(const TrainedModel& model)
      : model_(model), lines_(data::kStandardInput, reading(model)) {
    const Tensor whole = model.density->whole_columns();
    if (whole.defined()) whole_ = whole.to(Device::CPU).to(DType::F64).to_vector<double>();
  }

  /// x (n, D), undefined without a row, and what is given. `places`: which rows of the input they
  /// are. `bad`: set for the line behind them that is none.
  data::Split rows(const std::vector<std::string>& lines, std::vector<std::int64_t>& places,
                   std::exception_ptr& bad) {
    std::vector<Tensor> rows, given;
    places.clear();
    for (const std::string& line : lines) {
      try {
        const std::vector<double> numbers = lines_.row(line);
        if (numbers.empty()) continue;
        const data::Split row = as_row(numbers);
        for (; noted_ < lines_.notes().size(); ++noted_) {
          model_.common.note("note: " + lines_.notes()[noted_]);
        }
        rows.push_back(row.x);
        places.push_back(taken_++ + dropped());
        if (row.given.defined()) given.push_back(row.given);
      } catch (const Error&) {
        bad = std::current_exception();
        break;
      }
    }
    data::Split out;
    if (!rows.empty()) out.x = concat(rows, 0);
    if (!given.empty()) out.given = concat(given, 0);
    return out;
  }
  std::int64_t dropped() const { return lines_.dropped(); }  ///< rows that lack a number

 private:
  static data::ReadOptions reading(const TrainedModel& model) {
    const data::LoadOptions own = flows::load_options(model.run.config());
    data::ReadOptions out{.columns = own.columns,
                          .given = data::parse_given(own.given).columns,
                          .split_by = data::parse_split_by(own.split_by).column,
                          .may_lack_split_by = true,
                          .drop = own.drop,
                          .label = own.label,
                          .known = model.shape.columns,
                          .missing_words = own.missing_words};
    out.known.insert(out.known.end(), out.given.begin(), out.given.end());
    out.keep_missing = own.keep_missing;
    out.drop_missing = own.drop_missing;
    out.categories = data::categories_of(model.shape);
    return out;
  }

  data::Split as_row(const std::vector<double>& numbers) {
    data::Dataset row;
    row.name = data::shown_path(data::kStandardInput);
    row.dims = std::ssize(numbers);
    row.columns = lines_.columns();
    row.train.x = Tensor::from(numbers, {1, row.dims});
    data::take_given(row, data::parse_given(model_.run.config().data.given), /*of_run=*/true);
    if (!model_.shape.columns.empty()) {
      const std::string note = data::match_columns(row, model_.shape.columns);
      if (!note.empty() && !matched_) model_.common.note("note: " + note);
      matched_ = true;
    }
    NF_CHECK(row.dims == model_.shape.dims, "[data] the model is for ", model_.shape.dims,
             "-dimensional real numbers, standard input has ", row.dims, " columns");
    for (std::size_t j = 0; j < whole_.size(); ++j) {
      const double value = row.train.x.data<double>()[j];
      NF_CHECK(whole_[j] == 0 || std::isnan(value) || value == std::floor(value),
               "[csv] 'standard input', line ", lines_.line_number(),
               ": the model takes whole numbers in column '",
               printable(data_columns(model_.shape)[j], 40), "', not ", value);
    }
    return row.train;
  }

  const TrainedModel& model_;
  data::CsvLines lines_;
  std::vector<double> whole_;  // 1 for columns of whole numbers, or none
  std::int64_t taken_ = 0;     // rows that lack nothing
  std::size_t noted_ = 0;      // notes of the lines that are told
  bool matched_ = false;       // a row was matched with the model's columns, and its note told
};

// At once, because a filter may run for ever; how many there are is told at the end.
void tell_first(const std::vector<bool>& known, std::int64_t before, const TrainedModel& model) {
  const auto first = std::find(known.begin(), known.end(), true);
  if (first == known.end()) return;
  model.common.note(str("note: row ", before + (first - known.begin()),
                        " of standard input is also a training row of ", model.run.path(),
                        "; the end tells how many are"));
}

void check_line_by_line(const ScoreOptions& options, const TrainedModel& model) {
  const std::pair<const char*, bool> needs_all[] = {{"--sort", options.sort},
                                                    {"--why", options.why},
                                                    {"--png", !options.png.empty()},
                                                    {"--against", !options.against.empty()},
                                                    {"--split", !options.rows.split.empty()},
                                                    {"--count", options.rows.count > 0},
                                                    {"--indices", !options.rows.indices.empty()},
                                                    {"--json", options.common.json}};
  for (const auto& [option, given] : needs_all) {
    check_usage(!given, "[score] --data - is scored line by line, for which there is no ", option,
                "; with --out FILE.csv all rows are read first");
  }
  check_usage(!names_labels(model.shape),
              "[score] labels are read with all rows: give --out FILE.csv");
  check_usage(!model.shape.discrete,
              "[score] the model is for pixels, which do not come as CSV; "
              "give a file of them with --data");
}

}  // namespace

void score_line_by_line(const ScoreOptions& options, const TrainedModel& model) {
  check_line_by_line(options, model);
  const std::optional<Flagging> flagging = flagging_of(options, model);
  const ScoreLines csv(*model.density, flagging);
  WaitingLines input;
  RowReader reader(model);
  const auto training = training_rows_of(model, !model.shape.given.empty());
  std::int64_t count = 0, nan = 0, trained_on = 0;
  std::vector<std::int64_t> places;
  std::exception_ptr bad;
  while (!bad) {
    const std::vector<std::string> lines = input.next();
    if (lines.empty()) break;
    const data::Split rows = reader.rows(lines, places, bad);
    const Tensor& x = rows.x;
    if (!x.defined()) continue;
    flows::EvaluateOptions evaluate = options.evaluate;
    evaluate.given = rows.given;
    std::vector<std::int32_t> samples;
    for (const std::int64_t place : places) {
      samples.push_back(static_cast<std::int32_t>(place & 0x7FFFFFFF));
    }
    evaluate.samples = Tensor::from(samples, {x.dim(0)});
    const auto known = training ? training->among(x, rows.given) : std::vector<bool>();
    if (trained_on == 0) tell_first(known, count, model);
    trained_on += std::count(known.begin(), known.end(), true);
    std::string text = count == 0 ? csv.header() : "";
    std::size_t i = 0;
    for (const double score : flows::score(*model.density, x, evaluate)) {
      text += csv.line(count, score, places[i++]);
      nan += std::isnan(score) ? 1 : 0;
      ++count;
    }
    const bool written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
    NF_CHECK(written && std::fflush(stdout) == 0,
             "[write] standard output: ", std::strerror(errno));
  }
  tell_trained_on(model, trained_on, count, data::shown_path(data::kStandardInput));
  if (reader.dropped() > 0) {
    options.common.note(str("note: ", reader.dropped(), " of ", count + reader.dropped(),
                            " rows of standard input lack a number and are left out"));
  }
  if (bad) std::rethrow_exception(bad);
  NF_CHECK(count > 0, "[csv] 'standard input': holds no rows of numbers");
  const std::string broken = str("the model gives NaN for ", nan, " of ", count, " rows");
  if (nan == count) throw flows::Diverged("[score] " + broken);
  if (nan > 0) options.common.note("note: " + broken);
}

}  // namespace nf::cli
