// What a handle of nf.h is.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "c/nf.h"
#include "flows/density.h"
#include "flows/runs/in_parts.h"
#include "flows/runs/saved_run.h"
#include "flows/train/evaluate.h"

/// A run's model, with all that a call would have to look for again. Nothing of it changes but the
/// generators of its noise.
struct nf_model {
  nf_model(const std::string& path, const nf_options& options);

  std::int64_t dims() const { return density->dims(); }
  bool discrete() const { return shape.discrete; }
  /// The model as one with latents; throws Error where it is none.
  const nf::flows::InParts& latents(const char* what) const;

  nf::flows::SavedRun run;
  nf::data::Dataset shape;  ///< of the data, without rows
  std::vector<std::string> notes;
  std::shared_ptr<nf::flows::Density> density;
  std::optional<nf::flows::Examination> examination;  ///< as long as the handle lives
  std::optional<nf::flows::InParts> parts;            ///< of a model with latents
  std::vector<nf::Generator*> noise;
  std::mutex noise_turn;
  nf::flows::EvaluateOptions evaluation;
  std::vector<bool> whole;  ///< (D): of columns of whole numbers; empty without any
  std::int64_t parameters = 0;
  bool bf16;  ///< what its products were trained in
};

namespace nf::c {

/// While it lives the products of this process are of one precision: the backend has but one.
/// Models of the same precision work side by side, others wait.
class Turn {
 public:
  explicit Turn(bool bf16);
  ~Turn();
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
};

}  // namespace nf::c
