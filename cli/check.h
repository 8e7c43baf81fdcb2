// The examination of a trained model, which `check` prints and `report` shows.
#pragma once

#include <string>
#include <vector>

#include "cli/trained_model.h"
#include "flows/diagnose.h"

namespace nf::cli {

struct CheckOptions {
  std::int64_t samples = 10000;      ///< whose latents are looked at
  std::int64_t layer_samples = 200;  ///< that go through the layers one by one
  std::int64_t jacobians = -1;       ///< samples; -1: as many as are quick in so many dimensions
  std::uint64_t seed = 0;            ///< of the noise
};

struct Checkup {
  std::vector<flows::LayerDiagnosis> working;  ///< in f32, on the model's device
  std::vector<flows::LayerDiagnosis> exact;    ///< in f64, with Jacobians
  flows::LatentDiagnosis latents;
  std::int64_t jacobians = 0;
  std::vector<std::string> verdict;  ///< sentences
  std::string fault;                 ///< what is wrong with the map; empty: it is sound

  std::string table() const;
  std::string latents_text() const;
  Json json() const;
};

/// Of the first rows of x (N, D); the model is unchanged.
Checkup examine(const TrainedModel& model, const Tensor& x, const CheckOptions& options);

}  // namespace nf::cli
