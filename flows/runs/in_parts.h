// Many rows through a density some at a time: so many that a layer makes no more than 64 MB of
// them.
#pragma once

#include <cstdint>
#include <functional>

#include "flows/flow_density.h"

namespace nf::flows {

/// The most numbers that one layer makes of a sample.
double widest_layer(const Density& density);

/// A density and how many rows go through it at a time, which is found once.
struct InParts {
  explicit InParts(FlowDensity& density);

  FlowDensity& density;
  std::int64_t encoded;  ///< at most 1000
  std::int64_t decoded;  ///< at most 10,000
};

/// Called when `done` rows of `total` are.
using OnRows = std::function<void(std::int64_t done, std::int64_t total)>;

// `what` begins messages, as [what]. `given` (N, G): of a conditional density.

/// The latents (N, L), on the CPU, of x (N, D). Throws Diverged when some are not finite: in which
/// layer that began.
Tensor encode_in_parts(const char* what, const InParts& parts, const Tensor& x,
                       const Tensor& given = {});
/// The data (n, D), on the CPU, of latents that `latents(first, count)` gives in parts. Throws
/// Diverged when some are not finite: how many, and in which layer that began.
Tensor decode_in_parts(const char* what, const InParts& parts, std::int64_t n,
                       const std::function<Tensor(std::int64_t, std::int64_t)>& latents,
                       const Tensor& given = {}, const OnRows& on_rows = {});
/// n draws (n, D), on the CPU: of a generator always the same, on every device.
Tensor sample_in_parts(const char* what, const InParts& parts, std::int64_t n, double temperature,
                       Generator& gen, const Tensor& given = {}, const OnRows& on_rows = {});

/// Throws Diverged unless z, the latents of x, are finite: in which layer that began.
void check_latents(const char* what, Density& density, const Tensor& x, const Tensor& z,
                   const Tensor& given = {});

/// A part of what is given, moved to a device; undefined stays undefined.
Var given_part(const Tensor& given, std::int64_t first, std::int64_t count, Device device);

}  // namespace nf::flows
