// The settings of Config that are one of some names, as enums: each name stands in one table.
// Couplings, bases, schedules, optimizers and activations have theirs where they are made.
#pragma once

#include <cstdint>

#include "nn/init.h"
#include "tensor/names.h"

namespace nf {
enum class Precision : std::uint8_t;  // tensor/backend.h
}
namespace nf::comm {
enum class Wire : std::uint8_t;  // comm/wire.h
}

namespace nf::flows {

enum class Recipe { Paper, Code };
enum class Splitting { OddEven, Halves };
enum class Mixing { None, Linear };
enum class Whitening { None, Zca, Triangular };
enum class Preprocess { Auto, Unit, Symmetric, Logit, Cdf, Standard, None };

const Names<Recipe>& recipe_names();
const Names<Splitting>& splittings();
const Names<Mixing>& mixings();
const Names<Whitening>& whitenings();
const Names<Preprocess>& preprocessings();
const Names<nn::Init::Kind>& init_kinds();  ///< but zeros, which is scale 0
const Names<Precision>& precisions();       ///< but auto, which is the device's
const Names<comm::Wire>& wires();

}  // namespace nf::flows
