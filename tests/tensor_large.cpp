// Tensors of more than 2^31 bytes and walks over more than 2^31 elements, on every device, the CPU
// included. They take up to 7 GB and minutes, so they run when NF_LARGE_TESTS=1 asks for them.
#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <string>
#include <vector>

#include "tests/devices.h"

BOOST_AUTO_TEST_SUITE(tensor_large)

using namespace nf;
using namespace nf::test;

namespace {

constexpr std::int64_t k30 = std::int64_t{1} << 30, k31 = 2 * k30;

std::vector<Device> large_devices() {
  const char* const wanted = std::getenv("NF_LARGE_TESTS");
  if (!wanted || std::string(wanted) != "1") {
    BOOST_TEST_MESSAGE("skipped: tests of large tensors run with NF_LARGE_TESTS=1");
    return {};
  }
  std::vector<Device> devices = other_devices();
  devices.push_back(Device::CPU);
  return devices;
}

/// Zeros, but for element i, which is i % 100 + 1 for each i of `marks`.
Tensor marked(std::int64_t n, DType dtype, Device device, const std::vector<std::int64_t>& marks) {
  Tensor t = Tensor::zeros({n}, dtype, device);
  for (const std::int64_t i : marks) t.narrow(0, i, 1).fill_(static_cast<double>(i % 100 + 1));
  return t;
}

double at(const Tensor& t, std::int64_t i) { return t.reshape({-1}).narrow(0, i, 1).item(); }

}  // namespace

BOOST_AUTO_TEST_CASE(views_that_reach_over_2_31_elements) {
  // Few elements far apart: indices of 64 bits at the cost of the memory alone.
  constexpr std::int64_t kRows = 3, kCols = 70, kApart = k30 + 100;
  for (const Device device : large_devices()) {
    for (const DType dtype : {DType::U8, DType::F32}) {
      const Tensor here = numbers({kRows, kCols}, dtype);
      const auto view = [&] {
        const Tensor room = Tensor::empty({kRows - 1, kApart}, dtype, device);
        return room.with_layout({{kRows, kCols / 2}, {kApart - 20, 1}, 0});
      };
      Tensor t = view();
      const Tensor part = here.narrow(1, 0, kCols / 2), index = indices({5}, kRows);
      t.copy_(part);
      CHECK_SAME(t.clone(), part, 0, "copy");
      CHECK_SAME(t.flip(0).clone(), part.flip(0), 0, "flipped");
      CHECK_SAME(t.t().clone(), part.t().clone(), 0, "transposed");
      CHECK_SAME(equal(t, t.narrow(0, 1, 1)), equal(part, part.narrow(0, 1, 1)), 0, "equal");
      CHECK_SAME(where(equal(t, t), t, t.flip(0)), part, 0, "where");
      CHECK_SAME(index_select(t, 0, index.to(device)), index_select(part, 0, index), 0, "select");
      const Tensor places = indices({4, kCols / 2}, kRows);
      CHECK_SAME(gather(t, 0, places.to(device)), gather(part, 0, places), 0, "gather");
      if (dtype == DType::U8) continue;
      CHECK_SAME(exp(t * 0.1), exp(part * 0.1), 1e-6, "exp");
      CHECK_SAME(t + t.flip(0), part + part.flip(0), 0, "add");
      for (const int axis : {0, 1}) {
        CHECK_SAME(sum(t, {axis}), sum(part, {axis}), 0, "sum over ", axis);
        CHECK_SAME(argmax(t, axis), argmax(part, axis), 0, "argmax over ", axis);
      }
      const Tensor base = Tensor::zeros({kRows, kCols / 2}), rows = indices({kRows}, kRows);
      CHECK_SAME(index_add(base.to(device), 0, rows.to(device), t), index_add(base, 0, rows, part),
                 0, "index_add");
      t.add_(t.flip(1));
      CHECK_SAME(t, part + part.flip(1), 0, "add_");
      CHECK_SAME(t.fill_(2), Tensor::full({kRows, kCols / 2}, 2), 0, "fill_");
    }
  }
}

BOOST_AUTO_TEST_CASE(more_than_2_31_bytes_and_elements) {
  const std::int64_t n = k31 + 1027;
  const std::vector<std::int64_t> marks = {0, k30, k31 - 1, k31, k31 + 1, n - 2};
  for (const Device device : large_devices()) {
    const Tensor t = marked(n, DType::U8, device, marks);
    const auto check = [&](const Tensor& other, const char* what, bool flipped = false) {
      for (const std::int64_t i : marks) {
        const std::int64_t j = flipped ? n - 1 - i : i;
        BOOST_TEST(at(other, j) == static_cast<double>(i % 100 + 1), what << " " << i);
        const double zero = i % 2 == 0 ? at(other, flipped ? j - 3 : j + 3) : 0;
        BOOST_TEST((i == n - 2 || zero == 0), what << " beside " << i);
      }
    };
    check(t, "fill");
    check(t.clone(), "copy");
    check(t.flip(0).clone(), "strided copy", true);
    const Tensor zero = Tensor::zeros({1}, DType::U8, device);
    const Tensor marks_only = not_equal(t, zero);
    BOOST_TEST(at(marks_only, n - 2) == 1);
    BOOST_TEST(at(marks_only, n - 3) == 0);
    check(where(marks_only, t, zero), "where");
    if (device != Device::CPU) check(t.to(Device::CPU), "to the host");
  }
}

BOOST_AUTO_TEST_CASE(elementwise_and_reductions_over_2_31_bytes) {
  const std::int64_t rows = (1 << 15) + 1, cols = (1 << 14) + 3, n = rows * cols;
  for (const Device device : large_devices()) {
    const Tensor t = marked(n, DType::F32, device, {5, n / 2, n - 2}).reshape({rows, cols});
    const double last = static_cast<double>((n - 2) % 100 + 1);
    const double all = 6.0 + static_cast<double>(n / 2 % 100 + 1) + last;
    BOOST_TEST(sum(t).item() == all);
    BOOST_TEST(argmax(affine(t.reshape({-1}).narrow(0, n / 2 + 1, n / 2), 1, 0), 0).item() ==
               static_cast<double>(n - 2 - (n / 2 + 1)));
    BOOST_TEST(at(affine(t, 2, 1), n - 2) == 2 * last + 1);
    BOOST_TEST(at(sum(t, {0}), (n - 2) % cols) == last);
    BOOST_TEST(at(sum(t, {1}), (n - 2) / cols) == last);
    BOOST_TEST(at(sum(t.t(), {1}), (n - 2) % cols) == last);
    BOOST_TEST(at(t.t().clone(), (n - 2) % cols * rows + (n - 2) / cols) == last);
    const Tensor row = Tensor::full({cols}, 3, DType::F32, device);
    Tensor more = add(t, row);
    BOOST_TEST(at(more, n - 2) == last + 3);
    BOOST_TEST(at(more.add_(t), n - 2) == 2 * last + 3);
  }
}

BOOST_AUTO_TEST_CASE(reductions_of_more_than_2_31_elements) {
  // Broadcast, so that they need no memory; the sums are whole numbers, exact in double.
  const std::int64_t n = k30 + 5;
  for (const Device device : large_devices()) {
    const Tensor three = Tensor::from<double>({1, 2, 3}, {3}).to(device);
    const Tensor tall = three.reshape({1, 3}).broadcast_to({n, 3}), wide = tall.t();
    for (const Tensor& sums : {sum(tall, {0}), sum(wide, {1})}) {
      for (int i = 0; i < 3; ++i) BOOST_TEST(at(sums, i) == static_cast<double>(n) * (i + 1));
    }
    BOOST_TEST(sum(tall).item() == static_cast<double>(n) * 6);
    BOOST_TEST(max(tall).item() == 3);
    BOOST_TEST(std::abs(variance(wide, {1}).to_vector<double>()[2]) < 1e-9);
  }
}

BOOST_AUTO_TEST_CASE(indexing_over_2_31_bytes) {
  const std::int64_t cols = k30 + 600, n = 2 * cols;
  for (const Device device : large_devices()) {
    const Tensor t = marked(n, DType::U8, device, {7, cols + 9, n - 1}).reshape({2, cols});
    const double last = static_cast<double>((n - 1) % 100 + 1);
    const Tensor swap = Tensor::from<std::int32_t>({1, 0}, {2}).to(device);
    const auto ends =
        Tensor::from<std::int32_t>({0, 7, static_cast<std::int32_t>(cols - 1)}, {3}).to(device);
    {
      const Tensor swapped = index_select(t, 0, swap);
      BOOST_TEST(at(swapped, cols - 1) == last);
      BOOST_TEST(at(swapped, cols + 7) == 8);
      BOOST_TEST(at(swapped, n - 1) == 0);
    }
    BOOST_TEST(at(index_select(t, 1, ends), 5) == last);
    const Tensor places = ends.reshape({1, 3}).broadcast_to({2, 3});
    BOOST_TEST(at(gather(t, 1, places), 5) == last);
    BOOST_TEST(at(gather(t, 1, places), 1) == 8);
  }
  const std::int64_t width = (k30 >> 2) + 301;  // f32: two rows of it are over 2^31 bytes
  for (const Device device : large_devices()) {
    const Tensor base = Tensor::ones({2, width}, DType::F32, device);
    const auto ends =
        Tensor::from<std::int32_t>({3, static_cast<std::int32_t>(width - 1)}, {2}).to(device);
    const Tensor more = Tensor::full({2, 2}, 5, DType::F32, device);
    const Tensor added = index_add(base, 1, ends, more);
    BOOST_TEST(at(added, 2 * width - 1) == 6);
    BOOST_TEST(at(added, 2 * width - 2) == 1);
    const Tensor places = ends.reshape({1, 2}).broadcast_to({2, 2});
    BOOST_TEST(at(scatter_add(base, 1, places, more), 2 * width - 1) == 6);
  }
}

BOOST_AUTO_TEST_SUITE_END()
