#include "flows/layers/standardize.h"

#include <cmath>

#include "flows/layers/rows.h"
#include "tensor/text.h"

namespace nf::flows {

Standardize::Standardize(std::int64_t dims, std::vector<std::string> names, bool wide,
                         std::vector<double> spread, bool gaps)
    : names_(std::move(names)),
      spread_(std::move(spread)),
      wide_(wide),
      gaps_(gaps),
      mean_(add_buffer("mean", Tensor::zeros({dims}))),
      mean_rest_(add_buffer("mean_rest", Tensor::zeros({dims}))),
      std_(add_buffer("std", Tensor::ones({dims}))) {
  NF_CHECK(names_.empty() || static_cast<std::int64_t>(names_.size()) == dims, "[Standardize] ",
           names_.size(), " names of ", dims, " columns");
  NF_CHECK(spread_.empty() || static_cast<std::int64_t>(spread_.size()) == dims, "[Standardize] ",
           spread_.size(), " deviations of ", dims, " columns");
}

Mapped Standardize::forward(const Var& x, const Var&) {
  check_dims("Standardize", x, mean_.numel());
  const DType in = x.dtype();
  const Var centred = (x - Var(mean_.to(in))) - Var(mean_rest_.to(in));
  return {cast(centred / Var(std_.to(in)), std_.dtype()),
          broadcast_to(Var(-sum(log(std_))), {x.dim(0)})};
}

Mapped Standardize::inverse(const Var& z, const Var&) {
  check_dims("Standardize", z, mean_.numel());
  const DType out = wide_ ? DType::F64 : z.dtype();
  const Var spread = cast(z, out) * Var(std_.to(out)) + Var(mean_rest_.to(out));
  return {spread + Var(mean_.to(out)), broadcast_to(Var(sum(log(std_))), {z.dim(0)})};
}

double Standardize::flops(const Shape& in) const {
  return 2.0 * static_cast<double>(in.numel() + in.dim(1));  // z; ln std and its sum
}

std::string Standardize::column_name(std::int64_t i) const {
  const std::string name =
      names_.empty() ? "" : " ('" + printable(names_[static_cast<std::size_t>(i)], 40) + "')";
  return str(i + 1, name);
}

namespace {

// (n), of a column those that are there.
Tensor numbers_of(const Tensor& column, bool gaps) {
  if (!gaps || all_finite(column)) return column;
  std::vector<double> values = column.to(Device::CPU).to_vector<double>();
  std::erase_if(values, [](double x) { return std::isnan(x); });
  return Tensor::from(values, {std::ssize(values)});
}

}  // namespace

void Standardize::initialize(const Samples& samples) {
  const Tensor x = samples.all();
  // In f64, or columns far from 0 would lose what they vary by. The data may be wide and long: one
  // column at a time.
  // Below this, numbers of this size do not differ; NaN is for fit() to report.
  const double relative = x.dtype() == DType::F64 ? 1e-14 : 1e-7;
  constexpr double kSmallest = 1e-30;  // the buffers are f32
  constexpr int kListed = 5;
  std::string constant;
  int more = 0;
  for (std::int64_t i = 0; i < mean_.numel(); ++i) {
    const Tensor column = numbers_of(x.narrow(1, i, 1).to(DType::F64), gaps_);
    NF_CHECK(column.numel() > 0, "[Standardize] column ", column_name(i),
             " has no number in the training rows; leave it out of the data");
    const double average = mean(column).item();
    double deviation = std::sqrt(variance(column).item());
    if (deviation <= relative * std::abs(average)) {
      deviation = spread_.empty() ? 0 : spread_[static_cast<std::size_t>(i)];
    }
    if (deviation == 0) {
      if (more++ < kListed) constant += str(more > 1 ? ", " : "", column_name(i));
      if (more == kListed + 1) constant += " and more";
      continue;
    }
    NF_CHECK(!(deviation < kSmallest), "[Standardize] column ", column_name(i), " varies by ",
             deviation, " only, less than ", kSmallest, ", the least that 32-bit reals can divide ",
             "by safely: multiply it by a power of ten");
    mean_.narrow(0, i, 1).fill_(average);
    mean_rest_.narrow(0, i, 1).fill_(average - mean_.narrow(0, i, 1).item());
    std_.narrow(0, i, 1).fill_(deviation);
  }
  NF_CHECK(constant.empty(), "[Standardize] constant in the ", x.dim(0),
           " training samples: column ", constant,
           "; a constant has no density: leave it out of the data");
}

}  // namespace nf::flows
