// Who wants to know how far reading has come, where that takes long.
#pragma once

#include <cstdint>
#include <functional>

namespace nf::data {

/// Called when about `done` of `total` files are read, from the thread that loads, and at the end
/// with both equal. One for the process, to be set before anything is loaded; empty: nobody wants
/// to know.
using ReadingReport = std::function<void(std::int64_t done, std::int64_t total)>;

inline ReadingReport& reading_report() {
  static ReadingReport report;
  return report;
}

}  // namespace nf::data
