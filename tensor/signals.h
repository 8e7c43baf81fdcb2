// Who takes the signals that end a program.
#pragma once

#include <csignal>
#include <initializer_list>

namespace nf {

/// While it lives, SIGINT, SIGTERM and SIGHUP wait, for this thread and for ever for the threads
/// that it starts meanwhile: so the threads of a pool leave them to those of the caller, whose
/// handler has run before the caller goes on.
class SignalsToOthers {
 public:
  SignalsToOthers() {
    sigset_t endings;
    sigemptyset(&endings);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&endings, signal);
    pthread_sigmask(SIG_BLOCK, &endings, &before_);
  }
  ~SignalsToOthers() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsToOthers(const SignalsToOthers&) = delete;
  SignalsToOthers& operator=(const SignalsToOthers&) = delete;

 private:
  sigset_t before_;
};

}  // namespace nf
