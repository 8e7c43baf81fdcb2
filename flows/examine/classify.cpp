#include "flows/examine/classify.h"

#include <algorithm>
#include <cmath>

namespace nf::flows {

namespace {

constexpr double kLeastTemperature = 0.01, kMostTemperature = 1e6;

// (N, K) f64 on the CPU.
void check_table(const Tensor& table, const char* what) {
  NF_CHECK(table.rank() == 2 && table.dim(0) > 0 && table.dim(1) > 0 && table.dtype() == DType::F64,
           "[classify] ", what, " are f64 (N, K), got ", describe(table));
}

void check_labels(const Tensor& labels, std::int64_t n, std::int64_t classes) {
  NF_CHECK(labels.shape() == Shape({n}) && labels.dtype() == DType::I32, "[classify] ", n,
           " rows need labels i32 ", Shape({n}), ", got ", describe(labels));
  for (const std::int32_t label : labels.to_vector<std::int32_t>()) {
    NF_CHECK(label >= 0 && label < classes, "[classify] label ", label, " is none of 0 to ",
             classes - 1);
  }
}

// ln p(k | x) of one row into `out`; NaN where there is none.
void log_posterior_of_row(const double* scores, const std::vector<double>& log_prior,
                          double temperature, double* out) {
  const std::size_t classes = log_prior.size();
  double most = -std::numeric_limits<double>::infinity();
  bool broken = false;
  for (std::size_t k = 0; k < classes; ++k) {
    out[k] = scores[k] / temperature + log_prior[k];
    broken = broken || std::isnan(out[k]);
    most = std::max(most, out[k]);
  }
  double sum = 0;
  for (std::size_t k = 0; k < classes; ++k) sum += std::exp(out[k] - most);
  const double log_sum = broken ? std::nan("") : most + std::log(sum);  // inf - inf is NaN too
  for (std::size_t k = 0; k < classes; ++k) out[k] -= log_sum;
}

double cross_entropy_at(const Tensor& scores, const std::vector<double>& log_prior,
                        const std::vector<std::int32_t>& labels, double temperature) {
  const double* row = scores.data<double>();
  std::vector<double> out(log_prior.size());
  double sum = 0;
  for (const std::int32_t label : labels) {
    log_posterior_of_row(row, log_prior, temperature, out.data());
    row += out.size();
    const double value = out[static_cast<std::size_t>(label)];
    if (!std::isnan(value)) sum -= value;
  }
  return sum;
}

}  // namespace

Tensor label_scores(Density& density, const Tensor& x, int classes, const EvaluateOptions& options,
                    const std::function<void(std::int64_t done)>& progress) {
  NF_CHECK(density.condition() && density.condition()->given_dims() == 1,
           "[classify] the density is not given a label");
  NF_CHECK(x.rank() == 2 && x.dim(0) > 0 && classes > 0,
           "[classify] no rows, or no labels: ", x.shape(), ", ", classes);
  const std::int64_t n = x.dim(0);
  std::vector<double> table(static_cast<std::size_t>(n * classes));
  EvaluateOptions of_label = options;
  for (int k = 0; k < classes; ++k) {
    of_label.given = Tensor::full({n, 1}, k, DType::I32);
    const std::vector<double> scores = score(density, x, of_label);
    for (std::int64_t i = 0; i < n; ++i) {
      table[static_cast<std::size_t>(i * classes + k)] = scores[static_cast<std::size_t>(i)];
    }
    if (progress) progress(k + 1);
  }
  return Tensor::from(table, {n, classes});
}

Tensor log_posterior(const Tensor& scores, const std::vector<double>& log_prior,
                     double temperature) {
  check_table(scores, "scores");
  NF_CHECK(std::ssize(log_prior) == scores.dim(1) && temperature > 0, "[classify] ", scores.dim(1),
           " labels need as many ln p(k), got ", log_prior.size(),
           ", and a temperature above 0, got ", temperature);
  const Tensor rows = scores.contiguous();
  Tensor result = Tensor::zeros(scores.shape(), DType::F64);
  const double* from = rows.data<double>();
  double* to = result.mutable_data<double>();
  for (std::int64_t i = 0; i < scores.dim(0); ++i) {
    log_posterior_of_row(from, log_prior, temperature, to);
    from += log_prior.size();
    to += log_prior.size();
  }
  return result;
}

double fit_temperature(const Tensor& scores, const std::vector<double>& log_prior,
                       const Tensor& labels) {
  check_table(scores, "scores");
  check_labels(labels, scores.dim(0), scores.dim(1));
  NF_CHECK(std::ssize(log_prior) == scores.dim(1), "[classify] ", scores.dim(1),
           " labels need as many ln p(k), got ", log_prior.size());
  const Tensor rows = scores.contiguous();
  const std::vector<std::int32_t> of = labels.to_vector<std::int32_t>();
  // The cross entropy is convex in 1/T, so it has one minimum in ln T: golden section.
  const auto loss = [&](double log_t) {
    return cross_entropy_at(rows, log_prior, of, std::exp(log_t));
  };
  const double golden = (std::sqrt(5.0) - 1) / 2;
  double low = std::log(kLeastTemperature), high = std::log(kMostTemperature);
  double left = high - golden * (high - low), right = low + golden * (high - low);
  double at_left = loss(left), at_right = loss(right);
  while (high - low > 1e-4) {
    if (at_left <= at_right) {
      high = right, right = left, at_right = at_left;
      left = high - golden * (high - low), at_left = loss(left);
    } else {
      low = left, left = right, at_left = at_right;
      right = low + golden * (high - low), at_right = loss(right);
    }
  }
  return std::exp((low + high) / 2);
}

std::vector<std::int32_t> most_probable(const Tensor& log_posterior) {
  check_table(log_posterior, "ln p(k | x)");
  const Tensor rows = log_posterior.contiguous();
  const std::int64_t classes = log_posterior.dim(1);
  std::vector<std::int32_t> labels;
  for (const double* row = rows.data<double>(); std::ssize(labels) < log_posterior.dim(0);
       row += classes) {
    const bool broken = std::any_of(row, row + classes, [](double p) { return std::isnan(p); });
    labels.push_back(
        broken ? -1 : static_cast<std::int32_t>(std::max_element(row, row + classes) - row));
  }
  return labels;
}

Classification classification_of(const Tensor& log_posterior, const Tensor& labels) {
  const std::vector<std::int32_t> predicted = most_probable(log_posterior);
  const std::int64_t classes = log_posterior.dim(1);
  check_labels(labels, log_posterior.dim(0), classes);
  Classification result;
  result.bins.resize(Classification::kBins);
  result.confusion.resize(static_cast<std::size_t>(classes * classes));
  const Tensor rows = log_posterior.contiguous();
  const double* row = rows.data<double>();
  std::vector<double> right, losses;
  for (const std::int32_t label : labels.to_vector<std::int32_t>()) {
    const std::int32_t guess = predicted[right.size()];
    const double sure = guess < 0 ? 0 : std::exp(row[guess]);
    right.push_back(guess == label ? 1 : 0);
    losses.push_back(-row[label]);
    if (guess < 0) {
      ++result.undecided;
    } else {
      ++result.confusion[static_cast<std::size_t>(label * classes + guess)];
    }
    const int bin =
        std::min(Classification::kBins - 1, static_cast<int>(sure * Classification::kBins));
    Classification::Bin& in = result.bins[static_cast<std::size_t>(bin)];
    ++in.count;
    in.confidence += sure;
    in.accuracy += right.back();
    row += classes;
  }
  result.accuracy = mean_and_error(right);
  result.cross_entropy = mean_and_error(losses);
  const double n = static_cast<double>(right.size());
  for (Classification::Bin& bin : result.bins) {
    if (bin.count == 0) continue;
    result.confidence += bin.confidence / n;
    result.calibration_error += std::abs(bin.accuracy - bin.confidence) / n;
    bin.confidence /= static_cast<double>(bin.count);
    bin.accuracy /= static_cast<double>(bin.count);
  }
  return result;
}

}  // namespace nf::flows
