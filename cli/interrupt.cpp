#include "cli/interrupt.h"

#include <atomic>
#include <csignal>

namespace nf::cli {

namespace {

// The handler may run in any thread.
std::atomic<bool> raised = false;
static_assert(std::atomic<bool>::is_always_lock_free);

bool is_ignored(int signal) {
  struct sigaction before {};
  return sigaction(signal, nullptr, &before) == 0 && before.sa_handler == SIG_IGN;
}

void raise_flag_at(int signal, unsigned flags) {
  struct sigaction action {};
  action.sa_handler = [](int) { raised = true; };
  action.sa_flags = static_cast<int>(flags);
  sigaction(signal, &action, nullptr);
}

}  // namespace

void catch_interrupts() {
  const unsigned once = SA_RESETHAND | SA_RESTART;  // the next one has its usual effect
  raise_flag_at(SIGTERM, once);
  if (!is_ignored(SIGINT)) raise_flag_at(SIGINT, once);
  if (!is_ignored(SIGHUP)) raise_flag_at(SIGHUP, SA_RESTART);
}

bool interrupted() { return raised; }

void ignore_closed_pipes() {
  struct sigaction action {};
  action.sa_handler = SIG_IGN;
  sigaction(SIGPIPE, &action, nullptr);
}

}  // namespace nf::cli
