#include "c/arrays.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "c/border.h"
#include "data/levels.h"
#include "tensor/memory.h"
#include "tensor/ops.h"
#include "tensor/text.h"

namespace nf::c {

namespace {

// A number of the type `to`, wherever it lies.
template <class T>
T load(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

// visit.operator()<T>() for the type of a view.
template <class Visit>
void visit_type(std::int32_t type, const Visit& visit) {
  if (type == NF_F64) return visit.template operator()<double>();
  if (type == NF_F32) return visit.template operator()<float>();
  visit.template operator()<std::uint8_t>();
}

std::int64_t size_of_type(std::int32_t type) {
  return type == NF_F64 ? sizeof(double) : type == NF_F32 ? sizeof(float) : 1;
}

View checked(const char* function, const char* name, const nf_array* array, std::int64_t columns) {
  const auto where = [&] { return str("[", function, "] ", name); };
  check_call(array, where(), " is NULL");
  check_call(array->type == NF_F64 || array->type == NF_F32 || array->type == NF_U8, where(),
             ".type is ", array->type, "; give NF_F64, NF_F32 or NF_U8");
  constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
  check_call(array->rows >= 0 && array->rows <= kMost, where(), ".rows is ", array->rows,
             "; give 0 to ", kMost, " at a time");
  check_call(array->columns == columns, where(), " has ", array->columns,
             " columns, where the model takes ", columns);
  check_call(array->data || array->rows == 0, where(), ".data is NULL");
  const std::int64_t size = size_of_type(array->type);
  View view{static_cast<std::byte*>(array->data),
            array->rows,
            columns,
            array->row_stride,
            array->column_stride,
            array->type};
  if (view.row_stride == 0 && view.column_stride == 0) {
    view.column_stride = size;
    view.row_stride = columns * size;
  }
  // From the first byte to the last, either way.
  const auto steps = [](std::int64_t count, std::int64_t stride) {
    return static_cast<double>(count) * std::abs(static_cast<double>(stride));
  };
  check_call(steps(view.rows, view.row_stride) + steps(columns, view.column_stride) < 0x1p62,
             where(), " has strides of ", view.row_stride, " and ", view.column_stride,
             " bytes, which lead out of memory");
  return view;
}

void check_room(const View& rows, std::size_t size, const char* what) {
  constexpr double kLittle = 1 << 26;  // asking costs more than taking it
  const double bytes = static_cast<double>(rows.rows) * static_cast<double>(rows.columns) *
                       static_cast<double>(size);
  if (bytes > kLittle) check_memory(bytes, str(rows.rows, what), "give fewer at a time");
}

// Each number of the rows to set(i, j, value).
template <class Set>
void for_each_number(const View& rows, const Set& set) {
  visit_type(rows.type, [&]<class T>() {
    for (std::int64_t i = 0; i < rows.rows; ++i) {
      const std::byte* at = rows.row(i);
      for (std::int64_t j = 0; j < rows.columns; ++j, at += rows.column_stride) {
        set(i, j, static_cast<double>(load<T>(at)));
      }
    }
  });
}

Tensor read_pixels(const char* function, const View& rows, int levels) {
  check_room(rows, 1, " images");
  Tensor out = Tensor::empty({rows.rows, rows.columns}, DType::U8);
  std::uint8_t* to = out.mutable_data<std::uint8_t>();
  for_each_number(rows, [&](std::int64_t i, std::int64_t j, double value) {
    check_call(value >= 0 && value < data::kLevels && value == std::floor(value), "[", function,
               "] row ", i, ", column ", j, " is ", value, "; pixels are whole numbers from 0 to ",
               data::kLevels - 1);
    *to++ = static_cast<std::uint8_t>(value);
  });
  return data::levels_of_pixels(out, std::countr_zero(static_cast<unsigned>(levels)));
}

// Which bits a pixel of other grey becomes is chance, and no reader's to draw.
Tensor read_bits(const char* function, const View& rows) {
  check_room(rows, 1, " images");
  Tensor out = Tensor::empty({rows.rows, rows.columns}, DType::U8);
  std::uint8_t* to = out.mutable_data<std::uint8_t>();
  for_each_number(rows, [&](std::int64_t i, std::int64_t j, double value) {
    check_call(value == 0 || value == 1 || value == data::kLevels - 1, "[", function, "] row ", i,
               ", column ", j, " is ", value, "; the model takes bits, 0 and 1 or 0 and 255: make ",
               "each pixel 1 with probability pixel / 255 (run of --binarize)");
    *to++ = value > 0 ? 1 : 0;
  });
  return out;
}

Tensor read_labels(const char* function, const View& rows, int classes) {
  Tensor out = Tensor::empty({rows.rows, 1}, DType::I32);
  std::int32_t* to = out.mutable_data<std::int32_t>();
  for_each_number(rows, [&](std::int64_t i, std::int64_t, double value) {
    check_call(value >= 0 && value < classes && value == std::floor(value), "[", function,
               "] given: label ", value, " of row ", i, " is none of the model's, which are 0 to ",
               classes - 1);
    *to++ = static_cast<std::int32_t>(value);
  });
  return out;
}

void check_whole(const char* function, const nf_model& model, const Tensor& x) {
  for (std::size_t j = 0; j < model.whole.size(); ++j) {
    if (!model.whole[j]) continue;
    const double* at = x.data<double>() + j;
    for (std::int64_t i = 0; i < x.dim(0); ++i, at += x.dim(1)) {
      check_call(*at == std::floor(*at), "[", function, "] row ", i, ", column ", j, " is ", *at,
                 "; the model takes whole numbers there");
    }
  }
}

}  // namespace

View readable(const char* function, const char* name, const nf_array* array, std::int64_t columns) {
  return checked(function, name, array, columns);
}

View writable(const char* function, const char* name, const nf_array* array, std::int64_t rows,
              std::int64_t columns, bool pixels) {
  const View view = checked(function, name, array, columns);
  check_call(view.rows == rows, "[", function, "] ", name, " has ", view.rows, " rows for ", rows,
             " results");
  check_call(pixels || view.type != NF_U8, "[", function, "] ", name,
             " is NF_U8, for results that are no pixels; give NF_F64 or NF_F32");
  // Rows lie behind each other, or columns do.
  const auto apart = [&](std::int64_t inner, std::int64_t n, std::int64_t outer, std::int64_t m) {
    const std::int64_t size = size_of_type(view.type), step = std::abs(inner);
    const std::int64_t taken = n < 2 ? size : step * (n - 1) + size;
    return (n < 2 || step >= size) && (m < 2 || std::abs(outer) >= taken);
  };
  check_call(apart(view.column_stride, columns, view.row_stride, view.rows) ||
                 apart(view.row_stride, view.rows, view.column_stride, columns),
             "[", function, "] ", name, " has strides of ", view.row_stride, " and ",
             view.column_stride, ": its numbers lie over each other");
  return view;
}

Tensor read_reals(const View& rows, std::vector<std::int64_t>& broken) {
  check_room(rows, sizeof(double), " rows");
  Tensor out = Tensor::empty({rows.rows, rows.columns}, DType::F64);
  double* to = out.mutable_data<double>();
  visit_type(rows.type, [&]<class T>() {
    for (std::int64_t i = 0; i < rows.rows; ++i, to += rows.columns) {
      const std::byte* at = rows.row(i);
      double zero = 0;  // NaN where a number is not finite
      for (std::int64_t j = 0; j < rows.columns; ++j, at += rows.column_stride) {
        to[j] = static_cast<double>(load<T>(at));
        zero += to[j] * 0;
      }
      if (zero == 0) continue;
      broken.push_back(i);
      std::fill(to, to + rows.columns, 0.0);
    }
  });
  return out;
}

Tensor read_finite(const char* function, const char* name, const View& rows) {
  std::vector<std::int64_t> broken;
  Tensor out = read_reals(rows, broken);
  check_call(broken.empty(), "[", function, "] ", name, ": row ",
             broken.empty() ? 0 : broken.front(), " has a number that is not finite");
  return out;
}

Tensor read_data(const char* function, const nf_model& model, const View& rows,
                 std::vector<std::int64_t>& broken) {
  if (model.run.config.data.binarize != "none") return read_bits(function, rows);
  if (model.discrete()) return read_pixels(function, rows, model.shape.levels);
  Tensor x = read_reals(rows, broken);
  check_whole(function, model, x);
  return x;
}

Tensor read_given(const char* function, const nf_model& model, const nf_array* given,
                  std::int64_t n, std::vector<std::int64_t>& broken) {
  const std::vector<std::string>& names = model.shape.given;
  if (names.empty()) {
    check_call(!given, "[", function, "] given would change nothing: ", model.run.path,
               " is no conditional model; give NULL");
    return {};
  }
  check_call(given, "[", function, "] the model is conditional: give ",
             printable(join(names, ", ")), " with each row");
  const View rows = readable(function, "given", given, std::ssize(names));
  check_call(rows.rows == n || rows.rows == 1, "[", function, "] given has ", rows.rows,
             " rows for ", n, "; give as many, or one for all");
  const int classes = model.shape.given_classes;
  const Tensor values =
      classes > 0 ? read_labels(function, rows, classes) : read_reals(rows, broken);
  if (rows.rows == n) return values;
  if (!broken.empty()) {  // the one of all rows
    broken.resize(static_cast<std::size_t>(n));
    for (std::int64_t i = 0; i < n; ++i) broken[static_cast<std::size_t>(i)] = i;
  }
  return values.broadcast_to({n, values.dim(1)}).contiguous();
}

void write_rows(const Tensor& values, const View& rows) {
  const Tensor from = values.to(DType::F64).contiguous();
  constexpr double kMostF32 = std::numeric_limits<float>::max();
  if (rows.type == NF_F32 && from.numel() > 0 && max(abs(from)).item() > kMostF32) {
    throw flows::Diverged("[nf] a result is too large for NF_F32; take NF_F64");
  }
  const double* value = from.data<double>();
  visit_type(rows.type, [&]<class T>() {
    for (std::int64_t i = 0; i < rows.rows; ++i) {
      std::byte* at = rows.row(i);
      for (std::int64_t j = 0; j < rows.columns; ++j, at += rows.column_stride) {
        const T number = static_cast<T>(*value++);
        std::memcpy(at, &number, sizeof number);
      }
    }
  });
}

}  // namespace nf::c
