// What initial values of densities share.
#pragma once

#include "flows/condition.h"

namespace nf::flows {

/// Initialises the condition of a density, null for none, by what is given with all its rows.
inline void initialize_condition(Condition* condition, const Samples& rows) {
  if (!condition || condition->given_dims() == 0) return;
  condition->initialize(rows.context(0, rows.size()));
}

}  // namespace nf::flows
