// Targets: densities known but for a constant factor, to which a model is fitted without data
// (ReverseKl).
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "flows/train/objective.h"

namespace nf::flows {

/// What is built in. `log_density` takes f64 (N, D) and gives (N), differentiable.
struct BuiltInTarget {
  const char* name;
  const char* help;   ///< with its source
  std::int64_t dims;  ///< D
  bool any_dims;      ///< D may be another, from 2 on
  bool normalized;    ///< ln Z is 0
  double reach;       ///< of 2-D targets: a picture goes from -reach to reach; else 0
  double grid;        ///< of 2-D targets: all mass lies between -grid and grid; 0: not known
  Var (*log_density)(const Var& x);
};

/// U1 to U4 (Rezende, Mohamed 2015, table 1; ln p = -U): U2 to U4 do not fall off along z1, so
/// beyond |z1| = 4, where the pictures of the paper end, 12.5 (|z1| - 4)^2 is added to U. funnel
/// (Neal 2003): x1 ~ N(0, 9), the others N(0, exp(x1)). banana: x1 ~ N(0, 4), x2 ~ N(x1^2 / 4, 1).
/// eight-schools (Rubin 1981, priors of Gelman 2006): mu ~ N(0, 25), tau ~ half-Cauchy(5), effects
/// mu + tau e, as (mu, ln tau, e_1 .. e_8).
const std::vector<BuiltInTarget>& built_in_targets();

/// A target by the name of what is built in, or by the path of a shared library (target_library.h).
/// A setting `source` of data holds it as "target:DIMS/NAME", the path made absolute.
struct Target {
  std::string name;            ///< as people read it
  std::int64_t dims = 0;       ///< D
  double reach = 0, grid = 0;  ///< of 2-D targets, as above; else 0
  bool normalized = false;
  std::string checksum = {};  ///< of a library's file; empty for what is built in
  /// x (N, D) of the model's type to (N) of the same, computed in f64, differentiable.
  ReverseKl::LogTarget log_density;
};

/// dims 0: the target's own. Throws Error for a name that does not exist (with the nearest one), a
/// library that does not fit, or dims that the target does not have or that must be said.
Target find_target(const std::string& name, std::int64_t dims = 0);

bool is_target(const std::string& source);
std::string target_source(const std::string& name, const Target& target);
Target target_of(const std::string& source);
/// Its data: `draws` numbers of draws in an epoch, as ReverseKl has them, and no rows at all. Their
/// checksum is that of a library's file, too.
data::Dataset target_data(const std::string& source, std::int64_t draws);

}  // namespace nf::flows
