// Rows of data to latents and back, some at a time.
#pragma once

#include <cstdint>
#include <functional>

#include "cli/trained_model.h"

namespace nf::cli {

/// The most numbers that one layer makes of a sample.
double widest_layer(const flows::FlowDensity& density);

/// The latents (N, D), on the CPU, of x (N, D); `given` (N, G): of a conditional model. Throws
/// flows::Diverged when some are not finite: in which layer that began.
Tensor encode_in_parts(const char* command, const TrainedModel& model, const Tensor& x,
                       const Tensor& given = {});

/// The data (n, D), on the CPU, of latents that `latents(first, count)` gives in parts; a bar shows
/// how far it is. Throws flows::Diverged when some are not finite: how many, and in which layer
/// that began. `given` (n, G): of a conditional model.
Tensor decode_in_parts(const char* command, const TrainedModel& model, std::int64_t n,
                       const std::function<Tensor(std::int64_t, std::int64_t)>& latents,
                       const Tensor& given = {});
/// The same of latents (n, D).
Tensor decode_in_parts(const char* command, const TrainedModel& model, const Tensor& latents,
                       const Tensor& given = {});

/// Throws flows::Diverged unless z, the latents of x, are finite: in which layer that began.
void check_latents(const char* command, flows::Density& density, const Tensor& x, const Tensor& z,
                   const Tensor& given = {});

}  // namespace nf::cli
