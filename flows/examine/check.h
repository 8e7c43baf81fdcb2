// check_bijection: everything that a flow layer promises, tested on one instance.
//
// The project's own layers go through it (tests/flows_table.cpp), and so should yours:
//
//   auto failures = check_bijection({.name = "MyLayer",
//                                    .make = [](Generator& gen) { return make_my_layer(gen); },
//                                    .input = [](Generator& gen) {
//                                      return normal(gen, {4, 6}, DType::F64); }});
//   // empty when all is well, else one line for each broken promise
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "flows/bijection.h"
#include "tensor/random.h"

namespace nf::flows {

struct BijectionCase {
  std::string name;
  /// A new instance; its parameters are then moved away from their initial values at random.
  std::function<std::shared_ptr<Transform>(Generator&)> make;
  /// f64 (N, D), or (N, ...), inside the layer's domain and away from its kinks; N >= 2.
  std::function<Tensor(Generator&)> input;
  /// Columns of the context that the layer conditions on; 0: it is not conditional.
  std::int64_t context = 0;
  /// False for layers that are not differentiable in x: no gradient of x is asked for.
  bool differentiable = true;
  /// Additional points (M, D), f64, where value and log_det must be finite, in f32 too; undefined:
  /// none.
  Tensor extremes = {};
  /// Points (M, D), f64, where the formula changes, for instance with the sign of x or at the end
  /// of a level: the gradient there must be between those of both sides. The origin is always
  /// looked at, if the layer is finite there.
  Tensor kinks = {};
  double tolerance = 1e-8;  ///< of round trips, in f64
  /// True for layers that are another map in train mode, of the whole batch by its statistics.
  bool of_batch = false;
};

/// Of a transform that draws (Transform::exact) only inverse(forward(x)) = x, and the same of
/// encode(x), is checked, where it is lossless; and that draws belong to their rows. Of a
/// bijection, in f64: shapes; inverse(forward(x)) = x and forward(inverse(z)) = z with cancelling
/// log-determinants, in evaluation and in train mode, which must map alike (with of_batch: as in
/// evaluation mode with the statistics of the batch, which a StatisticsPass sets; its gradients are
/// checked, too); log_det against the Jacobian by central differences; gradients of value and
/// log_det in both directions for x, the context and every parameter, each of which must receive
/// one, also at the origin and at kinks; the same gradients through invertible(); a context that
/// changes the map, or is ignored or refused by what is not conditional; the caller's x untouched;
/// a batch as its rows one by one; initialize() twice as once; state() loaded into a fresh instance
/// gives the same map, also after initialize(); finite at the extremes; and f32 near f64, in both
/// directions. Returns a line for each failure.
std::vector<std::string> check_bijection(const BijectionCase& test);

}  // namespace nf::flows
