#include "flows/train/gradient_sum.h"

#include "nn/layers/norm.h"

namespace nf::flows {

GradientSum::GradientSum(Density& density) : device_(density.device()) {
  const auto reserve = [&](const Tensor& like) {
    constexpr std::int64_t kAligned = 16;  // of elements: a cache line of f32
    if (like.dtype() == DType::F64) dtype_ = DType::F64;
    return std::exchange(numel_, (numel_ + like.numel() + kAligned - 1) / kAligned * kAligned);
  };
  for (const auto& [name, parameter] : density.parameters()) {
    gradients_.push_back({parameter, reserve(parameter->value())});
  }
  for (const Tensor& tensor : nn::statistics_of(density)) {
    statistics_.emplace_back(tensor, reserve(tensor));
    before_.push_back(tensor.clone());
  }
}

comm::Sum GradientSum::zero() const {
  return {Tensor::zeros({numel_}, dtype_, device_),
          std::vector<double>(kNumbers + gradients_.size())};
}

Tensor GradientSum::view(const comm::Sum& sum, std::int64_t offset, const Tensor& like) {
  return sum.values.narrow(0, offset, like.numel()).reshape(like.shape());
}

void GradientSum::begin() {
  for (std::size_t i = 0; i < statistics_.size(); ++i) statistics_[i].first.copy_(before_[i]);
}

// What lies between two tensors is nobody's.
comm::Sum GradientSum::take(double loss, std::int64_t samples) {
  comm::Sum sum = {Tensor::empty({numel_}, dtype_, device_),
                   std::vector<double>(kNumbers + gradients_.size())};
  sum.numbers[Loss] = loss;
  sum.numbers[Samples] = static_cast<double>(samples);
  for (std::size_t i = 0; i < gradients_.size(); ++i) {
    Var& parameter = *gradients_[i].parameter;
    Tensor place = view(sum, gradients_[i].offset, parameter.value());
    if (!parameter.grad().defined()) {
      place.fill_(0);
      continue;
    }
    sum.numbers[kNumbers + i] = 1;
    place.copy_(parameter.grad());
    parameter.clear_grad();
  }
  for (const auto& [tensor, offset] : statistics_) {
    view(sum, offset, tensor).copy_(tensor * static_cast<double>(samples));
  }
  return sum;
}

void GradientSum::put(comm::Sum& total) {
  total.values.mul_(1 / total.numbers[Samples]);
  for (std::size_t i = 0; i < gradients_.size(); ++i) {
    Var& parameter = *gradients_[i].parameter;
    parameter.clear_grad();
    if (total.numbers[kNumbers + i] == 0) continue;
    const Tensor grad = view(total, gradients_[i].offset, parameter.value());
    parameter.slot()->grad = grad.to(parameter.dtype());
  }
  for (std::size_t i = 0; i < statistics_.size(); ++i) {
    auto& [tensor, offset] = statistics_[i];
    tensor.copy_(view(total, offset, tensor));
    before_[i].copy_(tensor);
  }
}

}  // namespace nf::flows
