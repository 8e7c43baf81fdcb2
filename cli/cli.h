// What the commands of flowcli share: common options, exit statuses, output.
#pragma once

#include <CLI/CLI.hpp>
#include <cmath>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tensor/error.h"
#include "tensor/storage.h"

namespace nf::cli {

enum ExitStatus { kDone = 0, kFailed = 1, kUsage = 2, kDiverged = 3, kInterrupted = 130 };

using Json = nlohmann::ordered_json;

/// What was asked for does not exist or does not apply: exit status 2. What fails because of a
/// file, the data or the machine is an Error: status 1.
class UsageError : public Error {
 public:
  using Error::Error;
};

/// Throws UsageError with all `parts` as its message unless `right`.
template <class... Parts>
void check_usage(bool right, const Parts&... parts) {
  if (!right) throw UsageError(str(parts...));
}

/// JSON has no NaN and infinity: they become null.
inline Json number(double value) { return std::isfinite(value) ? Json(value) : Json(); }

/// Options that every command takes.
struct Common {
  std::string device = "auto";
  int threads = 0;
  bool quiet = false;
  bool json = false;

  void add_to(CLI::App& app);
  /// Sets the thread count and chooses the device (auto: CUDA where there is one); to be called
  /// before any work.
  Device apply() const;
  /// Whether nothing is shown on the way: --quiet, or another process shows it.
  bool silent() const;
  /// One line to stderr, unless silent.
  void note(const std::string& line) const;
  /// The result of a command: `object` on stdout with --json, else `text`.
  void result(const Json& object, const std::string& text) const;
};

/// Writes "flowcli: MESSAGE" to stderr, as one line.
void complain(const std::string& message);

// What the values of options may be; the message of each names the value and the rule in one line.
CLI::Validator whole(std::int64_t lowest,
                     std::int64_t highest = std::numeric_limits<std::int64_t>::max());
CLI::Validator real(double lowest, double highest = std::numeric_limits<double>::max());
CLI::Validator one_of(const std::vector<std::string>& names);
/// A word of a command line in quotes, harmless and cut where it is long, as messages have it.
std::string shown_word(const std::string& word);
/// --seed; `what`: "Of the noise"
void add_seed(CLI::App& app, std::uint64_t& seed, const std::string& what);

/// No option of any command takes '' for a value: leaving it out is something else.
void forbid_empty_values(CLI::App& app);

/// How --help looks: at most 80 columns, each option with its type, choices and default.
std::shared_ptr<CLI::FormatterBase> help_format();
/// What a command line that CLI11 cannot parse lacks, in one line.
std::string usage_message(const CLI::App& app, const CLI::ParseError& error);
/// Throws UsageError when the first word is neither a command nor an option.
void check_command(const CLI::App& app, int argc, const char* const* argv);

// The types of arguments that are one of some names or a file, as help shows them and completion
// reads them.
std::string source_type();                                       ///< SOURCE:{glyphs,moons,...,PATH}
std::string model_type();                                        ///< NAME:{nice,...,PATH}
std::string choice_type(const std::vector<std::string>& names);  ///< NAME:{a,b}

inline constexpr const char* kNoGraphHelp =
    "On CUDA, launch every operation of a step by itself instead of replaying a recorded step";

/// Adds all commands to the program (commands.cpp). The callback of a command throws Error to fail,
/// and Interrupted when a signal ended what it could finish in part.
void add_commands(CLI::App& app);
struct Interrupted {};

}  // namespace nf::cli
