#include "flows/runs/in_parts.h"

#include <algorithm>
#include <vector>

#include "flows/train/fit.h"
#include "tensor/memory.h"

namespace nf::flows {

double widest_layer(const Density& density) {
  std::vector<nn::LayerInfo> layers;
  density.inspect({1, density.dims()}, "", layers);
  auto widest = static_cast<double>(density.dims());
  for (const nn::LayerInfo& layer : layers) {
    widest = std::max(widest, static_cast<double>(layer.out_shape.numel()));
  }
  return widest;
}

InParts::InParts(FlowDensity& density) : density(density) {
  constexpr double kNumbers = 1 << 24;
  const auto rows =
      std::max<std::int64_t>(1, static_cast<std::int64_t>(kNumbers / widest_layer(density)));
  encoded = std::min<std::int64_t>(rows, 1000);
  decoded = std::min<std::int64_t>(rows, 10'000);
}

Tensor encode_in_parts(const char* what, const InParts& parts, const Tensor& x,
                       const Tensor& given) {
  FlowDensity& density = parts.density;
  const Device device = density.device();
  const std::int64_t n = x.dim(0);
  std::vector<Tensor> latents;
  for (std::int64_t at = 0; at < n; at += parts.encoded) {
    const std::int64_t count = std::min(parts.encoded, n - at);
    const Tensor rows = x.narrow(0, at, count).to(device);
    const Tensor z = density.encode(rows, given_part(given, at, count, device));
    check_latents(what, density, rows, z, given_rows(given, at, count));
    latents.push_back(z.to(Device::CPU));
  }
  return concat(latents, 0);
}

namespace {

// decode_in_parts() by `data(z, first, given)`, of latents on the density's device.
template <class Data>
Tensor data_in_parts(const char* what, const InParts& parts, std::int64_t n,
                     const std::function<Tensor(std::int64_t, std::int64_t)>& latents,
                     const Data& data, const Tensor& given, const OnRows& on_rows) {
  FlowDensity& density = parts.density;
  check_memory(2.0 * sizeof(float) * static_cast<double>(n) * static_cast<double>(density.dims()),
               str(n, " samples"), "take fewer at a time");
  std::vector<Tensor> decoded;
  std::int64_t broken = 0;
  std::string where;
  for (std::int64_t at = 0; at < n; at += parts.decoded) {
    const std::int64_t count = std::min(parts.decoded, n - at);
    const Tensor z = latents(at, count).to(density.device());
    const Var beside = given_part(given, at, count, density.device());
    decoded.push_back(data(z, at, beside).to(Device::CPU));
    if (on_rows) on_rows(at + count, n);
    const Tensor& x = decoded.back();
    if (all_finite(x)) continue;
    // x - x is 0 where x is finite, else NaN.
    const Tensor finite = greater_equal(sum(x - x, {1}), Tensor::scalar(0, x.dtype()));
    broken += x.dim(0) - static_cast<std::int64_t>(sum(finite.to(DType::F64)).item());
    if (where.empty())
      where = density.find_nonfinite_inverse(z, given_rows(given, at, count))
                  .value_or("the data itself");
  }
  if (broken > 0) {
    throw Diverged(str("[", what, "] ", broken, " of ", n,
                       " samples are NaN or infinite, first in ", where,
                       "; try a lower temperature or --weights best, and see 'flowcli check'"));
  }
  return concat(decoded, 0);
}

}  // namespace

Tensor decode_in_parts(const char* what, const InParts& parts, std::int64_t n,
                       const std::function<Tensor(std::int64_t, std::int64_t)>& latents,
                       const Tensor& given, const OnRows& on_rows) {
  const auto decode = [&](const Tensor& z, std::int64_t, const Var& beside) {
    return parts.density.decode(z, beside);
  };
  return data_in_parts(what, parts, n, latents, decode, given, on_rows);
}

// What is drawn for a row does not depend on how they are cut.
Tensor sample_in_parts(const char* what, const InParts& parts, std::int64_t n, double temperature,
                       Generator& gen, const Tensor& given, const OnRows& on_rows) {
  FlowDensity& density = parts.density;
  Generator noise = FlowDensity::data_noise(gen);
  const std::uint64_t round = gen.offset();
  const auto latents = [&](std::int64_t, std::int64_t count) {
    return density.base().sample(gen, count, density.latent_dims(), temperature);
  };
  const auto draw = [&](const Tensor& z, std::int64_t first, const Var& beside) {
    if (!density.lossless()) {
      const Tensor rows = Tensor::arange(first + z.dim(0), DType::I32).narrow(0, first, z.dim(0));
      noise.place(rows.contiguous().to(z.device()), round);
    }
    return density.draw_data(z, noise, beside);
  };
  return data_in_parts(what, parts, n, latents, draw, given, on_rows);
}

void check_latents(const char* what, Density& density, const Tensor& x, const Tensor& z,
                   const Tensor& given) {
  if (all_finite(z)) return;
  throw Diverged(str("[", what, "] some latents are NaN or infinite, first in ",
                     density.find_nonfinite(x, given).value_or("the latents"),
                     "; see 'flowcli check'"));
}

Var given_part(const Tensor& given, std::int64_t first, std::int64_t count, Device device) {
  return given.defined() ? Var(given.narrow(0, first, count).to(device)) : Var();
}

}  // namespace nf::flows
