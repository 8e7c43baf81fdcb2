#include "flows/models/kinds.h"

#include "comm/wire.h"
#include "tensor/backend.h"

namespace nf::flows {

const Names<Recipe>& recipe_names() {
  static const Names<Recipe> names("recipe", {{"paper", Recipe::Paper}, {"code", Recipe::Code}});
  return names;
}

const Names<Splitting>& splittings() {
  static const Names<Splitting> names(
      "partition", {{"odd-even", Splitting::OddEven}, {"halves", Splitting::Halves}});
  return names;
}

const Names<Mixing>& mixings() {
  static const Names<Mixing> names("mixing", {{"none", Mixing::None}, {"linear", Mixing::Linear}});
  return names;
}

const Names<Whitening>& whitenings() {
  static const Names<Whitening> names(
      "whitening",
      {{"none", Whitening::None}, {"zca", Whitening::Zca}, {"triangular", Whitening::Triangular}});
  return names;
}

const Names<Preprocess>& preprocessings() {
  static const Names<Preprocess> names("preprocess", {{"auto", Preprocess::Auto},
                                                      {"unit", Preprocess::Unit},
                                                      {"symmetric", Preprocess::Symmetric},
                                                      {"logit", Preprocess::Logit},
                                                      {"cdf", Preprocess::Cdf},
                                                      {"standard", Preprocess::Standard},
                                                      {"none", Preprocess::None}});
  return names;
}

const Names<nn::Init::Kind>& init_kinds() {
  using Kind = nn::Init::Kind;
  static const Names<Kind> names("init", {{"kaiming", Kind::Kaiming},
                                          {"xavier", Kind::Xavier},
                                          {"uniform", Kind::Uniform},
                                          {"normal", Kind::Normal},
                                          {"orthogonal", Kind::Orthogonal}});
  return names;
}

const Names<comm::Wire>& wires() {
  static const Names<comm::Wire> names("exchange",
                                       {{"f32", comm::Wire::Exact}, {"bf16", comm::Wire::BF16}});
  return names;
}

const Names<Precision>& precisions() {
  static const Names<Precision> names("precision", [] {
    std::vector<std::pair<std::string, Precision>> table;
    for (const Precision p : {Precision::F32, Precision::TF32, Precision::BF16}) {
      table.emplace_back(name_of(p), p);
    }
    return table;
  }());
  return names;
}

}  // namespace nf::flows
