// The progress bar of training, on stderr.
#pragma once

#include <cstdint>
#include <string>

#include "flows/fit.h"

namespace nf::cli {

/// "3:07", "1:02:45"
std::string duration_text(double seconds);

/// A line that is redrawn in place, at most ten times a second, with the time that is left. Shows
/// nothing when stderr is no terminal or `quiet` is set.
class Progress {
 public:
  Progress(std::int64_t first_step, std::int64_t batch_size, bool quiet);
  void step(const flows::StepReport& report);
  /// Removes the bar, so that a line can be printed.
  void clear();
  /// Samples in a second since the start.
  double samples_per_second(std::int64_t step) const;

 private:
  bool visible_;
  std::int64_t first_step_, batch_size_;
  double started_, drawn_ = 0;
};

}  // namespace nf::cli
