// The kernels of the CPU backend. Every .cpp of this folder and of gemm/ is compiled once for each
// set of instructions (tensor/cpu_kernels.h) into one object of which only the instance is seen
// from outside (scripts/cmake/CpuKernels.cmake): so what a header defines for another processor is
// never taken for the rest of the program. Off x86-64 there is one set. One file for each family:
//   cpu_backend.cpp  the instance
//   elementwise.cpp  unary, binary, compare, where, and their backward
//   copy.cpp         fill, copy, accumulate
//   reduce.cpp       reductions
//   matmul.cpp       matrix products and the fused linear layer
//   gemm/            how both, and convolutions, are computed
//   conv.cpp         convolutions
//   mixture.cpp      maps by mixtures of logistics
//   spline.cpp       rational-quadratic splines
//   index.cpp        index_select, gather and their adjoints
//   random.cpp       Philox draws
//   update.cpp       optimizer steps
//   peak.cpp         the speed of multiply-adds, which nothing exceeds
//   host/            what is compiled once: memory, LAPACK, the choice of a set
#pragma once

#include "tensor/cpu/host/host_backend.h"
#include "tensor/full_precision.h"

namespace nf {

class CpuBackend final : public HostBackend {
 public:
  void fill(Tensor& out, double value) override;
  void copy(Tensor& out, const Tensor& in) override;
  void unary(UnaryOp op, OpArgs args, const Tensor& in, Tensor& out) override;
  void unary_backward(UnaryOp op, OpArgs args, const Tensor& dout, const Tensor& saved,
                      Tensor& din) override;
  void binary(BinaryOp op, const Tensor& a, const Tensor& b, Tensor& out) override;
  void binary_backward(BinaryOp op, const Tensor& dout, const Tensor& a, const Tensor& b,
                       Tensor* da, Tensor* db) override;
  void compare(CompareOp op, const Tensor& a, const Tensor& b, Tensor& out) override;
  void where(const Tensor& condition, const Tensor& a, const Tensor& b, Tensor& out) override;
  void accumulate(Tensor& out, const Tensor& in) override;

  void reduce(ReduceOp op, const Tensor& in, int axes, Tensor& out) override;

  void matmul(const Tensor& a, const Tensor& b, Tensor& out) override;
  void linear(const Tensor& x, const Tensor& w, const Tensor& bias, const UnaryOp* act, OpArgs args,
              Tensor& out) override;
  void linear_backward(const Tensor& dout, const Tensor& out, UnaryOp act, OpArgs args,
                       Tensor& dpre, Tensor* dbias) override;
  void conv2d(const Tensor& x, const Tensor& w, const Tensor& bias, const ConvGeometry& geometry,
              const UnaryOp* act, OpArgs args, Tensor& out) override;
  void conv2d_backward_data(const Tensor& dout, const Tensor& w, const ConvGeometry& geometry,
                            Tensor& dx) override;
  void conv2d_backward_weights(const Tensor& x, const Tensor& dout, const ConvGeometry& geometry,
                               Tensor& dw) override;

  void mixture(const MixtureArgs& args, const Tensor& x, const Tensor& parameters, Tensor& value,
               Tensor& log_slope) override;
  void mixture_backward(const MixtureArgs& args, const Tensor& dvalue, const Tensor& dlog_slope,
                        const Tensor& x, const Tensor& parameters, Tensor& dx,
                        Tensor& dparameters) override;
  void spline(const SplineArgs& args, const Tensor& x, const Tensor& parameters, Tensor& value,
              Tensor& log_slope) override;
  void spline_backward(const SplineArgs& args, const Tensor& dvalue, const Tensor& dlog_slope,
                       const Tensor& x, const Tensor& parameters, Tensor& dx,
                       Tensor& dparameters) override;

  void index_select(const Tensor& in, int axis, const Tensor& index, Tensor& out) override;
  void index_add(Tensor& out, int axis, const Tensor& index, const Tensor& in) override;
  void gather(const Tensor& in, int axis, const Tensor& index, Tensor& out) override;
  void scatter_add(Tensor& out, int axis, const Tensor& index, const Tensor& in) override;
  void clamped_indices(const Tensor& in, std::int32_t highest, Tensor& out) override;
  void index_range(const Tensor& index, std::int32_t* lowest, std::int32_t* highest) override;

  void dequantize(const Tensor& levels, const Tensor* rows, const RowDraw& draw,
                  Tensor& out) override;
  void move_images(const Tensor& images, const Tensor* rows, const ImageMoves& moves,
                   const RowDraw& draw, Tensor& out) override;
  void random_rows(Distribution kind, const RowDraw& draw, Tensor& out) override;
  void random(Distribution kind, std::uint64_t seed, std::uint64_t stream, std::uint64_t offset,
              Tensor& out) override;

  void update(UpdateRule rule, const UpdateArgs& args, const Tensor& scale,
              std::span<Tensor> params, std::span<const Tensor> grads, std::span<Tensor> m,
              std::span<Tensor> v, std::span<const UpdateFactors> factors) override;
  void norm(std::span<const Tensor> tensors, Tensor& out) override;

  double peak_flops(DType dtype) override;
  double update_bytes(std::int64_t numbers) override;

  Precision precision() const override {
    return FullPrecision::wanted() ? Precision::F32 : precision_;
  }
  bool has_precision(Precision precision) const override;
  void set_precision(Precision precision) override;

 private:
  Precision precision_ = Precision::F32;
};

}  // namespace nf
