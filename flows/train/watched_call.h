// What code of others may do to the program that calls it: a fault, or exit().
#pragma once

#include <string>

namespace nf::flows {

/// While it lives, a fault (SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT) or a call of exit() ends the
/// program with exit status 1 and one line on standard error, "PROGRAM: WHO ended the program: a
/// segmentation fault; ADVICE", where it would else end without a word. _exit() is not seen. One at
/// a time, in one thread. What a signal did before is put back.
class WatchedCall {
 public:
  /// Both short: of longer texts the end is left out.
  WatchedCall(const std::string& who, const std::string& advice);
  ~WatchedCall();
  WatchedCall(const WatchedCall&) = delete;
  WatchedCall& operator=(const WatchedCall&) = delete;
};

}  // namespace nf::flows
