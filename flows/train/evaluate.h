// Scores of rows, and what a density reaches on average.
#pragma once

#include <functional>
#include <limits>
#include <span>
#include <vector>

#include "comm/shards.h"
#include "flows/density.h"

namespace nf::flows {

struct Evaluation {
  double nats = 0, nats_se = 0;  ///< mean over samples and its standard error, in the convention
  double bits_per_dim = 0, bits_per_dim_se = 0;
  std::int64_t count = 0;  ///< samples
  int noise_draws = 1;
};

struct EvaluateOptions {
  std::int64_t batch_size = 1000;
  int noise_draws = 1;  ///< of a density that is a bound, for each sample
  /// false: the mean of log_prob over the draws, a bound however many there are. true: ln of the
  /// mean of exp(log_prob), importance weighted: a bound that rises with the draws to the log
  /// probability itself (Burda, Grosse, Salakhutdinov 2016, eq. 8). Of noise that is not uniform
  /// log_prob has ln p - ln q, so that these are the weights p / q.
  bool importance = false;
  std::uint64_t seed = 0;  ///< of the noise; the density's own generators are left as they were
  /// i32 (N): whose noise the rows get, so that a row has the same score in any company; undefined:
  /// 0 to N - 1.
  Tensor samples = {};
  Tensor given = {};  ///< (N, G), of a conditional density; see Density
  /// Called after each draw of each batch: so many log densities are done of N * noise_draws. False
  /// ends it: score() gives the scores of the batches that are done, which may be none.
  std::function<bool(std::int64_t done, std::int64_t total)> on_draw = {};
};

/// The mean of some numbers and its standard error; NaN is kept. The error of one number is NaN.
struct MeanAndError {
  double mean = std::numeric_limits<double>::quiet_NaN();
  double error = std::numeric_limits<double>::quiet_NaN();
};
MeanAndError mean_and_error(const std::vector<double>& values);
/// Of a - b, row by row: what scores of the same rows differ by. Throws Error for other sizes.
MeanAndError paired_difference(const std::vector<double>& a, const std::vector<double>& b);

/// log_prob of each row of x, nats, in evaluation mode. Draw k of a row is its noise of round k:
/// the same in any batch, and whatever is drawn besides. A batch is mapped once for each draw, so
/// that memory does not grow with them. Throws Error for no rows.
std::vector<double> score(Density& density, const Tensor& x, const EvaluateOptions& options = {});
/// The same of a density that is in evaluation mode; `noise`: its generators, which are placed and
/// put back. Without any nothing of the density changes, and several threads may score by it.
std::vector<double> score_examined(Density& density, const Tensor& x,
                                   const EvaluateOptions& options,
                                   std::span<Generator* const> noise);

/// Area under the ROC curve of telling `inside` from `outside` by their scores: the probability
/// that one drawn from `inside` is the higher, a tie counting half. 1: always; 0.5: the score tells
/// nothing. A NaN counts as the lowest. (Hanley, McNeil 1982) Throws Error when either is empty.
double auroc(std::vector<double> inside, std::vector<double> outside);

/// Mean log density over the rows of x (every one of them, NaN included), in evaluation mode.
Evaluation evaluate(Density& density, const Tensor& x, const EvaluateOptions& options = {});
/// The same by several processes, each of which scores its shards of the rows: each row's score
/// goes to all of them, so that mean and error are exact, and depend on the number of shards at
/// most. Where on_draw of one returns false, all end after that draw, with the rows that each has
/// done.
Evaluation evaluate(Density& density, const Tensor& x, const EvaluateOptions& options,
                    const comm::Shards& shards);
std::vector<double> score(Density& density, const Tensor& x, const EvaluateOptions& options,
                          const comm::Shards& shards);
/// The same of what score() gave.
Evaluation evaluation_of(const Density& density, const std::vector<double>& scores,
                         int noise_draws = 1);

}  // namespace nf::flows
