// tensor/cuda/gemm.cpp on the stand-in for cuBLASLt: what it does where that has no algorithm, what
// it promises of addresses, and what a fused ReLU makes of NaN. The other tests of devices multiply
// by it, too.
#include <cstdlib>
#include <limits>

#include "tests/devices.h"

using namespace nf;
using namespace nf::test;

BOOST_AUTO_TEST_SUITE(cuda_products)

namespace {

/// What the stand-in has no algorithm for, until the end of the scope.
struct Without {
  explicit Without(const char* what) { setenv("NF_FAKE_CUBLASLT", what, 1); }
  ~Without() { unsetenv("NF_FAKE_CUBLASLT"); }
};

/// Calls body(what): each thing that the stand-in can lack, and nothing.
template <class Body>
void for_each_lack(const Body& body) {
  for (const char* lack : {"nothing", "fast", "epilogue"}) {
    const Without without(lack);
    body(lack);
  }
}

}  // namespace

// Plans are kept for each shape: each case has one of its own.
BOOST_AUTO_TEST_CASE(a_layer_without_an_algorithm_is_computed_another_way) {
  std::int64_t rows = 40;
  cuda_backend().set_precision(Precision::TF32);
  for_each_lack([&](const char* lack) {
    for (const bool biased : {false, true}) {
      for (const bool rectified : {false, true}) {
        ++rows;
        const Tensor x = draw({rows, 7}, DType::F32, 1), w = draw({5, 7}, DType::F32, 2);
        const Tensor b = biased ? draw({5}, DType::F32, 3) : Tensor();
        const UnaryOp relu = UnaryOp::Relu;
        const UnaryOp* const act = rectified ? &relu : nullptr;
        const Tensor here = linear(x, w, b, act);
        const Tensor there = linear(x.to(Device::CUDA), w.to(Device::CUDA),
                                    biased ? b.to(Device::CUDA) : Tensor(), act);
        CHECK_SAME(there, here, 1e-6, lack, biased ? ", bias" : "", rectified ? ", relu" : "");
      }
    }
  });
}

BOOST_AUTO_TEST_CASE(no_algorithm_at_all_is_told_with_the_shape) {
  const Without without("all");
  const Tensor a = draw({91, 3}, DType::F32).to(Device::CUDA);
  const Tensor b = draw({3, 2}, DType::F32).to(Device::CUDA);
  BOOST_CHECK_EXCEPTION(matmul(a, b), Error, [](const Error& error) {
    const std::string what = error.what();
    return what.find("1 x (91, 3) x (3, 2) f32") != std::string::npos &&
           what.find("--device cpu") != std::string::npos;
  });
}

// The first matrix of each operand is where any load is allowed, the others are not.
BOOST_AUTO_TEST_CASE(alignment_is_that_of_every_matrix_of_a_batch) {
  cuda_backend().set_precision(Precision::F32);
  struct Case {
    std::int64_t batch, m, k, n;
  };
  for (const auto& [batch, m, k, n] :
       {Case{3, 5, 7, 3}, {2, 4, 4, 4}, {4, 1, 2, 1}, {2, 16, 9, 8}}) {
    for (const DType dtype : kFloats) {
      const Tensor a = draw({batch, m, k}, dtype, 1), b = draw({batch, k, n}, dtype, 2);
      CHECK_SAME(matmul(a.to(Device::CUDA), b.to(Device::CUDA)), matmul(a, b), 1e-6, batch, " x ",
                 m, " x ", k, " x ", n);
    }
  }
}

// One column of weights is NaN: so is one number of each row, unless a ReLU is fused behind it.
BOOST_AUTO_TEST_CASE(a_fused_relu_makes_zero_of_nan) {
  cuda_backend().set_precision(Precision::F32);
  Tensor w = draw({4, 6}, DType::F32);
  w.narrow(0, 2, 1).fill_(std::numeric_limits<double>::quiet_NaN());
  const Tensor x = draw({3, 6}, DType::F32).to(Device::CUDA), there = w.to(Device::CUDA);
  const UnaryOp relu = UnaryOp::Relu;
  for (const double value : values(linear(x, there, {}, nullptr).narrow(1, 2, 1))) {
    BOOST_TEST(std::isnan(value));
  }
  for (const double value : values(linear(x, there, {}, &relu).narrow(1, 2, 1))) {
    BOOST_TEST(value == 0);
  }
}

BOOST_AUTO_TEST_SUITE_END()
