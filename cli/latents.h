// Rows of data to latents and back, some at a time, with a bar.
#pragma once

#include <cstdint>
#include <functional>

#include "cli/trained_model.h"
#include "flows/runs/in_parts.h"

namespace nf::cli {

/// flows::encode_in_parts of a model. Throws Error for one without latents.
Tensor encode_in_parts(const char* command, const TrainedModel& model, const Tensor& x,
                       const Tensor& given = {});

/// flows::decode_in_parts of a model; a bar shows how far it is.
Tensor decode_in_parts(const char* command, const TrainedModel& model, std::int64_t n,
                       const std::function<Tensor(std::int64_t, std::int64_t)>& latents,
                       const Tensor& given = {});
/// The same of latents (n, D).
Tensor decode_in_parts(const char* command, const TrainedModel& model, const Tensor& latents,
                       const Tensor& given = {});
/// flows::sample_in_parts of a model, with such a bar.
Tensor sample_in_parts(const char* command, const TrainedModel& model, std::int64_t n,
                       double temperature, Generator& gen, const Tensor& given);

}  // namespace nf::cli
