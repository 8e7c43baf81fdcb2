// Numbers that a table says of pictures: attributes.csv in their folder.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tensor/tensor.h"

namespace nf::data {

inline constexpr const char* kAttributes = "attributes.csv";

class PictureAttributes {
 public:
  PictureAttributes() = default;
  /// The columns `wanted` of FOLDER/attributes.csv. Its first line has names, its first column
  /// files: by their paths below the folder, or by their names alone. The other columns are
  /// numbers. Throws SettingError of "given" where there is no such table or column, Error for a
  /// table that cannot be read and for a file that stands there twice.
  PictureAttributes(const std::string& folder, const std::vector<std::string>& wanted);

  /// Whether there are any: columns were wanted.
  bool any() const { return values_.defined(); }
  /// The row of a picture; throws Error, which begins with `name`, where it has none.
  std::int64_t row_of(const std::string& name, const std::string& path) const;
  /// f64 (N, G) of these rows.
  Tensor at(const std::vector<std::int32_t>& rows) const;

 private:
  std::string path_;
  std::map<std::string, std::int64_t> rows_;
  Tensor values_;
};

}  // namespace nf::data
