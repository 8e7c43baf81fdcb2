#include "cli/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "tensor/clock.h"

namespace nf::cli {

namespace {

int terminal_width() {
  winsize size{};
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

}  // namespace

std::string duration_text(double seconds) {
  const auto s = static_cast<long long>(std::max(0.0, seconds) + 0.5);
  char text[40];
  if (s >= 3600) {
    std::snprintf(text, sizeof text, "%lld:%02lld:%02lld", s / 3600, s / 60 % 60, s % 60);
  } else {
    std::snprintf(text, sizeof text, "%lld:%02lld", s / 60, s % 60);
  }
  return text;
}

Progress::Progress(std::int64_t first_step, std::int64_t batch_size, bool quiet)
    : visible_(!quiet && isatty(STDERR_FILENO)),
      first_step_(first_step),
      batch_size_(batch_size),
      started_(seconds_now()) {}

double Progress::samples_per_second(std::int64_t step) const {
  return static_cast<double>((step - first_step_) * batch_size_) /
         std::max(1e-9, seconds_now() - started_);
}

void Progress::step(const flows::StepReport& report) {
  if (!visible_ || seconds_now() - drawn_ < 0.1) return;
  drawn_ = seconds_now();
  const double share = static_cast<double>(report.step) / static_cast<double>(report.total_steps);
  const double per_step = (drawn_ - started_) /
                          static_cast<double>(std::max<std::int64_t>(1, report.step - first_step_));
  const double left = per_step * static_cast<double>(report.total_steps - report.step);
  constexpr int kBar = 20;
  std::string bar(static_cast<std::size_t>(share * kBar), '#');
  bar.resize(kBar, '.');
  char text[200];
  std::snprintf(text, sizeof text, "epoch %lld [%s] %3.0f%%  %.4g nats  %.0f samples/s  ETA %s",
                static_cast<long long>(report.epoch), bar.c_str(), 100 * share, report.nats,
                samples_per_second(report.step), duration_text(left).c_str());
  std::string line = text;
  line.resize(std::min<std::size_t>(line.size(), static_cast<std::size_t>(terminal_width() - 1)));
  std::fprintf(stderr, "\r\x1b[K%s", line.c_str());
  std::fflush(stderr);
}

void Progress::clear() {
  if (visible_) std::fputs("\r\x1b[K", stderr);
}

}  // namespace nf::cli
