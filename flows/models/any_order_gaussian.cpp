// AnyOrder once it is a Gaussian beside independent categories.
#include <algorithm>
#include <cmath>

#include "flows/models/any_order.h"
#include "flows/models/table_gaussian.h"

namespace nf::flows {

/// Columns of the table beside those of the Gaussian; a cell that is missing is never known.
struct AnyOrder::Cells {
  std::size_t rows, columns, numbers;
  std::vector<double> x;
  std::vector<bool> there, known;
  TableGaussian::Rows of_numbers;  // the same numbers, and which of them are known

  bool is_there(std::size_t row, std::size_t column) const { return there[row * columns + column]; }
};

void AnyOrder::become_gaussian(const Tensor& mean, const Tensor& covariance,
                               const Tensor& log_frequency) {
  NF_CHECK(!condition(), "[AnyOrder] a model that is given something becomes no Gaussian");
  if (numbers_ > 0) {
    gaussian_mean_->copy_(mean);
    gaussian_covariance_->copy_(covariance);
  }
  if (values_ > 0) gaussian_frequency_->copy_(log_frequency);
  is_gaussian_.fill_(1);
}

void AnyOrder::ask_network() { is_gaussian_.fill_(0); }

bool AnyOrder::is_gaussian() const { return is_gaussian_.item() != 0; }

TableGaussian AnyOrder::gaussian() const {
  std::vector<std::pair<double, double>> bounds;
  std::vector<bool> whole;
  for (std::size_t i = 0; i < places_.size(); ++i) {
    if (places_[i].values > 0) continue;
    bounds.push_back(options_.bounds.empty() ? std::pair<double, double>{-INFINITY, INFINITY}
                                             : options_.bounds[i]);
    whole.push_back(places_[i].whole);
  }
  const Tensor none = Tensor::zeros({0}, DType::F64);
  return {numbers_ > 0 ? *gaussian_mean_ : none,
          numbers_ > 0 ? *gaussian_covariance_ : none.reshape({0, 0}), bounds, whole};
}

AnyOrder::Cells AnyOrder::cells_of(const Tensor& x, const Tensor& known) const {
  NF_CHECK(x.rank() == 2 && x.dim(1) == dims(), "[log_prob] the model is for data of shape (N, ",
           dims(), "), got ", x.shape());
  Cells cells{.rows = static_cast<std::size_t>(x.dim(0)),
              .columns = places_.size(),
              .numbers = static_cast<std::size_t>(numbers_),
              .x = x.to(Device::CPU).to(DType::F64).to_vector<double>(),
              .there = {},
              .known = {},
              .of_numbers = {}};
  const std::vector<double> marks =
      known.broadcast_to(x.shape()).to(Device::CPU).to(DType::F64).to_vector<double>();
  for (std::size_t at = 0; at < cells.x.size(); ++at) {
    cells.there.push_back(!std::isnan(cells.x[at]));
    cells.known.push_back(cells.there[at] && marks[at] != 0);
    if (places_[at % cells.columns].values > 0) continue;
    cells.of_numbers.x.push_back(cells.there[at] ? cells.x[at] : 0);
    cells.of_numbers.known.push_back(cells.known[at]);
  }
  return cells;
}

// ln p of the cells of a column, given what is known; what stands there for missing ones counts for
// nothing.
std::vector<double> AnyOrder::log_column(TableGaussian& gaussian, const Cells& cells,
                                         std::size_t column) const {
  const Place place = places_[column];
  if (place.values == 0) {
    return gaussian.log_conditional(cells.of_numbers, static_cast<std::size_t>(place.first));
  }
  const std::vector<double> frequency = gaussian_frequency_->to_vector<double>();
  std::vector<double> out(cells.rows, -INFINITY);
  for (std::size_t i = 0; i < cells.rows; ++i) {
    const double code = cells.x[i * cells.columns + column];
    if (code >= 0 && code < place.values && code == std::floor(code)) {
      out[i] = frequency[static_cast<std::size_t>(place.first) + static_cast<std::size_t>(code)];
    }
  }
  return out;
}

void AnyOrder::set_known(Cells& cells, std::size_t column) const {
  const Place place = places_[column];
  if (place.values > 0) return;  // independent of all others
  for (std::size_t i = 0; i < cells.rows; ++i) {
    cells.of_numbers.known[i * cells.numbers + static_cast<std::size_t>(place.first)] =
        cells.is_there(i, column);
  }
}

Tensor AnyOrder::gaussian_log_prob(const Tensor& x) const {
  TableGaussian numbers = gaussian();
  Cells cells = cells_of(x, Tensor::zeros({1, dims()}));
  std::vector<double> total(cells.rows);
  for (std::size_t column = 0; column < cells.columns; ++column) {
    const std::vector<double> log_p = log_column(numbers, cells, column);
    for (std::size_t i = 0; i < cells.rows; ++i) {
      if (cells.is_there(i, column)) total[i] += log_p[i];
    }
    set_known(cells, column);
  }
  return Tensor::from(total, {x.dim(0)}).to(whole_.dtype()).to(x.device());
}

Tensor AnyOrder::gaussian_log_conditionals(const Tensor& x, const Tensor& known) const {
  TableGaussian numbers = gaussian();
  const Cells cells = cells_of(x, known);
  std::vector<double> out(cells.x.size());
  for (std::size_t column = 0; column < cells.columns; ++column) {
    const std::vector<double> log_p = log_column(numbers, cells, column);
    for (std::size_t i = 0; i < cells.rows; ++i) {
      if (cells.is_there(i, column)) out[i * cells.columns + column] = log_p[i];
    }
  }
  return Tensor::from(out, x.shape()).to(whole_.dtype()).to(x.device());
}

Tensor AnyOrder::gaussian_complete(Generator& gen, const Tensor& x, const Tensor& known,
                                   double temperature) const {
  TableGaussian numbers = gaussian();
  Cells cells = cells_of(x, known);
  for (std::size_t column = 0; column < cells.columns; ++column) {
    const Place place = places_[column];
    const auto number = static_cast<std::size_t>(place.first);
    std::vector<double> drawn;
    if (place.values > 0) {
      const Tensor logits = gaussian_frequency_->to(Device::CPU)
                                .narrow(0, place.first, place.values)
                                .broadcast_to({x.dim(0), place.values});
      drawn = draw_values(gen, logits, temperature).to(DType::F64).to_vector<double>();
    } else {
      drawn = numbers.draw(gen, cells.of_numbers, number, temperature);
    }
    for (std::size_t i = 0; i < cells.rows; ++i) {
      const std::size_t at = i * cells.columns + column;
      if (cells.known[at]) continue;
      cells.x[at] = drawn[i];
      cells.there[at] = true;
      if (place.values == 0) cells.of_numbers.x[i * cells.numbers + number] = drawn[i];
    }
    set_known(cells, column);
  }
  return Tensor::from(cells.x, x.shape()).to(x.device());
}

}  // namespace nf::flows
