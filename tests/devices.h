// The devices that tests compare with the CPU, and how.
#pragma once

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <string>
#include <vector>

#include "tensor/backend.h"
#include "tensor/conv.h"
#include "tensor/ops.h"
#include "tensor/random.h"

namespace nf::test {

/// Every device beside the CPU, its matrix products in full f32.
inline std::vector<Device> other_devices() {
  if (!cuda_available()) {
    BOOST_TEST_MESSAGE("skipped: no CUDA device");
    return {};
  }
  cuda_backend().set_precision(Precision::F32);
  return {Device::CUDA};
}

inline constexpr DType kFloats[] = {DType::F32, DType::F64};
inline constexpr DType kDTypes[] = {DType::F32, DType::F64, DType::U8, DType::I32};

/// What a test sets with set_winograd() ends with it.
struct DefaultWinograd {
  ~DefaultWinograd() { set_winograd({}); }
};

inline Tensor draw(const Shape& shape, DType dtype, std::uint64_t seed = 1) {
  Generator gen(seed);
  return normal(gen, shape, dtype);
}

/// Whole numbers from 0 to 199.
inline Tensor numbers(const Shape& shape, DType dtype, std::uint64_t seed = 1) {
  Generator gen(seed);
  return (uniform(gen, shape) * 200.0).to(DType::U8).to(dtype);
}

inline Tensor indices(const Shape& shape, std::int64_t size) {
  Generator gen(2);
  return (uniform(gen, shape) * static_cast<double>(size)).to(DType::I32);
}

inline std::vector<double> values(const Tensor& t) {
  return t.to(Device::CPU).to(DType::F64).to_vector<double>();
}

/// Empty when |a - b| <= tolerance (1 + |b|) everywhere, else what differs; NaN equals NaN.
inline std::string difference(const Tensor& a, const Tensor& b, double tolerance) {
  if (!a.defined() || !b.defined()) return a.defined() == b.defined() ? "" : "one is undefined";
  if (!(a.shape() == b.shape())) return str("shape ", a.shape(), " instead of ", b.shape());
  const std::vector<double> x = values(a), y = values(b);
  for (std::size_t i = 0; i < x.size(); ++i) {
    const bool same = x[i] == y[i] || (std::isnan(x[i]) && std::isnan(y[i]));
    if (!same && !(std::abs(x[i] - y[i]) <= tolerance * (1 + std::abs(y[i])))) {
      return str("element ", i, " of ", a.shape(), " is ", x[i], " instead of ", y[i]);
    }
  }
  return "";
}

/// The same elements where they lie otherwise in memory; made alike on any device.
struct View {
  const char* name;
  Tensor (*make)(const Tensor&);
};
inline const View kViews[] = {
    {"contiguous", [](const Tensor& t) { return t; }},
    {"transposed", [](const Tensor& t) { return t.transpose(0, -1).clone().transpose(0, -1); }},
    {"flipped", [](const Tensor& t) { return t.flip(0).clone().flip(0); }},
    {"misaligned",
     [](const Tensor& t) {
       Tensor room = Tensor::zeros({t.numel() + 1}, t.dtype(), t.device());
       Tensor view = room.narrow(0, 1, t.numel()).reshape(t.shape());
       view.copy_(t);
       return view;
     }},
    {"windowed",
     [](const Tensor& t) {
       Shape wider = t.shape();
       wider[t.rank() - 1] += 3;
       Tensor view = Tensor::zeros(wider, t.dtype(), t.device()).narrow(-1, 2, t.dim(-1));
       view.copy_(t);
       return view;
     }},
};

/// CHECK_SAME(on the device, on the CPU, tolerance, what it is...)
#define CHECK_SAME(there, here, tolerance, ...)                              \
  do {                                                                       \
    const std::string what = ::nf::test::difference(there, here, tolerance); \
    BOOST_CHECK_MESSAGE(what.empty(), str(__VA_ARGS__) << ": " << what);     \
  } while (0)

}  // namespace nf::test
