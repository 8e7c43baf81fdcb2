// Fill, copy (with conversion) and accumulate: the kernels whose output may be strided.
#include <cstring>

#include "tensor/cuda/cuda_backend.h"
#include "tensor/cuda/map.h"

namespace nf {
namespace {

using namespace nf::cuda;

template <class T>
struct Constant {
  T value;
  NF_HD T operator()() const { return value; }
};

template <class From, class To>
struct Convert {
  NF_HD To operator()(From x) const { return static_cast<To>(x); }
};

template <class T>
struct Plus {
  NF_HD T operator()(T a, T b) const { return a + b; }
};

}  // namespace

void CudaBackend::fill(Tensor& out, double value) {
  visit_dtype(out.dtype(), [&]<class T>() {
    const auto constant = static_cast<T>(value);
    T* const to = out.mutable_data<T>();
    const T zero{};
    if (out.is_contiguous() && std::memcmp(&constant, &zero, sizeof(T)) == 0) {  // not -0
      const std::size_t bytes = static_cast<std::size_t>(out.numel()) * sizeof(T);
      return check(cudaMemsetAsync(to, 0, bytes, stream()), "fill");
    }
    map("fill", Constant<T>{constant}, Constant<T>{constant}, walk_of(out), to);
  });
}

void CudaBackend::copy(Tensor& out, const Tensor& in) {
  visit_dtype(in.dtype(), [&]<class From>() {
    const From* const from = in.data<From>();
    visit_dtype(out.dtype(), [&]<class To>() {
      To* const to = out.mutable_data<To>();
      if (std::is_same_v<From, To> && out.is_contiguous() && in.is_contiguous()) {
        const std::size_t bytes = static_cast<std::size_t>(out.numel()) * sizeof(To);
        return check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream()), "copy");
      }
      map("copy", Convert<From, To>{}, Convert<From, To>{}, walk_of(out, in), to, from);
    });
  });
}

void CudaBackend::accumulate(Tensor& out, const Tensor& in) {
  visit_float(out.dtype(), [&]<class T>() {
    T* const to = out.mutable_data<T>();
    map("accumulate", Plus<T>{}, Plus<T>{}, walk_of(out, out, in), to, static_cast<const T*>(to),
        in.data<T>());
  });
}

}  // namespace nf
