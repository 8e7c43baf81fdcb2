// How functions.h records: a private header of this folder.
#pragma once

#include <utility>

#include "autograd/functions.h"

namespace nf::detail {

/// The functions of NF_FUNCTIONS. Recording needs one of these, and a test walks them: nothing gets
/// onto a tape from this folder without a row in the op table.
#define NF_ENUMERATOR(function) function,
enum class Function { NF_FUNCTIONS(NF_ENUMERATOR) };
#undef NF_ENUMERATOR

constexpr const char* name_of(Function f) {
#define NF_NAME(function) #function,
  constexpr const char* names[] = {NF_FUNCTIONS(NF_NAME)};
#undef NF_NAME
  return names[static_cast<int>(f)];
}

/// Records `backward(dout)` on the current tape.
template <class Backward>
Var record(Function f, Tensor value, Backward&& backward) {
  return Tape::current()->record(name_of(f), std::move(value), std::forward<Backward>(backward));
}

/// slot += g when there is a slot.
inline void add_grad(const std::shared_ptr<Slot>& slot, Tensor g) {
  if (slot) slot->accumulate(std::move(g));
}

}  // namespace nf::detail
