#include "data/csv_header.h"

#include <algorithm>
#include <cmath>

namespace nf::data {

bool is_header(const std::vector<std::string>& first, const std::vector<std::string>& below,
               const CellReader& cells) {
  std::vector<std::string> numbers, under;
  std::size_t texts = 0;
  bool above_number = false;
  for (std::size_t i = 0; i < first.size(); ++i) {
    const bool beside = i < below.size();
    if (cells.looks_like_number(first[i])) {
      numbers.push_back(first[i]);
      under.push_back(beside ? below[i] : "");
    } else if (!is_missing_cell(first[i])) {
      ++texts;
      above_number = above_number || (beside && cells.looks_like_number(below[i]));
    }
  }
  if (numbers.empty()) return true;
  if (below.size() != first.size()) return false;
  const bool counts = even_step(numbers) != 0 && even_step(numbers) != even_step(under);
  const bool index = first[0].empty() && numbers[0] == "0" && numbers.size() + 1 == first.size();
  return (texts > 0 && counts) || (index && counts) || (above_number && texts > numbers.size());
}

double even_step(const std::vector<std::string>& fields) {
  if (fields.size() < 2) return 0;
  std::vector<double> values;
  for (const std::string& field : fields) values.push_back(cell_number(field).value_or(0.5));
  const double step = values[1] - values[0];
  for (std::size_t i = 0; i < values.size(); ++i) {
    const bool goes_on = i == 0 || values[i] - values[i - 1] == step;
    if (values[i] != std::floor(values[i]) || !goes_on) return 0;
  }
  return fields.size() > 2 || step == 1 ? step : 0;
}

}  // namespace nf::data
