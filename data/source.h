// Data sources by name: what the user types as DATA becomes a Dataset.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace nf::data {

struct LoadOptions {
  /// Of the built-in sources, which are drawn; files do not depend on it.
  std::uint64_t seed = 0;
  /// Samples in each split; -1 takes the source's own number:
  ///   built-in densities    100000 / 20000 / 20000
  ///   glyphs                50000 / 10000 / 10000
  ///   tones                 20000 / 2000 / 2000
  ///   MNIST, CIFAR, SVHN    their published parts; the end of the training part for validation:
  ///                         1/6 of MNIST (50k/10k/10k), 1/5 of CIFAR (40k/10k/10k, as in NICE's
  ///                         paper), 1/10 of SVHN
  ///   other files           their own parts; what is missing is cut from the training rows after
  ///                         these were put in an order drawn at random, the same every time: the
  ///                         last 1/10 for test, the 1/10 before it for validation
  /// Asked for fewer, a part gives some of its rows (of published ones the first, else of a part
  /// that was cut the last, or rows drawn at random), and no row moves into another part. Only 0,
  /// more than 1/10, and more training rows than are left otherwise move a cut.
  std::int64_t train = -1, valid = -1, test = -1;
  /// One array or table is cut in the order of the file instead: train, valid and test one after
  /// the other are then its rows as they stand.
  bool in_file_order = false;
  /// Files whose rows are the validation and the test part, instead of rows of the source.
  std::string valid_data = {}, test_data = {};
  /// A column of a table whose rows of equal value never fall into different parts, as
  /// measurements of one patient. The groups go to the parts in an order drawn at random, the same
  /// every time; with "ordered:COLUMN" in ascending order of the values (times), so that the test
  /// is the latest. The column is not modelled.
  std::string split_by = {};
  /// "2/5": the test part is the second of five equal parts of all rows, of which the five together
  /// are all; validation is cut from the others. Files that have no parts of their own.
  std::string fold = {};
  /// What is given to a conditional density: "label" or columns (given.h). These columns are taken
  /// out of the rows, whatever `columns` says.
  std::string given = {};
  /// Names of the columns of a table to take, in this order; none: all.
  std::vector<std::string> columns = {};
  std::vector<std::string> drop = {};  ///< columns of a table that are left out
  /// A column of a table, numbers or text, whose values become the labels of the rows. It is no
  /// column of them.
  std::string label = {};
  std::vector<std::string> known = {};          ///< of a run: ReadOptions (samples.h)
  std::vector<std::string> missing_words = {};  ///< of CSV files: ReadOptions
  bool drop_missing = false;                    ///< the same
  bool keep_missing = false;                    ///< the same
  bool guess_categories = false;                ///< the same
  /// Of a run: the values of categories, by the names of their columns.
  std::map<std::string, std::vector<std::string>> categories = {};
  std::string layout = "auto";    ///< of images: ReadOptions (samples.h)
  std::string types = {};         ///< of columns: column_types() (columns.h)
  std::string images = {};        ///< what is done to pictures: PictureSteps (picture_steps.h)
  int bits = 8;                   ///< of pixels, 1..8: reduce_bits() (levels.h)
  std::string binarize = "none";  ///< of pixels: binarize() (levels.h)
  bool skip_bad = false;          ///< of pictures: leave out those that cannot be read
  bool keep_parts = false;        ///< of pictures: Dataset::parts, all rows before they are cut
  /// Which classes labels 0, 1, ... are, those of a model: the folders of pictures, or the values
  /// of the column `label`; none: those that are there, in their order. Another one is an Error.
  std::vector<std::string> class_names = {};
  /// The settings are those of a run that takes these data, not of who names them now: a layout or
  /// split_by that does not apply is no error.
  bool of_run = false;
  /// Of a run, for rows that are not its own: its columns, which match_columns() (columns.h) takes,
  /// by position where they have no names.
  std::optional<std::vector<std::string>> names = {};
};

/// `spec` is the name of a built-in source, a path, or "format:path" (formats.h). A path is a
/// folder with the files of MNIST, CIFAR or SVHN, a folder of pictures (picture_files.h), or a
/// single file: IDX, .npy, .npz, .mat, CSV, CIFAR's records, gzipped or not, PNG or JPEG, told by
/// the content. "-" is CSV from standard input.
///
/// Throws Error for an unknown name (with the nearest one) and a missing or malformed file;
/// SettingError (setting_error.h) for counts that the source does not have and options that do not
/// apply to it.
Dataset load(const std::string& spec, const LoadOptions& options = {});

/// glyphs, tones and the densities of toy2d.h.
std::vector<std::string> built_in_sources();

}  // namespace nf::data
