#include "cli/progress.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <memory>

#include "cli/lines.h"
#include "data/progress.h"
#include "tensor/clock.h"
#include "tensor/error.h"

namespace nf::cli {

Progress::Progress(bool quiet, std::int64_t first_step)
    : visible_(!quiet && isatty(STDERR_FILENO)), first_step_(first_step), started_(seconds_now()) {}

double Progress::seconds() const { return std::max(1e-9, seconds_now() - started_); }

double Progress::steps_per_second(std::int64_t step) const {
  return static_cast<double>(step - first_step_) / seconds();
}

void Progress::step(std::int64_t step, std::int64_t total, const std::string& label,
                    const std::string& text) {
  if (!visible_ || seconds_now() - drawn_ < 0.1) return;
  drawn_ = seconds_now();
  const double share = static_cast<double>(step) / static_cast<double>(total);
  const double left = static_cast<double>(total - step) / std::max(1e-9, steps_per_second(step));
  constexpr int kBar = 20;
  std::string bar(static_cast<std::size_t>(share * kBar), '#');
  bar.resize(kBar, '.');
  char percent[16];
  std::snprintf(percent, sizeof percent, "%3.0f%%", 100 * share);
  std::string line =
      str(label, " [", bar, "] ", percent, "  ", text, "  ETA ", duration_text(left));
  line.resize(std::min<std::size_t>(line.size(),
                                    static_cast<std::size_t>(terminal_width(STDERR_FILENO) - 1)));
  std::fprintf(stderr, "\r\x1b[K%s", line.c_str());
  std::fflush(stderr);
}

void Progress::clear() {
  if (visible_) std::fputs("\r\x1b[K", stderr);
}

void show_reading(bool quiet) {
  data::reading_report() = [quiet, bar = std::make_shared<std::unique_ptr<Progress>>()](
                               std::int64_t done, std::int64_t total) {
    if (!*bar) *bar = std::make_unique<Progress>(quiet);
    if (done == 0 && total > 0) return;  // nothing is known of the speed yet
    if (done < total) return (*bar)->step(done, total, "reading", str(done, " of ", total));
    (*bar)->clear();
    bar->reset();
  };
}

}  // namespace nf::cli
