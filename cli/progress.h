// The progress bar of what takes long, on stderr.
#pragma once

#include <cstdint>
#include <string>

namespace nf::cli {

/// A line that is redrawn in place, at most ten times a second, with the time that is left. Shows
/// nothing when stderr is no terminal or `quiet` is set.
class Progress {
 public:
  explicit Progress(bool quiet, std::int64_t first_step = 0);
  /// After `step` of `total` steps: LABEL [###...] 30%  TEXT  ETA 1:23
  void step(std::int64_t step, std::int64_t total, const std::string& label,
            const std::string& text);
  /// Removes the bar, so that a line can be printed.
  void clear();
  double seconds() const;  ///< since the start
  /// The speed since the start, after `step`.
  double steps_per_second(std::int64_t step) const;

 private:
  bool visible_;
  std::int64_t first_step_;
  double started_, drawn_ = 0;
};

/// From now on a bar shows how far reading data has come, where that takes long (data/progress.h).
void show_reading(bool quiet);

}  // namespace nf::cli
