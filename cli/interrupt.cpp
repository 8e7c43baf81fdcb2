#include "cli/interrupt.h"

#include <csignal>

namespace nf::cli {

namespace {
volatile std::sig_atomic_t raised = 0;
}

void catch_interrupts() {
  struct sigaction action {};
  action.sa_handler = [](int) { raised = 1; };
  action.sa_flags = static_cast<int>(SA_RESETHAND);  // the next one has its usual effect
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

bool interrupted() { return raised != 0; }

}  // namespace nf::cli
