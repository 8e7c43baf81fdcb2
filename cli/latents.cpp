#include "cli/latents.h"

#include <algorithm>
#include <vector>

#include "cli/given.h"
#include "cli/progress.h"
#include "tensor/memory.h"
#include "tensor/ops.h"

namespace nf::cli {

double widest_layer(const flows::FlowDensity& density) {
  std::vector<nn::LayerInfo> layers;
  density.inspect({1, density.dims()}, "", layers);
  auto widest = static_cast<double>(density.dims());
  for (const nn::LayerInfo& layer : layers) {
    widest = std::max(widest, static_cast<double>(layer.out_shape.numel()));
  }
  return widest;
}

namespace {

// So many samples at a time, at most `most`, that a layer makes no more than 64 MB of them.
std::int64_t rows_at_once(const flows::FlowDensity& density, std::int64_t most) {
  constexpr double kNumbers = 1 << 24;
  return std::clamp(static_cast<std::int64_t>(kNumbers / widest_layer(density)), std::int64_t{1},
                    most);
}

}  // namespace

Tensor encode_in_parts(const char* command, const TrainedModel& model, const Tensor& x,
                       const Tensor& given) {
  flows::FlowDensity& density = model.flow(command);
  const Device device = density.device();
  const std::int64_t n = x.dim(0), part = rows_at_once(density, 1000);
  std::vector<Tensor> parts;
  for (std::int64_t at = 0; at < n; at += part) {
    const std::int64_t count = std::min(part, n - at);
    const Tensor rows = x.narrow(0, at, count).to(device);
    const Tensor z = density.encode(rows, given_part(given, at, count, device));
    check_latents(command, density, rows, z, flows::given_rows(given, at, count));
    parts.push_back(z.to(Device::CPU));
  }
  return concat(parts, 0);
}

Tensor decode_in_parts(const char* command, const TrainedModel& model, std::int64_t n,
                       const std::function<Tensor(std::int64_t, std::int64_t)>& latents,
                       const Tensor& given) {
  flows::FlowDensity& density = model.flow(command);
  check_memory(2.0 * sizeof(float) * static_cast<double>(n) * static_cast<double>(density.dims()),
               str(n, " samples"), "take fewer at a time");
  const std::int64_t part = rows_at_once(density, 10'000);
  Progress progress(model.common.quiet);
  std::vector<Tensor> parts;
  std::int64_t broken = 0;
  std::string where;
  for (std::int64_t at = 0; at < n; at += part) {
    const std::int64_t count = std::min(part, n - at);
    const Tensor z = latents(at, count).to(density.device());
    const Var beside = given_part(given, at, count, density.device());
    parts.push_back(density.decode(z, beside).to(Device::CPU));
    progress.step(at + count, n, "decoding", str(at + count, " of ", n));
    const Tensor& x = parts.back();
    if (all_finite(x)) continue;
    // x - x is 0 where x is finite, else NaN.
    const Tensor finite = greater_equal(sum(x - x, {1}), Tensor::scalar(0, x.dtype()));
    broken += x.dim(0) - static_cast<std::int64_t>(sum(finite.to(DType::F64)).item());
    if (where.empty())
      where = density.find_nonfinite_inverse(z, flows::given_rows(given, at, count))
                  .value_or("the data itself");
  }
  progress.clear();
  if (broken > 0) {
    throw flows::Diverged(str("[", command, "] ", broken, " of ", n,
                              " samples are NaN or infinite, first in ", where,
                              "; try a lower temperature or --weights best, and see 'flowcli "
                              "check'"));
  }
  return concat(parts, 0);
}

Tensor decode_in_parts(const char* command, const TrainedModel& model, const Tensor& latents,
                       const Tensor& given) {
  return decode_in_parts(
      command, model, latents.dim(0),
      [&](std::int64_t first, std::int64_t count) { return latents.narrow(0, first, count); },
      given);
}

void check_latents(const char* command, flows::Density& density, const Tensor& x, const Tensor& z,
                   const Tensor& given) {
  if (all_finite(z)) return;
  throw flows::Diverged(str("[", command, "] some latents are NaN or infinite, first in ",
                            density.find_nonfinite(x, given).value_or("the latents"),
                            "; see 'flowcli check'"));
}

}  // namespace nf::cli
