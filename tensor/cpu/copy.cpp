// Fill, copy (with conversion) and accumulate: the kernels whose output may be strided.
#include "tensor/cpu/cpu_backend.h"
#include "tensor/cpu/loops.h"

namespace nf {

using namespace nf::cpu;

void CpuBackend::fill(Tensor& out, double value) {
  visit_dtype(out.dtype(), [&]<class T>() {
    const Writer<T> writer(out);
    const T constant = static_cast<T>(value);
    for_blocks(out.numel(), writer.contiguous(), [&](std::int64_t begin, std::int64_t n) {
      T buffer[kBlock];
      std::fill_n(writer.at(begin, buffer), n, constant);
      writer.store(begin, n, buffer);
    });
  });
}

void CpuBackend::copy(Tensor& out, const Tensor& in) {
  visit_dtype(in.dtype(), [&]<class From>() {
    visit_dtype(out.dtype(), [&]<class To>() {
      const Reader<From> reader(in);
      const Writer<To> writer(out);
      const bool whole = reader.contiguous() && writer.contiguous();
      for_blocks(out.numel(), whole, [&](std::int64_t begin, std::int64_t n) {
        From buffer_in[kBlock];
        To buffer_out[kBlock];
        const From* from = reader.at(begin, n, buffer_in);
        To* to = writer.at(begin, buffer_out);
        for (std::int64_t i = 0; i < n; ++i) to[i] = static_cast<To>(from[i]);
        writer.store(begin, n, buffer_out);
      });
    });
  });
}

void CpuBackend::accumulate(Tensor& out, const Tensor& in) {
  visit_dtype(out.dtype(), [&]<class T>() {
    const Reader<T> read_out(out), read_in(in);
    const Writer<T> writer(out);
    const bool whole = read_in.contiguous() && writer.contiguous();
    for_blocks(out.numel(), whole, [&](std::int64_t begin, std::int64_t n) {
      T buffer_sum[kBlock], buffer_in[kBlock];
      const T* from = read_in.at(begin, n, buffer_in);
      const T* old = read_out.at(begin, n, buffer_sum);
      T* to = writer.at(begin, buffer_sum);  // the block at `old`
      for (std::int64_t i = 0; i < n; ++i) to[i] = static_cast<T>(old[i] + from[i]);
      writer.store(begin, n, buffer_sum);
    });
  });
}

}  // namespace nf
