#include "cli/child.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>

#include "cli/cli.h"
#include "cli/interrupt.h"

namespace nf::cli {

int run_self(const char* what, const std::vector<std::string>& words) {
  std::vector<std::string> all = {"flowcli"};
  all.insert(all.end(), words.begin(), words.end());
  std::vector<char*> argv;
  for (std::string& word : all) argv.push_back(word.data());
  argv.push_back(nullptr);
  const pid_t child = ::fork();
  NF_CHECK(child >= 0, "[", what, "] fork: ", std::strerror(errno));
  if (child == 0) {
    ::setpgid(0, 0);
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    ::dup2(STDERR_FILENO, STDOUT_FILENO);
    ::execv("/proc/self/exe", argv.data());  // this program, also where its file was replaced
    std::perror("flowcli: /proc/self/exe");
    ::_exit(kFailed);
  }
  bool handed_on = false;
  for (int status = 0;;) {
    const pid_t ended = ::waitpid(child, &status, WNOHANG);
    NF_CHECK(ended >= 0 || errno == EINTR, "[", what, "] waitpid: ", std::strerror(errno));
    if (ended == child) return WIFEXITED(status) ? WEXITSTATUS(status) : kFailed;
    if (interrupted() && !handed_on) {
      ::kill(child, SIGTERM);
      handed_on = true;
    }
    const timespec pause{.tv_sec = 0, .tv_nsec = 20'000'000};
    ::nanosleep(&pause, nullptr);
  }
}

}  // namespace nf::cli
