// Rows in a caller's memory: looked at with suspicion, read into tensors, written from them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "c/model.h"
#include "c/nf.h"
#include "tensor/tensor.h"

namespace nf::c {

/// An nf_array that was checked, with strides that are what they say.
struct View {
  std::byte* data;
  std::int64_t rows, columns, row_stride, column_stride;
  std::int32_t type;

  std::byte* row(std::int64_t i) const { return data + i * row_stride; }
};

/// Throws WrongCall, naming the function and the array, for what cannot be `columns` numbers a row.
View readable(const char* function, const char* name, const nf_array* array, std::int64_t columns);
/// The same for `rows` rows that are written to; u8 only where they are pixels.
View writable(const char* function, const char* name, const nf_array* array, std::int64_t rows,
              std::int64_t columns, bool pixels);

/// f64 (N, C). Rows with a number that is not finite are zeros, and told in `broken`.
Tensor read_reals(const View& rows, std::vector<std::int64_t>& broken);
/// Throws WrongCall where there are such rows.
Tensor read_finite(const char* function, const char* name, const View& rows);
/// Data as the model's density takes them: f64, or u8 levels of pixels. Throws WrongCall for pixels
/// that are none, and for what is no whole number where the model knows no other.
Tensor read_data(const char* function, const nf_model& model, const View& rows,
                 std::vector<std::int64_t>& broken);
/// What is given with n rows, (n, G): f64, or i32 labels. Undefined where nothing is. Throws
/// WrongCall where the model wants something else.
Tensor read_given(const char* function, const nf_model& model, const nf_array* given,
                  std::int64_t n, std::vector<std::int64_t>& broken);

/// values (N, C) on the CPU, of any dtype.
void write_rows(const Tensor& values, const View& rows);

}  // namespace nf::c
