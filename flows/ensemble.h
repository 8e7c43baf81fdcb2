// Ensemble: several densities of the same data as one, their mixture.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "flows/density.h"

namespace nf::flows {

/// p(x | given) = (1/K) sum_k p_k(x | given), normalised as each of the K members is. Its log_prob
/// is at least the mean of theirs (Jensen), by how much tells how far they disagree. Of members
/// with a lower bound it is one, too. (Lakshminarayanan, Pritzel, Blundell, "Deep ensembles"
/// (2017))
class Ensemble : public Density {
 public:
  /// Throws Error without members, and for members of different data.
  explicit Ensemble(std::vector<std::shared_ptr<Density>> members);

  Var log_prob(const Var& x, const Var& given = {}) override;
  /// Each row is of one of the members, at random.
  Tensor sample(Generator& gen, std::int64_t n, double temperature = 1,
                const Var& given = {}) override;

  const std::vector<std::shared_ptr<Density>>& members() const { return members_; }
  bool bound() const override;
  int levels() const override { return members_.front()->levels(); }
  Tensor whole_columns() const override { return members_.front()->whole_columns(); }
  std::optional<std::string> find_nonfinite(const Tensor& x, const Tensor& given = {}) override;
  std::string kind() const override;
  Shape inspect(const Shape& in, const std::string& name,
                std::vector<nn::LayerInfo>& rows) const override;

 private:
  std::vector<std::shared_ptr<Density>> members_;
};

}  // namespace nf::flows
