#include "flows/transform.h"

#include <numeric>

namespace nf::flows {

Var sum_event(const Var& x) {
  std::vector<int> axes(static_cast<std::size_t>(x.rank() - 1));
  std::iota(axes.begin(), axes.end(), 1);
  return axes.empty() ? x : sum(x, axes);
}

Var zero_log_det(const Var& x) { return Tensor::zeros({x.dim(0)}, x.dtype(), x.device()); }

}  // namespace nf::flows
