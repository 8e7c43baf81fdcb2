#include "flows/train/gradient_sum.h"

#include "nn/layers/norm.h"

namespace nf::flows {

GradientSum::GradientSum(Density& density) : device_(density.device()) {
  const auto reserve = [&](const Tensor& like) {
    constexpr std::int64_t kAligned = 16;  // of elements: a cache line of f32
    if (like.dtype() == DType::F64) dtype_ = DType::F64;
    return std::exchange(numel_, (numel_ + like.numel() + kAligned - 1) / kAligned * kAligned);
  };
  for (const Tensor& tensor : nn::statistics_of(density)) {
    statistics_.emplace_back(tensor, reserve(tensor));
    before_.push_back(tensor.clone());
  }
  numel_of_statistics_ = numel_;
  for (const auto& [name, parameter] : density.parameters()) {
    gradients_.push_back({name, parameter, reserve(parameter->value())});
  }
}

Tensor GradientSum::view(const comm::Sum& sum, std::int64_t offset, const Tensor& like) {
  return sum.values.narrow(0, offset, like.numel()).reshape(like.shape());
}

// What lies between two tensors is nobody's.
comm::Sum GradientSum::begin() {
  for (std::size_t i = 0; i < statistics_.size(); ++i) statistics_[i].first.copy_(before_[i]);
  for (Place& place : gradients_) place.holders = place.parameter->slot().use_count();
  left_ = gradients_.size();
  return {Tensor::empty({numel_}, dtype_, device_),
          std::vector<double>(kNumbers + gradients_.size())};
}

void GradientSum::take_next(comm::Sum& sum) {
  const Place& at = gradients_[--left_];
  Tensor place = view(sum, at.offset, at.parameter->value());
  if (!at.parameter->grad().defined()) {
    place.fill_(0);
    return;
  }
  sum.numbers[kNumbers + left_] = 1;
  place.copy_(at.parameter->grad());
  at.parameter->clear_grad();
}

std::int64_t GradientSum::take_complete(comm::Sum& sum) {
  while (left_ > 0) {
    const Place& next = gradients_[left_ - 1];
    if (next.parameter->slot().use_count() > next.holders) break;
    take_next(sum);
  }
  return left_ < gradients_.size() ? gradients_[left_].offset : numel_;
}

void GradientSum::take_rest(comm::Sum& sum, double loss, std::int64_t samples) {
  while (left_ > 0) take_next(sum);
  for (const Place& place : gradients_) {
    NF_CHECK(!place.parameter->grad().defined(), "[shards] the gradient of ", place.name,
             " was taken before it was complete: what adds to it does not hold its slot "
             "(autograd/watch.h)");
  }
  sum.numbers[Loss] = loss;
  sum.numbers[Samples] = static_cast<double>(samples);
  for (const auto& [tensor, offset] : statistics_) {
    view(sum, offset, tensor).copy_(tensor * static_cast<double>(samples));
  }
}

void GradientSum::take_nothing(comm::Sum& sum) {
  const std::int64_t end = left_ < gradients_.size() ? gradients_[left_].offset : numel_;
  sum.values.narrow(0, 0, end).fill_(0);
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
