#include "tensor/memory.h"

#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <sstream>

#include "tensor/error.h"

namespace nf {

namespace {

constexpr std::uint64_t kNoLimit = std::numeric_limits<std::uint64_t>::max();

/// The number after `key` in a file of lines "KEY 123", `otherwise` when it is not there.
std::uint64_t entry(const std::string& path, const std::string& key, std::uint64_t otherwise) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with(key)) continue;
    std::istringstream rest(line.substr(key.size()));
    std::uint64_t value = 0;
    if (rest >> value) return value;
  }
  return otherwise;
}

/// The same of lines "KEY: 123 kB", in bytes.
std::uint64_t kilobytes(const std::string& path, const std::string& key) {
  const std::uint64_t value = entry(path, key, kNoLimit);
  return value == kNoLimit ? kNoLimit : value * 1024;
}

/// The number that a file consists of; no limit when it is none ("max") or not there.
std::uint64_t number_in(const std::string& path) {
  std::ifstream file(path);
  std::uint64_t value = 0;
  return file >> value ? value : kNoLimit;
}

/// What is left below a limit; cgroup v1 writes a number beyond any machine for no limit.
std::uint64_t left(std::uint64_t limit, std::uint64_t used) {
  if (limit == kNoLimit || used == kNoLimit) return kNoLimit;
  return limit - std::min(limit, used);
}

/// What the container uses, but for files that the system only keeps while there is room.
std::uint64_t used_in_container(const std::string& usage, const std::string& stat,
                                const std::string& prefix) {
  const std::uint64_t used = number_in(usage);
  const std::uint64_t files =
      entry(stat, prefix + "inactive_file ", 0) + entry(stat, prefix + "active_file ", 0);
  return used == kNoLimit ? kNoLimit : used - std::min(used, files);
}

std::uint64_t left_in_container() {
  const std::string v2 = "/sys/fs/cgroup/memory.", v1 = "/sys/fs/cgroup/memory/memory.";
  return std::min(left(number_in(v2 + "max"), used_in_container(v2 + "current", v2 + "stat", "")),
                  left(number_in(v1 + "limit_in_bytes"),
                       used_in_container(v1 + "usage_in_bytes", v1 + "stat", "total_")));
}

std::uint64_t left_of_address_space() {
  rlimit limit{};
  if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return kNoLimit;
  return left(limit.rlim_cur, kilobytes("/proc/self/status", "VmSize:"));
}

}  // namespace

std::uint64_t available_memory() {
  return std::min(
      {kilobytes("/proc/meminfo", "MemAvailable:"), left_in_container(), left_of_address_space()});
}

std::string bytes_text(double bytes) {
  const char* const units[] = {"B", "kB", "MB", "GB", "TB", "PB"};
  std::size_t unit = 0;
  while (bytes >= 999.5 && unit + 1 < std::size(units)) {
    bytes /= 1000;
    ++unit;
  }
  char text[64];
  std::snprintf(text, sizeof text, unit == 0 ? "%.0f %s" : "%.1f %s", bytes, units[unit]);
  return text;
}

namespace {

constexpr std::size_t kWords = 16384;
std::atomic<void*> put_aside = std::malloc(kWords);

}  // namespace

void out_of_memory(const char* operation) {
  std::free(put_aside.exchange(nullptr));
  const Error error(
      str("[", operation, "] out of memory; use a smaller batch or model, or end other programs"));
  std::free(put_aside.exchange(std::malloc(kWords)));  // to throw takes no more of it
  throw error;
}

void check_memory(double bytes, const std::string& what, const std::string& advice) {
  constexpr double kAlwaysThere = 16e6;  // not worth three files to be read
  if (bytes < kAlwaysThere) return;
  const auto free = static_cast<double>(available_memory());
  NF_CHECK(bytes <= free, "[memory] ", what, " needs ", bytes_text(bytes), ", ", bytes_text(free),
           " are free; ", advice);
}

}  // namespace nf
