#include "flows/train/watched_call.h"

#include <errno.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <string_view>

namespace nf::flows {

namespace {

struct Fault {
  int signal;
  const char* words;
};
constexpr std::array<Fault, 5> kFaults = {{{SIGSEGV, "a segmentation fault"},
                                           {SIGBUS, "a bus error"},
                                           {SIGFPE, "a division of whole numbers by zero"},
                                           {SIGILL, "an illegal instruction"},
                                           {SIGABRT, "it called abort()"}}};

// A handler may neither allocate nor lock: all that it says and changes is here.
struct Watch {
  volatile std::sig_atomic_t on = 0;
  char who[512] = "", advice[256] = "";
  std::array<struct sigaction, kFaults.size()> before = {};
  stack_t stack_before = {};
  char stack[1 << 16];  // of handlers: the program's own may be what is full
};

Watch& watch() {
  static Watch the_only_one;
  return the_only_one;
}

void say(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
    if (written <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

[[noreturn]] void end_program(const char* reason) {
  const Watch& w = watch();
  for (const char* part : {const_cast<const char*>(program_invocation_short_name), ": ", w.who,
                           " ended the program: ", reason, "; ", w.advice, "\n"}) {
    say(part);
  }
  ::_exit(1);
}

void on_fault(int signal) {
  for (const Fault& fault : kFaults) {
    if (fault.signal == signal) end_program(fault.words);
  }
  end_program("a signal");
}

void on_exit_of_program() {
  if (watch().on) end_program("it called exit()");
}

void copy_text(const std::string& from, char* to, std::size_t room) {
  const std::size_t count = std::min(from.size(), room - 1);
  std::memcpy(to, from.data(), count);
  to[count] = '\0';
}

}  // namespace

WatchedCall::WatchedCall(const std::string& who, const std::string& advice) {
  Watch& w = watch();
  static const bool registered = std::atexit(on_exit_of_program) == 0;
  static_cast<void>(registered);
  copy_text(who, w.who, sizeof w.who);
  copy_text(advice, w.advice, sizeof w.advice);
  stack_t stack = {};
  stack.ss_sp = w.stack;
  stack.ss_size = sizeof w.stack;
  ::sigaltstack(&stack, &w.stack_before);
  struct sigaction action = {};
  action.sa_handler = on_fault;
  action.sa_flags = SA_ONSTACK;
  for (std::size_t i = 0; i < kFaults.size(); ++i) {
    ::sigaction(kFaults[i].signal, &action, &w.before[i]);
  }
  w.on = 1;
}

WatchedCall::~WatchedCall() {
  Watch& w = watch();
  w.on = 0;
  for (std::size_t i = 0; i < kFaults.size(); ++i) {
    ::sigaction(kFaults[i].signal, &w.before[i], nullptr);
  }
  ::sigaltstack(&w.stack_before, nullptr);
}

}  // namespace nf::flows
