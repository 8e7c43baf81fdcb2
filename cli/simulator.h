// A program of the user's that answers each line of parameters with a line of numbers, in several
// processes at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace nf::cli {

struct SimulatorOptions {
  std::string program;      ///< an executable file, or a command line for sh
  std::int64_t workers;     ///< processes at a time
  std::int64_t lines_each;  ///< that one process is given, before its standard input is closed
  std::size_t columns;      ///< numbers that it answers each line with
  double timeout;           ///< seconds without an answer, and without an end; 0: any
  std::uint64_t seed;       ///< of kSimulatorSeed
};

/// Each process finds a number here, which depends on SimulatorOptions::seed and its first line.
inline constexpr const char* kSimulatorSeed = "FLOWCLI_SEED";

/// One line for the program; `number` is its place among all.
struct SimulatorLine {
  std::int64_t number;
  std::string text;
};

/// Calls answer(number, numbers) for each line, in the order in which answers come. A number that
/// is NaN, infinite or missing is NaN or infinity there. Which lines share a process depends on
/// their numbers alone, not on the workers. Returns early after a signal (interrupt.h, caught and
/// with SIGPIPE ignored). Throws Error for a program that ends too early or with another status
/// than 0, writes what is no row of so many numbers, writes lines that nobody asked for, or takes
/// too long: which line, and what it said on standard error. However this ends, all processes that
/// it started, with those of their groups, have ended before.
void simulate(const SimulatorOptions& options, const std::vector<SimulatorLine>& lines,
              const std::function<void(std::int64_t, const std::vector<double>&)>& answer);

/// Throws Error for a program that is no command line and cannot be run.
void check_simulator(const std::string& program);

}  // namespace nf::cli
