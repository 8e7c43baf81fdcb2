// The border of C: no exception crosses it.
#pragma once

#include <exception>
#include <new>
#include <string>

#include "c/nf.h"
#include "flows/train/fit.h"
#include "tensor/error.h"

namespace nf::c {

/// Wrong arguments.
class WrongCall : public Error {
 public:
  using Error::Error;
};

/// Throws WrongCall with all `parts` as its message unless `right`.
template <class... Parts>
void check_call(bool right, const Parts&... parts) {
  if (!right) throw WrongCall(str(parts...));
}

/// Keeps a message for this thread, without memory of its own; returns the status.
int failed(int status, const char* message) noexcept;
const char* last_error() noexcept;

/// Runs the work of a function of nf.h; returns its status.
template <class Work>
int guarded(const Work& work) noexcept {
  try {
    work();
    return NF_OK;
  } catch (const WrongCall& error) {
    return failed(NF_USAGE, error.what());
  } catch (const flows::Diverged& error) {
    return failed(NF_DIVERGED, error.what());
  } catch (const std::bad_alloc&) {
    return failed(NF_FAILED, "[memory] out of memory; give fewer rows at a time");
  } catch (const std::exception& error) {
    return failed(NF_FAILED, error.what());
  } catch (...) {
    return failed(NF_FAILED, "[nf] something was thrown that is no error of this library");
  }
}

}  // namespace nf::c
