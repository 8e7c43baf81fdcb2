#include "flows/examine/regression.h"

#include "tensor/linalg.h"
#include "tensor/ops.h"

namespace nf::flows {

namespace {

constexpr std::int64_t kMostFeatures = 4096;
constexpr double kRidge = 1e-9;  // for features that follow from others

Tensor mean_of(const Tensor& x) { return sum(x, {0}) / static_cast<double>(x.dim(0)); }

}  // namespace

Regression::Regression(const Tensor& given, std::int64_t classes, std::int64_t dims,
                       const Parts& parts)
    : labels_(classes > 0) {
  NF_CHECK(given.rank() == 2 && given.dim(0) > 0 && (!labels_ || given.dim(1) == 1),
           "[regression] cannot take what is given as ", given.shape());
  const std::int64_t count = labels_ ? classes : given.dim(1);
  if (count > kMostFeatures) return;
  const double n = static_cast<double>(given.dim(0));
  mean_ = Tensor::zeros({count}, DType::F64);
  deviation_ = Tensor::ones({count}, DType::F64);
  mean_ = mean_of(features(given));
  if (!labels_) {
    const Tensor deviation = sqrt(sum_squares(features(given), {0}) / n);
    deviation_ = where(equal(deviation, Tensor::zeros({count}, DType::F64)), deviation_, deviation);
  }
  Tensor products = Tensor::zeros({count, count}, DType::F64);
  Tensor with_x = Tensor::zeros({count, dims}, DType::F64);
  parts([&](const Tensor& x, const Tensor& of) {
    const Tensor f = features(of);
    products.add_(matmul(f.t(), f) / n);
    with_x.add_(matmul(f.t(), x) / n);
  });
  double* const entries = products.mutable_data<double>();
  for (std::int64_t i = 0; i < count; ++i) {
    entries[i * count + i] *= 1 + static_cast<double>(count) / n;
    entries[i * count + i] += kRidge;
  }
  const Tensor l = cholesky(products);
  const Tensor y = triangular_solve(l, with_x);
  weights_ = triangular_solve(l, y, {.transpose = true});
}

// (n, F)
Tensor Regression::features(const Tensor& given) const {
  const std::int64_t count = mean_.numel();
  NF_CHECK(given.defined() && given.rank() == 2 && given.dim(1) == (labels_ ? 1 : count),
           "[regression] fitted to ", labels_ ? "a label" : str(count, " numbers"),
           " given with each row, got ", given.defined() ? str(given.shape()) : "none");
  const Tensor numbers = given.to(Device::CPU).to(DType::F64);
  if (!labels_) return (numbers - mean_) / deviation_;
  const Tensor classes = Tensor::arange(count, DType::I32).to(DType::F64).reshape({1, count});
  const Tensor ones = equal(numbers, classes).to(DType::F64);
  NF_CHECK(given.dim(0) == 0 || min(sum(ones, {1})).item() == 1,
           "[regression] a label is none of 0 to ", count - 1);
  return ones - mean_;
}

Tensor Regression::mean(const Tensor& given) const { return matmul(features(given), weights_); }

void Regression::add_to(nn::StateDict& state) const {
  if (!defined()) return;
  state.emplace_back(labels_ ? "label_mean" : "given_mean", mean_);
  state.emplace_back("given_deviation", deviation_);
  state.emplace_back("given_weights", weights_);
}

Regression Regression::from(const std::map<std::string, Tensor>& state, std::int64_t dims,
                            const std::string& where) {
  Regression result;
  const auto labels = state.find("label_mean"), columns = state.find("given_mean");
  result.labels_ = labels != state.end();
  const auto found = result.labels_ ? labels : columns;
  if (found == state.end()) return result;
  const auto take = [&](const std::string& name, const Shape& shape) {
    const auto tensor = state.find(name);
    NF_CHECK(tensor != state.end() && tensor->second.dtype() == DType::F64 &&
                 tensor->second.shape() == shape,
             where, "'", name, "' should be f64 ", shape);
    return tensor->second;
  };
  result.mean_ = take(found->first, {found->second.numel()});
  const std::int64_t count = result.mean_.numel();
  result.deviation_ = take("given_deviation", {count});
  result.weights_ = take("given_weights", {count, dims});
  return result;
}

}  // namespace nf::flows
