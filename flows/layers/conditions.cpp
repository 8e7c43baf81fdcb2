#include "flows/layers/conditions.h"

namespace nf::flows {

LabelCondition::LabelCondition(std::int64_t classes, std::int64_t embedding, Generator& gen)
    : classes_(add_buffer("classes", Tensor::arange(classes, DType::F32))) {
  NF_CHECK(classes >= 1 && embedding >= 0, "[LabelCondition] needs classes, got ", classes,
           " and an embedding of ", embedding);
  if (embedding > 0) embedding_ = &add_parameter("embedding", normal(gen, {classes, embedding}));
}

std::int64_t LabelCondition::context_dims() const {
  return embedding_ ? embedding_->dim(1) : classes_.numel();
}

Var LabelCondition::context(const Var& given) {
  NF_CHECK(given.rank() == 2 && given.dim(1) == 1, "[LabelCondition] expected labels (N, 1), got ",
           given.shape());
  const DType dtype = classes_.dtype();
  const Tensor one_hot = equal(given.value().to(dtype), classes_.unsqueeze(0)).to(dtype);
  if (given.device() == Device::CPU && given.dim(0) > 0) {
    NF_CHECK(min(sum(one_hot, {1})).item() == 1, "[LabelCondition] some of the labels ",
             min(given.value().to(dtype)).item(), " to ", max(given.value().to(dtype)).item(),
             " are none of the model's, which are 0 to ", classes_.numel() - 1);
  }
  return embedding_ ? matmul(one_hot, *embedding_) : Var(one_hot);
}

double LabelCondition::flops(const Shape& in) const {
  const double comparisons = static_cast<double>(in.dim(0) * classes_.numel());
  return embedding_ ? comparisons * (1 + 2 * static_cast<double>(context_dims())) : comparisons;
}

std::string LabelCondition::kind() const {
  return str("LabelCondition(", classes_.numel(),
             embedding_ ? str(" -> ", context_dims()) : std::string(), ")");
}

ColumnCondition::ColumnCondition(const std::vector<std::string>& names)
    : dims_(std::ssize(names)),
      standardize_(
          add_module("", std::make_shared<Standardize>(dims_, names, /*wide=*/false,
                                                       std::vector<double>(names.size(), 1)))) {
}  // 1: of what is constant

}  // namespace nf::flows
