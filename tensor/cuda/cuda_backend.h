// The CUDA backend: the kernels are templates over the structs of elementwise.h, reductions.h,
// mixture.h, spline.h, philox.h and update_rules.h, so no formula stands here. One file for each
// family:
//   device.{h,cpp}   the device, its stream, checked calls and launches; the instance
//   memory.cpp       cudaMallocAsync, transfers through pinned memory
//   walk.h map.h     strided index arithmetic; the two elementwise kernels
//   elementwise.cu   unary, binary, compare, where, and their backward
//   copy.cu          fill, copy, accumulate
//   reduce.cu        reductions
//   matmul.cpp       matrix products and the fused linear layer, through gemm.h
//   gemm.{h,cpp}     the only use of cuBLASLt
//   linear.cu        bias and activation, forward and backward
//   conv.cu          convolutions, as products with patches or with columns
//   mixture.cu       maps by mixtures of logistics
//   spline.cu        rational-quadratic splines
//   index.cu         index_select, gather and their adjoints
//   random.cu        Philox draws
//   linalg.cu        factorisations of small matrices; the rest on the CPU
//   update.cu        optimizer steps, the norm of all gradients
//   recording.{h,cpp} recording and replaying a step as a CUDA graph
//   nccl.cpp         sums between the GPUs of several processes; the only use of NCCL
#pragma once

#include <memory>

#include "tensor/backend.h"
#include "tensor/full_precision.h"

namespace nf {

class CudaBackend final : public Backend {
 public:
  void* allocate(std::size_t bytes) override;
  void release(void* data, std::size_t bytes) override;
  void to_host(void* host, const void* device, std::size_t bytes) override;
  void from_host(void* device, const void* host, std::size_t bytes) override;
  std::size_t bytes_in_use() const override;
  std::size_t peak_bytes() const override;
  bool may_reuse(const void* data) const override;
  void synchronize() override;

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
  Precision precision() const override {
    return FullPrecision::wanted() ? Precision::F32 : precision_;
  }
  bool has_precision(Precision) const override { return true; }
  void set_precision(Precision precision) override { precision_ = precision; }

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

  void cholesky(Tensor& a) override;
  void triangular_solve(const Tensor& a, bool lower, bool transpose, bool unit, Tensor& b) override;
  void lu(Tensor& a, Tensor& pivots, Tensor& det) override;
  void lu_inverse(const Tensor& lu, const Tensor& pivots, Tensor& out) override;
  int qr(Tensor& a, Tensor& r) override;
  int eigh(Tensor& a, Tensor& values) override;

  void update(UpdateRule rule, const UpdateArgs& args, const Tensor& scale,
              std::span<Tensor> params, std::span<const Tensor> grads, std::span<Tensor> m,
              std::span<Tensor> v, std::span<const UpdateFactors> factors) override;
  void norm(std::span<const Tensor> tensors, Tensor& out) override;

  bool recording() const override;
  std::unique_ptr<Recording> record(std::span<Generator* const> generators,
                                    const std::function<void()>& step) override;

 private:
  Precision precision_ = Precision::TF32;
};

}  // namespace nf
