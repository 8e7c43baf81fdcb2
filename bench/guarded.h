// How the benches end: with one line on stderr where something throws.
#pragma once

#include <cstdio>
#include <exception>

#include "tensor/environment.h"

namespace nf {

/// Exit status of a program that is run(): 1 after an exception, 2 where a variable of the
/// environment says nothing that is known.
template <class Run>
int guarded(const char* program, const Run& run) {
  int status = 2;
  try {
    check_environment();
    status = 1;
    return run();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", program, error.what());
    return status;
  }
}

}  // namespace nf
