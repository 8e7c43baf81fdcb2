// Loaded before OpenBLAS, this answers for it: the kernels are those that the user has asked for,
// or else PRETEND_CORE. With PRETEND_STUBBORN, OpenBLAS does not listen to the user.
#include <cstdlib>

extern "C" char* openblas_get_corename() {
  char* const asked = std::getenv("OPENBLAS_CORETYPE");
  return asked && !std::getenv("PRETEND_STUBBORN") ? asked : std::getenv("PRETEND_CORE");
}
