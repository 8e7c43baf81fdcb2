#include "tensor/error.h"

namespace nf {

void fail(const std::string& message) { throw Error(message); }

}  // namespace nf
