// What is given to a conditional model on the command line: --given and --given-file.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "cli/trained_model.h"
#include "flows/runs/in_parts.h"

namespace nf::cli {

/// What a command takes: one row; one or several, of samples that are drawn for each of them; one
/// for all latents that are decoded, or one for each.
enum class GivenRows { One, OfSamples, OfLatents };

inline constexpr const char* kAll = "all";  ///< --given: every label

struct GivenOptions {
  std::string given, file;

  void add_to(CLI::App& app, GivenRows rows);

  /// (M, G), each row of what is asked for; undefined for a model that is not conditional. Of a
  /// model of any columns given any others (partial.h) whole rows (M, D), of which NaN is asked
  /// for, or nothing without an option. Without
  /// an option: every label, or the rows of the test part. Throws UsageError for what the model
  /// does not know, for values that are missing, and for an option that would change nothing.
  Tensor rows(const TrainedModel& model) const;
  /// (1, G), where one row is wanted: --given must say which. `or_else`: another way, for messages.
  Tensor one_row(const TrainedModel& model, const char* command, const char* or_else = "") const;
};

/// What "a=1,b=2" names, or "1" where one thing is given: which column of what is given, and its
/// value. Throws UsageError for what the model is not given, a value that it cannot have, and a
/// name that stands twice.
using GivenValues = std::vector<std::pair<std::size_t, double>>;
GivenValues parse_given_values(const std::string& text, const data::Dataset& shape);
/// given (N, G), the same in all rows where it says so.
Tensor with_values(const Tensor& given, const GivenValues& values);

/// (n, G), the rows of `given` (M, G) in turn, each as often as the others: n / M times in a row.
/// Undefined stays undefined.
Tensor spread_over(const Tensor& given, std::int64_t n);

/// What pictures of a training are drawn with: each label in turn, or what is given with the first
/// validation (or training) rows; undefined where nothing is given.
Tensor given_of_pictures(const data::Dataset& data, std::int64_t n);

using flows::given_part;

}  // namespace nf::cli
