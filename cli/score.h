// How scores are written, by `score` on a file and line by line, and which rows it flags.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/choice.h"
#include "flows/examine/p_value.h"

namespace nf::cli {

struct ScoreOptions {
  Common common;
  ModelOptions model;
  RowOptions rows;
  std::string out, png;
  std::vector<std::string> against;
  bool sort = false;
  std::optional<double> flag;  ///< the p-value below which a row is flagged
  bool why = false;            ///< which columns make a row unusual
  bool typicality = false;     ///< unusual is what is far from the held-out mean, on either side
  EvaluateOptions evaluate;
  int importance = 0;  ///< draws of the importance-weighted bound; 0: the plain one
  std::int64_t strangest = 64;
  int scale = 0;

  /// Whether rows are scored as they come: from standard input to standard output.
  bool line_by_line() const;
};

/// The scores of held-out rows that a run keeps, and the level below which a p-value is flagged.
struct Flagging {
  std::optional<double> level;
  flows::HeldOutScores held_out;
  std::string split;  ///< of the held-out rows

  bool flags(double p_value) const { return level && p_value < *level; }
};
/// Nothing without --flag and --typicality. Throws Error where the run has no held-out scores,
/// UsageError where they are of other weights or noise, or so few that none can be flagged.
std::optional<Flagging> flagging_of(const ScoreOptions& options, const TrainedModel& model);

/// Lines of CSV: row, nats in the model's convention, bits/dim, where held-out rows are compared
/// with the p-value and, of rows that are all known, the q-value, with --flag flag (0 or 1), the
/// row of the file (empty where there is none), and with --why names of columns.
class ScoreLines {
 public:
  ScoreLines(const flows::Density& density, const std::optional<Flagging>& flagging)
      : density_(density), flagging_(flagging) {}
  std::string header(bool q_values = false, bool why = false) const;
  std::string line(std::int64_t row, double log_prob, std::optional<std::int64_t> file_row,
                   std::optional<double> q_value = {},
                   const std::optional<std::string>& why = {}) const;

 private:
  const flows::Density& density_;
  const std::optional<Flagging>& flagging_;
};

/// Scores rows of standard input as they come: a line for each at once, in batches where several
/// lines are there already. Throws Error for a line that is no row of the model, when those before
/// are written.
void score_line_by_line(const ScoreOptions& options, const TrainedModel& model);

}  // namespace nf::cli
