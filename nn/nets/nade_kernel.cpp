// A hidden unit changes only behind a bit that is 1. So of the D sigmoids of a unit as many are
// computed as a row has ones, and what is left is D products of H numbers, and two for backward.
//
// Hidden units are cut into slices, which threads share: those of a slice need nothing of others
// but a sum, which is added in order. Within, 8 rows go together through the columns, so that the
// weights of a column, once in the cache, serve 8 rows.
#include "nn/nets/nade_kernel.h"

#include <algorithm>
#include <vector>

#include "tensor/ops.h"
#include "tensor/threads.h"

namespace nf::nn::detail {

namespace {

constexpr std::int64_t kUnits = 64;        // of a slice
constexpr std::int64_t kRows = 8;          // that go together
constexpr std::int64_t kRowsOfSums = 256;  // whose sums of slices are kept at a time
constexpr std::int64_t kLanes = 16;        // numbers that are added side by side

template <class T>
T dot(const T* __restrict a, const T* __restrict b) {
  T lanes[kLanes] = {};
  for (std::int64_t i = 0; i < kUnits; i += kLanes) {
    for (std::int64_t j = 0; j < kLanes; ++j) lanes[j] += a[i + j] * b[i + j];
  }
  for (std::int64_t width = kLanes / 2; width > 0; width /= 2) {
    for (std::int64_t j = 0; j < width; ++j) lanes[j] += lanes[j + width];
  }
  return lanes[0];
}

/// sum = a + b; sum may be one of them.
template <class T>
void add(const T* a, const T* b, T* sum) {
  T both[kUnits];
  for (std::int64_t j = 0; j < kUnits; ++j) both[j] = a[j] + b[j];
  std::copy_n(both, kUnits, sum);
}

/// dv += g h, dh += g v.
template <class T>
void add_products(T g, const T* __restrict h, const T* __restrict v, T* __restrict dv,
                  T* __restrict dh) {
  for (std::int64_t j = 0; j < kUnits; ++j) {
    dv[j] += g * h[j];
    dh[j] += g * v[j];
  }
}

/// da += dh h (1 - h), dh = 0.
template <class T>
void through(const T* __restrict h, T* __restrict dh, T* __restrict da) {
  for (std::int64_t j = 0; j < kUnits; ++j) {
    da[j] += dh[j] * h[j] * (1 - h[j]);
    dh[j] = 0;
  }
}

/// The columns of a slice of a matrix (n, H), as (n, kUnits).
template <class T>
struct Slice {
  std::int64_t first, count, units;

  Slice(std::int64_t number, std::int64_t all)
      : first(number * kUnits), count(std::min(kUnits, all - first)), units(all) {}
  std::vector<T> of(const T* matrix, std::int64_t n) const {
    std::vector<T> out(static_cast<std::size_t>(n * kUnits), T(0));
    for (std::int64_t i = 0; i < n; ++i) {
      std::copy_n(matrix + i * units + first, count, out.data() + i * kUnits);
    }
    return out;
  }
  void put(const std::vector<T>& from, std::int64_t n, T* matrix) const {
    for (std::int64_t i = 0; i < n; ++i) {
      std::copy_n(from.data() + i * kUnits, count, matrix + i * units + first);
    }
  }
};

std::int64_t slices_of(std::int64_t units) { return (units + kUnits - 1) / kUnits; }

/// The hidden units of a few rows, from the first column to the last: one set of units for the
/// start and one behind each 1. Their sigmoids are one operation of tensors.
template <class T>
struct Past {
  Tensor h;               ///< (sets, kUnits)
  const T* first[kRows];  ///< where the sets of each row begin
  const T* last[kRows];   ///< the last one of each

  Past(const NadeInputs<T>& in, const std::vector<T>& w, const std::uint8_t* bits,
       std::int64_t rows, const T* start) {
    std::int64_t sets[kRows], all = 0;
    for (std::int64_t r = 0; r < rows; ++r) {
      const std::uint8_t* const row = bits + r * in.dims;
      sets[r] = in.dims + 1 - std::count(row, row + in.dims, 0);
      all += sets[r];
    }
    Tensor a = Tensor::empty({all, kUnits}, dtype_of<T>());
    T* at = a.mutable_data<T>();
    for (std::int64_t r = 0; r < rows; ++r, at += kUnits) {
      std::copy_n(start + r * kUnits, kUnits, at);
      for (std::int64_t d = 0; d < in.dims; ++d) {
        if (bits[r * in.dims + d] == 0) continue;
        add(at, w.data() + d * kUnits, at + kUnits);
        at += kUnits;
      }
    }
    h = sigmoid(std::move(a));
    const T* from = h.data<T>();
    for (std::int64_t r = 0; r < rows; ++r, from += sets[r - 1] * kUnits) {
      first[r] = from;
      last[r] = from + (sets[r] - 1) * kUnits;
    }
  }
};

/// sums (rows, D) of a slice, of rows `first` and on.
template <class T>
void forward_slice(const NadeInputs<T>& in, const Slice<T>& slice, std::int64_t first,
                   std::int64_t rows, T* sums) {
  const std::vector<T> w = slice.of(in.w, in.dims), v = slice.of(in.v, in.dims);
  const std::vector<T> start = slice.of(in.start + first * in.units, rows);
  for (std::int64_t at = 0; at < rows; at += kRows) {
    const std::int64_t count = std::min(kRows, rows - at);
    T* const sums_at = sums + at * in.dims;
    const std::uint8_t* const bits = in.bits + (first + at) * in.dims;
    Past<T> past(in, w, bits, count, start.data() + at * kUnits);
    for (std::int64_t d = 0; d < in.dims; ++d) {
      for (std::int64_t r = 0; r < count; ++r) {
        sums_at[r * in.dims + d] = dot(past.first[r], v.data() + d * kUnits);
        if (bits[r * in.dims + d] != 0) past.first[r] += kUnits;
      }
    }
  }
}

template <class T>
void backward_slice(const NadeInputs<T>& in, const Slice<T>& slice, const T* dlogits, T* dw_out,
                    T* dv_out, T* dstart) {
  const std::vector<T> w = slice.of(in.w, in.dims), v = slice.of(in.v, in.dims);
  const std::vector<T> start = slice.of(in.start, in.rows);
  std::vector<T> dstart_slice(start.size(), T(0));
  std::vector<T> dw(w.size(), T(0)), dv(w.size(), T(0));
  for (std::int64_t at = 0; at < in.rows; at += kRows) {
    const std::int64_t count = std::min(kRows, in.rows - at);
    const std::uint8_t* const bits = in.bits + at * in.dims;
    T* const da = dstart_slice.data() + at * kUnits;
    T dh[kRows * kUnits] = {};
    Past<T> past(in, w, bits, count, start.data() + at * kUnits);
    for (std::int64_t d = in.dims - 1; d >= 0; --d) {
      for (std::int64_t r = 0; r < count; ++r) {
        if (bits[r * in.dims + d] != 0) {  // back to the units before this bit
          through(past.last[r], dh + r * kUnits, da + r * kUnits);
          add(da + r * kUnits, dw.data() + d * kUnits, dw.data() + d * kUnits);
          past.last[r] -= kUnits;
        }
        add_products(dlogits[(at + r) * in.dims + d], past.last[r], v.data() + d * kUnits,
                     dv.data() + d * kUnits, dh + r * kUnits);
      }
    }
    for (std::int64_t r = 0; r < count; ++r) {
      through(past.last[r], dh + r * kUnits, da + r * kUnits);
    }
  }
  slice.put(dw, in.dims, dw_out);
  slice.put(dv, in.dims, dv_out);
  slice.put(dstart_slice, in.rows, dstart);
}

}  // namespace

template <class T>
void nade_forward(const NadeInputs<T>& in, T* logits) {
  const std::int64_t slices = slices_of(in.units);
  std::vector<T> sums(static_cast<std::size_t>(slices * std::min(kRowsOfSums, in.rows) * in.dims));
  for (std::int64_t first = 0; first < in.rows; first += kRowsOfSums) {
    const std::int64_t rows = std::min(kRowsOfSums, in.rows - first), numbers = rows * in.dims;
    parallel_for(slices, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t s = begin; s < end; ++s) {
        forward_slice(in, Slice<T>(s, in.units), first, rows, sums.data() + s * numbers);
      }
    });
    T* const to = logits + first * in.dims;
    std::copy_n(sums.data(), numbers, to);
    for (std::int64_t s = 1; s < slices; ++s) {
      const T* const from = sums.data() + s * numbers;
      for (std::int64_t i = 0; i < numbers; ++i) to[i] += from[i];
    }
  }
}

template <class T>
void nade_backward(const NadeInputs<T>& in, const T* dlogits, T* dw, T* dv, T* dstart) {
  parallel_for(slices_of(in.units), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t s = begin; s < end; ++s) {
      backward_slice(in, Slice<T>(s, in.units), dlogits, dw, dv, dstart);
    }
  });
}

template void nade_forward(const NadeInputs<float>&, float*);
template void nade_forward(const NadeInputs<double>&, double*);
template void nade_backward(const NadeInputs<float>&, const float*, float*, float*, float*);
template void nade_backward(const NadeInputs<double>&, const double*, double*, double*, double*);

}  // namespace nf::nn::detail
