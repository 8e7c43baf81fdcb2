// Rows of numbers as text: --out FILE.csv, or - for standard output.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "cli/trained_model.h"
#include "data/csv.h"

namespace nf::cli {

inline constexpr const char* kStandardOutput = "-";

/// Whether what goes to `out` is CSV.
inline bool is_csv(const std::string& out) {
  return out == kStandardOutput || out.ends_with(".csv");
}
/// Throws UsageError unless `out` can be written: "-", or a file with one of the endings. Of images
/// there is no CSV; standard output takes a table or, with --json, the result.
void check_out(const char* command, const std::string& out,
               std::initializer_list<std::string> endings, const data::Dataset& shape,
               const Common& common);

/// The second of these by itself.
void check_stdout(const char* command, const std::string& out, const Common& common);

/// Where lines of text go: a file, which is there when all is written, or standard output.
void write_text(const std::string& out, const std::function<void(const data::CsvWriter::Sink&)>& w);

/// The names of the columns; x1, x2, ... where the model knows none.
std::vector<std::string> data_columns(const data::Dataset& shape);
/// Whether labels are given that are the values of a column, which names them.
bool names_labels(const data::Dataset& shape);
/// What stands in CSV for labels 0, 1, ... that are given; nothing where numbers do.
std::vector<std::string> words_of_given(const data::Dataset& shape);
/// What stands in CSV for 0, 1, ... in each of so many columns, of which the first are those of the
/// data where `with_data`, and the last that of labels where some are given.
std::vector<std::vector<std::string>> words_of(const data::Dataset& shape, std::size_t columns,
                                               bool with_data, bool with_given);
/// The names of what is given to a conditional model: the column of labels, where they have one.
std::vector<std::string> given_columns(const data::Dataset& shape);
/// z1, z2, ...
std::vector<std::string> latent_columns(std::int64_t dims);
/// Data (N, D) of a model as CSV, in which columns of whole numbers, and levels, are such; else as
/// write_samples() of trained_model.h. CSV has what was given (N, G) behind the data; with
/// `numbered` samples for each row that was given, that row's number comes first, from 0. A
/// grid of images has so many columns (0: about square).
void write_samples(const std::string& out, const Tensor& x, const TrainedModel& model, int scale,
                   const Tensor& given = {}, std::int64_t columns = 0, std::int64_t numbered = 0);
/// Of each column of a model's data, whether it holds whole numbers.
std::vector<bool> whole_columns(const TrainedModel& model);

/// Latents (N, dims), f32, of a .npy or CSV file or of standard input, where a header names z1, z2,
/// ... in any order. Throws Error for other names and shapes, and numbers that are not finite.
Tensor read_latents(const std::string& path, const data::Dataset& shape, std::int64_t dims);

/// What messages call `out`.
std::string shown_out(const std::string& out);
/// The result of a command that wrote to `out`. Where that is standard output, the text is a note.
void tell_result(const Common& common, const std::string& out, const Json& object,
                 const std::string& text);

}  // namespace nf::cli
