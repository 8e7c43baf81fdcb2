// index_select, index_add, gather and scatter_add against loops over all elements.
#include <boost/test/unit_test.hpp>
#include <cstdint>
#include <vector>

#include "tensor/ops.h"
#include "tensor/random.h"
#include "tensor/threads.h"

BOOST_AUTO_TEST_SUITE(tensor_index)

using namespace nf;

namespace {

struct DefaultThreads {
  ~DefaultThreads() { set_num_threads(0); }
};

constexpr DType kDTypes[] = {DType::F32, DType::F64, DType::U8, DType::I32};

/// Small whole numbers: all sums are exact in every dtype.
Tensor numbers(const Shape& shape, DType dtype, std::uint64_t seed = 1) {
  Generator gen(seed);
  return (uniform(gen, shape) * 7.0).to(DType::U8).to(dtype);
}

Tensor indices(const Shape& shape, std::int64_t size, std::uint64_t seed = 2) {
  Generator gen(seed);
  return (uniform(gen, shape) * static_cast<double>(size)).to(DType::I32);
}

std::vector<double> values(const Tensor& t) { return t.to(DType::F64).to_vector<double>(); }

/// The views whose elements are those of a contiguous tensor, but lie elsewhere.
std::vector<Tensor> views(const Tensor& t) {
  const int last = t.rank() - 1;
  Shape wider = t.shape();
  wider[last] += 3;
  Tensor window = Tensor::zeros(wider, t.dtype()).narrow(last, 2, t.dim(last));
  window.copy_(t);
  return {t, t.transpose(0, last).clone().transpose(0, last), window, t.flip(0).clone().flip(0)};
}

/// Calls body(row, axis, column) for each element; the flat position is
/// (row*size + axis)*columns + column.
struct Walk {
  std::int64_t rows = 1, columns = 1;
  Walk(const Shape& shape, int axis) {
    for (int d = 0; d < axis; ++d) rows *= shape[d];
    for (int d = axis + 1; d < shape.rank(); ++d) columns *= shape[d];
  }
  template <class Body>
  void each(std::int64_t size, const Body& body) const {
    for (std::int64_t r = 0; r < rows; ++r) {
      for (std::int64_t i = 0; i < size; ++i) {
        for (std::int64_t c = 0; c < columns; ++c) body(r, i, c);
      }
    }
  }
  std::size_t at(std::int64_t row, std::int64_t size, std::int64_t i, std::int64_t column) const {
    return static_cast<std::size_t>((row * size + i) * columns + column);
  }
};

const Shape kShapes[] = {{7}, {5, 6}, {4, 3, 5}, {1, 300}, {300, 1}, {40, 2, 30}};

}  // namespace

BOOST_FIXTURE_TEST_CASE(index_select_and_index_add, DefaultThreads) {
  for (const Shape& shape : kShapes) {
    for (int axis = 0; axis < shape.rank(); ++axis) {
      const Walk walk(shape, axis);
      const std::int64_t size = shape[axis];
      for (const std::int64_t count : {std::int64_t{1}, size, 3 * size}) {
        const Tensor index = indices({count}, size);
        const auto at = index.to_vector<std::int32_t>();
        Shape picked = shape;
        picked[axis] = count;
        for (const DType dtype : kDTypes) {
          const Tensor x = numbers(shape, dtype), src = numbers(picked, dtype, 3);
          const std::vector<double> in = values(x), add = values(src);
          std::vector<double> selected(static_cast<std::size_t>(picked.numel())), added = in;
          walk.each(count, [&](std::int64_t r, std::int64_t i, std::int64_t c) {
            const std::size_t there = walk.at(r, size, at[static_cast<std::size_t>(i)], c);
            selected[walk.at(r, count, i, c)] = in[there];
            added[there] += add[walk.at(r, count, i, c)];
          });
          for (const int threads : {1, 3}) {
            set_num_threads(threads);
            for (const Tensor& view : views(x)) {
              BOOST_TEST(values(index_select(view, axis, index)) == selected);
            }
            if (!is_float(dtype)) continue;
            for (const Tensor& view : views(src)) {
              BOOST_TEST(values(index_add(x, axis, index, view)) == added);
            }
          }
        }
      }
    }
  }
}

BOOST_FIXTURE_TEST_CASE(gather_and_scatter_add, DefaultThreads) {
  for (const Shape& shape : kShapes) {
    for (int axis = 0; axis < shape.rank(); ++axis) {
      const Walk walk(shape, axis);
      const std::int64_t size = shape[axis];
      for (const std::int64_t count : {std::int64_t{1}, 2 * size}) {
        Shape picked = shape;
        picked[axis] = count;
        const Tensor index = indices(picked, size);
        const auto at = index.to_vector<std::int32_t>();
        for (const DType dtype : kDTypes) {
          const Tensor x = numbers(shape, dtype), src = numbers(picked, dtype, 3);
          const std::vector<double> in = values(x), add = values(src);
          std::vector<double> gathered(at.size()), added = in;
          walk.each(count, [&](std::int64_t r, std::int64_t i, std::int64_t c) {
            const std::size_t here = walk.at(r, count, i, c);
            const std::size_t there = walk.at(r, size, at[here], c);
            gathered[here] = in[there];
            added[there] += add[here];
          });
          for (const int threads : {1, 3}) {
            set_num_threads(threads);
            for (const Tensor& view : views(x)) {
              BOOST_TEST(values(gather(view, axis, index)) == gathered);
            }
            if (!is_float(dtype)) continue;
            for (const Tensor& view : views(src)) {
              BOOST_TEST(values(scatter_add(x, axis, index, view)) == added);
            }
          }
        }
      }
    }
  }
}

BOOST_FIXTURE_TEST_CASE(sums_do_not_depend_on_the_number_of_threads, DefaultThreads) {
  Generator gen(4);
  const Tensor src = normal(gen, {3000, 40}), x = normal(gen, {7, 40});
  const Tensor index = indices({3000}, 7), places = indices({3000, 40}, 7);
  set_num_threads(1);
  const auto added = values(index_add(x, 0, index, src));
  const auto scattered = values(scatter_add(x, 0, places, src));
  for (const int threads : {2, 5}) {
    set_num_threads(threads);
    BOOST_TEST(values(index_add(x, 0, index, src)) == added);
    BOOST_TEST(values(scatter_add(x, 0, places, src)) == scattered);
    BOOST_TEST(values(index_add(x.t().clone(), 1, index, src.t())) ==
               values(index_add(x, 0, index, src).t()));
  }
}

BOOST_AUTO_TEST_CASE(empty_index) {
  const Tensor x = numbers({3, 4}, DType::F32), none = Tensor::empty({0}, DType::I32);
  BOOST_TEST(index_select(x, 1, none).shape() == Shape({3, 0}));
  BOOST_TEST(values(index_add(x, 1, none, Tensor::empty({3, 0}))) == values(x));
  BOOST_TEST(gather(x, 0, Tensor::empty({0, 4}, DType::I32)).shape() == Shape({0, 4}));
}

BOOST_AUTO_TEST_CASE(indices_from_any_numbers) {
  const double inf = HUGE_VAL;
  for (const DType dtype : {DType::F32, DType::F64}) {
    const Tensor x = Tensor::from<double>({0, -0.0, 0.99, 1, 2.5, 3, 3.999, 4, 1e9, 3e9, 1e300, inf,
                                           -1e-9, -1, -3e9, -inf, std::nan("")},
                                          {17})
                         .to(dtype);
    const std::vector<double> expected = {0, 0, 0, 1, 2, 3, 3, 3, 3, 3, 3, 3, 0, 0, 0, 0, 0};
    for (const Tensor& view : views(x)) {
      const Tensor index = clamped_indices(view, 4);
      BOOST_TEST(values(index) == expected);
      BOOST_TEST(values(index_select(numbers({4}, dtype), 0, index)).size() == 17u);
    }
    // All whole numbers are kept as far as the dtype has them.
    constexpr std::int64_t kMost = (std::int64_t{1} << 31) - 1;
    BOOST_TEST(clamped_indices(Tensor::full({1}, 16777216, dtype), 16777218).item() == 16777216);
    BOOST_TEST(clamped_indices(Tensor::full({1}, 3e9, dtype), kMost).item() == kMost - 1);
    BOOST_TEST(clamped_indices(Tensor::empty({2, 0}, dtype), 3).shape() == Shape({2, 0}));
    for (const std::int64_t size : {std::int64_t{0}, kMost + 1}) {
      BOOST_CHECK_THROW(clamped_indices(x, size), Error);
    }
  }
  BOOST_CHECK_THROW(clamped_indices(numbers({3}, DType::I32), 4), Error);
}

BOOST_AUTO_TEST_CASE(indices_outside_are_named) {
  const Tensor x = numbers({3, 4}, DType::F32);
  for (const std::int32_t bad : {-1, 4, 2000000000}) {
    const auto says = [&](const Error& e) {
      return std::string(e.what()).find("index " + std::to_string(bad)) != std::string::npos;
    };
    const Tensor index = Tensor::from<std::int32_t>({0, bad, 1}, {3});
    const Tensor src = Tensor::zeros({3, 3}), places = index.broadcast_to({3, 3});
    BOOST_CHECK_EXCEPTION(index_select(x, 1, index), Error, says);
    BOOST_CHECK_EXCEPTION(index_add(x, 1, index, src), Error, says);
    BOOST_CHECK_EXCEPTION(gather(x, 1, places), Error, says);
    BOOST_CHECK_EXCEPTION(scatter_add(x, 1, places, src), Error, says);
  }
}

BOOST_AUTO_TEST_SUITE_END()
