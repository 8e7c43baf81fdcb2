// Linear regression: the mean of rows that is linear in what is given with them.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "nn/module.h"
#include "tensor/tensor.h"

namespace nf::flows {

/// mean(given) = (features(given) - their mean) W, f64. The features of a label are ones and zeros,
/// those of columns the standardised columns. W (F, D) has the least squares, with a ridge of F / n
/// of each feature's variance, so that n rows cannot be fitted by as many features.
class Regression {
 public:
  Regression() = default;  ///< of nothing given: it is not there
  /// Calls use(x, given) for all rows, some at a time: x (n, D) f64 without their mean.
  using Parts =
      std::function<void(const std::function<void(const Tensor& x, const Tensor& given)>& use)>;
  /// given: i32 (n, 1) of `classes` labels, or f64 (n, F), all of it. More than 4096 features have
  /// no regression.
  Regression(const Tensor& given, std::int64_t classes, std::int64_t dims, const Parts& parts);

  bool defined() const { return weights_.defined(); }
  /// (n, D). Throws Error where `given` is missing, of another size, or holds a label that is none.
  Tensor mean(const Tensor& given) const;

  /// Adds its numbers to a state; from(): reads them back, nothing where there are none. Throws
  /// Error, which begins with `where`, for others.
  void add_to(nn::StateDict& state) const;
  static Regression from(const std::map<std::string, Tensor>& state, std::int64_t dims,
                         const std::string& where);

 private:
  Tensor features(const Tensor& given) const;

  bool labels_ = false;
  Tensor mean_, deviation_;  // f64 (F), of what is given
  Tensor weights_;           // f64 (F, D)
};

}  // namespace nf::flows
