// Arrays of files as samples: rows with the geometry of images, and their labels.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace nf::data {

struct Samples {
  Split rows;
  std::int64_t channels = 0, height = 0, width = 0;  ///< all 0 when the rows are not images
  std::vector<std::string> columns;                  ///< names, where the file has them
  std::string family;                                ///< of Dataset
  std::vector<std::string> groups;                   ///< of each row, with ReadOptions::split_by
  std::vector<std::string> notes;                    ///< of Dataset
  bool chose_layout = false;                         ///< ReadOptions::layout says something of it
  bool pictures = false;     ///< ReadOptions::images and skip_bad say something of it
  std::int64_t skipped = 0;  ///< of Dataset
  std::vector<std::string> class_names = {};              ///< of Dataset
  std::string form = {};                                  ///< of Dataset
  std::vector<std::vector<std::string>> categories = {};  ///< of Dataset
};

/// How a file is read.
struct ReadOptions {
  /// Where arrays (N, A, B, C) have their channels: "first" (A) or "last" (C). "auto": on the side
  /// whose size is 1, 3 or 4.
  std::string layout = "auto";
  /// The columns of a table that are wanted, in this order; none: all. In a table without names
  /// they are 1, 2, ... or x1, x2, ...
  std::vector<std::string> columns = {};
  /// Columns that a model is given. With `columns` they are wanted, too, behind these.
  std::vector<std::string> given = {};
  /// A column that says which rows belong together (Samples::groups). It is no column of the rows.
  /// A text column of a CSV file may be one.
  std::string split_by = {};
  bool may_lack_split_by = false;      ///< of files that are not cut
  std::vector<std::string> drop = {};  ///< columns that are left out
  /// A column whose values are the labels of the rows. It is no column of the rows, may be text,
  /// and may lack where split_by may.
  std::string label = {};
  bool labels_alone = false;  ///< no rows are wanted, of a CSV file
  /// Of a run that took all columns: their names. Others are not looked at, with a note.
  std::vector<std::string> known = {};
  std::vector<std::string> missing_words = {};  ///< cells that say that a number is missing, too
  bool drop_missing = false;  ///< rows of a CSV file that lack a number are left out, and counted
  /// Cells of a CSV file that lack a number, or a category, are NaN; but not of what is given.
  bool keep_missing = false;
  /// Columns of a CSV file whose cells are categories, with the values that a model knows; none:
  /// those that there are, in ascending order. Cells become their places.
  std::map<std::string, std::vector<std::string>> categories = {};
  /// Columns whose first cell is text and no date are categories, too,
  bool guess_categories = false;
  std::vector<std::string> numbers = {};  ///< but for these
  bool lines = false;                     ///< Table::lines (csv.h) are wanted
  std::string images = {};                ///< what is done to pictures (picture_steps.h)
  bool skip_bad = false;  ///< pictures that cannot be read are left out, and counted
  std::vector<std::string> class_names = {};  ///< of LoadOptions (source.h), or of `label`
  bool of_run = false;                        ///< of LoadOptions: less is told
};

/// The array read from `path` as samples: (N, D) rows, (N, H, W) gray images, images of several
/// channels as `options.layout` says. Pixels are u8; every other type becomes f64.
/// Throws Error for other shapes, for none, for channels on both sides or on none, and for numbers
/// that are not finite or beyond f32's range, naming row and column; SettingError for columns that
/// are not there.
Samples samples_of(const std::string& path, const Tensor& array, const ReadOptions& options = {});

/// Images as the batches of CIFAR and of small ImageNet have them in Python and MATLAB, under the
/// name "data": u8 rows (N, 3 S S) of one plane after the other, S 32 or 64. Nothing for other
/// arrays.
std::optional<Samples> planar_samples(const std::string& path, const Tensor& array);

/// One part from several files of it, in this order. Throws Error when they are not alike.
Samples joined(const std::string& path, const std::vector<Samples>& files);

/// Positions of the columns that `options` wants among `names`. Throws SettingError, with the
/// nearest name, for one that is not there, and when none is left; Error for one that is there
/// twice.
std::vector<std::int32_t> wanted_columns(const std::string& path,
                                         const std::vector<std::string>& names,
                                         const ReadOptions& options);
/// The position of options.split_by, -1 without; throws SettingError when it is not there but must
/// be.
std::int32_t split_by_column(const std::string& path, const std::vector<std::string>& names,
                             const ReadOptions& options);
/// The same of options.label.
std::int32_t label_column(const std::string& path, const std::vector<std::string>& names,
                          const ReadOptions& options);
/// A note that names the columns that options.known does not; empty without any.
std::string ignored_columns(const std::string& path, const std::vector<std::string>& names,
                            const ReadOptions& options);
/// The values of a label column as i32 (N): their places in `classes`. Empty classes become the
/// values that there are, in ascending order, of numbers by size. Throws Error for a value that is
/// none of the classes, with place(row) before it, and for more than 1000 values.
Tensor labels_of_values(const std::string& path, const std::vector<std::string>& values,
                        std::vector<std::string>& classes,
                        const std::function<std::string(std::size_t)>& place);
/// "1", "2", ...: the names of columns without names.
std::vector<std::string> numbered(std::int64_t columns);

/// Integers (N) or (N, 1) as labels i32 (N) of `samples` samples. Throws Error when they are not
/// whole, negative or absurdly large, or another number.
Tensor labels_of(const std::string& path, const Tensor& array, std::int64_t samples);

}  // namespace nf::data
