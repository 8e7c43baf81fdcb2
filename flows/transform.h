// Transform: a map between data and latents with its log-determinant. Every flow layer is one.
#pragma once

#include <limits>
#include <memory>

#include "autograd/functions.h"
#include "flows/samples.h"
#include "nn/module.h"
#include "tensor/random.h"

namespace nf::flows {

/// What a map gives: the value, and log|det J| of the direction just run, one number per sample,
/// shape (N), summed over all dimensions of a sample.
struct Mapped {
  Var value;
  Var log_det;
};

/// Where a walk back through a transform stands: a value, and the gradient of the loss there.
struct Walked {
  Tensor value;
  Tensor dvalue;  ///< undefined: zeros
};

/// forward is data -> latent everywhere, inverse is latent -> data. Value and log-determinant come
/// out of one pass. x is (N, ...), f32 or f64 as the parameters are. `context` (N, C) is what a
/// conditional layer conditions on, couplings of images also (N, H, W, C); the others ignore it.
///
/// A Transform may draw random numbers z ~ q(z|x) on its way forward, from generators of its own
/// (Module::add_generator). Then ln p(x|z) - ln q(z|x)
/// takes the place of log_det, and what a density makes of it is a lower bound on average (for
/// noise on levels: Theis et al. 2016). What draws nothing and is exact in both directions derives
/// from Bijection (bijection.h).
class Transform : public nn::Module {
 public:
  virtual Mapped forward(const Var& x, const Var& context = {}) = 0;
  virtual Mapped inverse(const Var& z, const Var& context = {}) = 0;
  /// forward() and forward_rows(), as those call them who hold the layer: a Profile is told whose
  /// it is.
  Mapped operator()(const Var& x, const Var& context = {}) {
    const nn::Call call(*this);
    return forward(x, context);
  }
  Mapped call_rows(const Tensor& data, const Tensor& rows, const Var& context = {}) {
    const nn::Call call(*this);
    return forward_rows(data, rows, context);
  }
  /// From its output and the gradient there to its input and the gradient at the input, of a
  /// bijection: the input is recovered by inverse(), and only this transform is recorded. dlog_det
  /// (N) is the gradient of the log-determinants. Gradients of parameters and of the context arrive
  /// in their slots. What holds other transforms walks through one after the other (invertible()).
  virtual Walked walk_back(const Walked& at, const Tensor& dlog_det, const Var& context);
  /// Whether this is a bijection. False: forward draws.
  virtual bool exact() const { return false; }
  /// Whether inverse(encode(x)) is x. False: a latent does not say all of x; inverse gives the
  /// middle of what x may be, and draw() one of these (VaeLayer).
  virtual bool lossless() const { return true; }
  /// x ~ p(x|z), with noise of `gen`, whose rows are those of z: inverse() where that is all of x.
  virtual Var draw(const Var& z, Generator& /*gen*/, const Var& context = {}) {
    return inverse(z, context).value;
  }
  /// forward() of data's rows `rows` (i32): a layer that takes them on its way (Dequantize) spares
  /// the gathering.
  virtual Mapped forward_rows(const Tensor& data, const Tensor& rows, const Var& context = {}) {
    return forward(index_select(data, 0, rows), context);
  }
  /// The latent of x, the same at every call: what draws takes the middle of what it may draw, from
  /// which inverse comes back to x.
  virtual Var encode(const Var& x, const Var& context = {}) { return forward(x, context).value; }
  /// K where x are levels 0..K-1, else 0.
  virtual int levels() const { return 0; }
  /// (D), 1 for the columns of x that are whole numbers and get noise here; undefined without any.
  virtual Tensor whole_columns() const { return {}; }
  /// Whether x may be f64 beside parameters that are f32: the layer computes in f64 what needs it,
  /// and its output has the type of the parameters.
  virtual bool takes_f64() const { return false; }
  /// Sets initial values from samples of this layer's input, before training begins: as many as
  /// initial_rows() asks for, if there are so many. A layer that asks for none, as most do, is not
  /// called.
  virtual void initialize(const Samples& /*x*/) {}
  /// Samples that initialize() wants to see.
  virtual std::int64_t initial_rows() const { return 0; }
  static constexpr std::int64_t kAllRows = std::numeric_limits<std::int64_t>::max();
};

/// Backward from what a transform gave under `tape`, for those gradients that there are.
void run_back(Tape& tape, const Mapped& out, const Tensor& dvalue, const Tensor& dlog_det);
/// (N), the sums over all dimensions of each sample of x (N, ...).
Var sum_event(const Var& x);
/// Zeros (N): the log-determinant of maps that keep volume.
Var zero_log_det(const Var& x);

}  // namespace nf::flows
