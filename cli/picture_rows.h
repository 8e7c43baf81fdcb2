// Rows of pictures, one above the other: what becomes of some rows of data.
#pragma once

#include <string>
#include <vector>

#include "cli/choice.h"

namespace nf::cli {

/// The rows of data again, decoded.
struct PictureRow {
  std::string what;   ///< "label=3"
  Json facts;         ///< the same as JSON
  Tensor z;           ///< (N, D)
  Tensor given = {};  ///< (N, G), of a conditional model
};

/// What such a command takes beside its own options.
struct PictureOptions {
  Common common;
  ModelOptions model;
  RowOptions rows;
  int scale = 0;
  std::string out;

  /// `file`: the name in the run's folder.
  void add_to(CLI::App& app, const char* file);
};

/// Before anything is computed: throws UsageError for a file that is no picture of `count` rows
/// below that of the data, each of n.
void check_picture_rows(const char* command, const PictureOptions& options,
                        const TrainedModel& model, const std::string& out, std::int64_t n,
                        std::int64_t count);

/// Writes the N rows of data, below them each of `pictures`, and says which is which. `facts`: more
/// of the result.
void write_picture_rows(const char* command, const PictureOptions& options,
                        const TrainedModel& model, const std::string& out, const Rows& rows,
                        const std::vector<PictureRow>& pictures, Json facts);

}  // namespace nf::cli
