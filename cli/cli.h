// What the commands of flowcli share: common options, exit statuses, output.
#pragma once

#include <CLI/CLI.hpp>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string>

#include "tensor/error.h"
#include "tensor/storage.h"

namespace nf::cli {

enum ExitStatus { kDone = 0, kFailed = 1, kUsage = 2, kDiverged = 3, kInterrupted = 130 };

using Json = nlohmann::ordered_json;

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
  /// One line to stderr, unless --quiet.
  void note(const std::string& line) const;
  /// The result of a command: `object` on stdout with --json, else `text`.
  void result(const Json& object, const std::string& text) const;
};

// The types of arguments that are one of some names or a file, as help shows them and completion
// reads them.
std::string source_type();  ///< SOURCE:{glyphs,moons,...,PATH}
std::string model_type();   ///< NAME:{nice,...,PATH}

inline constexpr const char* kNoGraphHelp =
    "On CUDA, launch every operation of a step by itself instead of replaying a recorded step";

// Each adds one command to the program. Its callback throws nf::Error to fail, or sets `status`.
void add_train(CLI::App& app, int& status);
void add_resume(CLI::App& app, int& status);
void add_eval(CLI::App& app);
void add_check(CLI::App& app);
void add_sample(CLI::App& app);
void add_score(CLI::App& app);
void add_encode(CLI::App& app);
void add_decode(CLI::App& app);
void add_interpolate(CLI::App& app);
void add_spectrum(CLI::App& app);
void add_manifold(CLI::App& app);
void add_inpaint(CLI::App& app, int& status);
void add_inspect(CLI::App& app);
void add_bench(CLI::App& app);
void add_data(CLI::App& app);
void add_plot(CLI::App& app);
void add_report(CLI::App& app);
void add_completion(CLI::App& app);

}  // namespace nf::cli
