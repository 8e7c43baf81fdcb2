// The columns of a table: what they are taken for, and what stands in them.
#pragma once

#include <string>

#include "cli/cli.h"
#include "data/dataset.h"

namespace nf::cli {

/// Whether the data are reals of a file, of which each column has a unit of its own.
bool is_table(const data::Dataset& data);

/// Type, least, largest, mean and deviation of each column in the training rows: as a table the
/// first 12, into json["per_column"] all. What `types` does not say is guessed (data/columns.h).
std::string describe_columns(const data::Dataset& data, const std::string& types, Json& json);

/// Before a training: how a table was read, what its columns are taken for, and which of them a
/// model will hardly learn as they are: those with values far beyond their quantiles, and where
/// `categories` can be had whole numbers that are 0 and 1 alone.
void tell_columns(const data::Dataset& data, const std::string& types, const Common& common,
                  bool categories);

}  // namespace nf::cli
