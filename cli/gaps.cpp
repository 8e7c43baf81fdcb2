#include "cli/gaps.h"

#include <algorithm>
#include <cmath>

#include "cli/given.h"
#include "flows/examine/table_baselines.h"
#include "flows/models/any_order.h"
#include "tensor/ops.h"

namespace nf::cli {

std::int64_t gaps_in(const Tensor& x) {
  if (!flows::has_gaps(x)) return 0;
  const std::vector<double> cells = x.to(DType::F64).to_vector<double>();
  return std::count_if(cells.begin(), cells.end(), [](double cell) { return std::isnan(cell); });
}

Tensor filled(const TrainedModel& model, const Tensor& x, const Tensor& given, Generator& gen) {
  if (!flows::has_gaps(x)) return x;
  auto* const density = dynamic_cast<flows::AnyOrder*>(model.density.get());
  NF_CHECK(density, "[data] rows of ", model.run.path(),
           " have missing cells, which its model does not know");
  const Tensor rows = x.to(DType::F64).to(density->device());
  return density
      ->complete(gen, rows, Tensor::ones(rows.shape(), DType::F32, rows.device()), 1,
                 given_part(given, 0, x.dim(0), density->device()))
      .to(Device::CPU);
}

}  // namespace nf::cli
