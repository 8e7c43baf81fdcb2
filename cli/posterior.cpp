#include "cli/posterior.h"

#include <algorithm>
#include <cmath>

#include "cli/lines.h"
#include "cli/quantile.h"
#include "flows/train/evaluate.h"
#include "tensor/text.h"

namespace nf::cli {

Posterior posterior_of(const Tensor& draws, std::int64_t observed,
                       const std::vector<std::string>& parameters, const std::vector<bool>& whole,
                       const std::vector<std::pair<std::string, double>>& at) {
  constexpr std::int64_t kMostShown = 10;
  const std::int64_t each = draws.dim(0) / observed;
  Posterior posterior;
  for (std::int64_t row = 0; row < observed; ++row) {
    std::vector<std::vector<std::string>> table = {{"parameter", "mean", "deviation"}};
    for (const auto& [name, share] : at) table[0].push_back(str(100 * share, " %"));
    Json all = Json::array();
    for (std::size_t j = 0; j < parameters.size(); ++j) {
      std::vector<double> values = draws.narrow(0, row * each, each)
                                       .narrow(1, static_cast<std::int64_t>(j), 1)
                                       .to(DType::F64)
                                       .to_vector<double>();
      std::sort(values.begin(), values.end());
      const flows::MeanAndError mean = flows::mean_and_error(values);
      const double deviation = mean.error * std::sqrt(static_cast<double>(each));
      table.push_back({printable(parameters[j]), short_number(mean.mean), short_number(deviation)});
      Json one = {{"name", parameters[j]},
                  {"mean", mean.mean},
                  {"deviation", deviation},
                  {"quantiles", Json::object()}};
      for (const auto& [name, share] : at) {
        const double value = quantile_of(values, share, whole[j]);
        table.back().push_back(short_number(value));
        one["quantiles"][name] = value;
      }
      all.push_back(one);
    }
    posterior.json.push_back({{"row", row}, {"parameters", all}});
    if (row >= kMostShown) continue;
    if (observed > 1) posterior.text += str("given row ", row, "\n");
    posterior.text += table_text(table, output_width());
  }
  if (observed > kMostShown) posterior.text += str("and ", observed - kMostShown, " rows more\n");
  return posterior;
}

}  // namespace nf::cli
