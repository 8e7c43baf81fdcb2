// What `infer` is asked: options, draws of the prior, observed rows.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/cli.h"
#include "tensor/tensor.h"

namespace nf::cli {

struct InferOptions {
  Common common;
  std::string program, prior, observed, out, types;
  std::string model = "nsf", quantiles = ".05,.5,.95";
  std::vector<std::string> settings;
  std::int64_t simulations = 0, rounds = 1, workers = 0, lines_each = 0, count = 10'000;
  double timeout = 0;
  std::uint64_t seed = 1;
};

/// What is asked: P parameters of the prior's M draws, K rows of G observed numbers.
struct Problem {
  std::vector<std::string> parameters, data;
  Tensor prior, observed;  // f64 (M, P), (K, G)
};

/// Throws Error for files that do not fit together, UsageError for rounds of several observations.
Problem read_problem(const InferOptions& options);
/// --types, and bounds where the draws of a parameter end at an edge: a density without them would
/// leak there.
std::string types_of(const InferOptions& options, const Problem& problem);
/// In double quotes, as --given and --types take any name.
std::string quoted_name(const std::string& name);
/// Throws UsageError for settings that no training takes, before anything is simulated.
void check_settings(const InferOptions& options);

}  // namespace nf::cli
