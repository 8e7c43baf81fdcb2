// Runs flowcli as a user would: a child process with its own stdout, stderr and exit status.
#pragma once

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace nf::test {

inline std::string slurp(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

/// A folder of its own, removed at the end.
class ScratchFolder {
 public:
  ScratchFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "nf-cli-XXXXXX").string();
    if (!mkdtemp(name.data())) throw std::runtime_error("mkdtemp failed");
    path_ = name;
  }
  ~ScratchFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  std::string file(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

/// Of a process, as in proc(5): R runs, T is stopped, t is traced, Z has ended and is not yet
/// looked after; 0 where there is none.
inline char state_of(pid_t pid) {
  const std::string stat = slurp("/proc/" + std::to_string(pid) + "/stat");
  const std::size_t name = stat.rfind(')');
  return name == std::string::npos ? '\0' : stat.at(name + 2);
}

/// A started flowcli; wait() gives its exit status (or minus the signal that ended it).
class Child {
 public:
  /// `fault`: its NF_FAULT (tensor/fault.h). `prepare` runs in the child before flowcli does.
  Child(const ScratchFolder& folder, const std::vector<std::string>& arguments,
        const std::string& fault = "", const std::function<void()>& prepare = {})
      : out_(folder.file("stdout.txt")), err_(folder.file("stderr.txt")) {
    std::vector<std::string> words{FLOWCLI};
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    pid_ = fork();
    if (pid_ != 0) return;
    const int flags = O_WRONLY | O_CREAT | O_TRUNC;
    dup2(open(out_.c_str(), flags, 0600), STDOUT_FILENO);
    dup2(open(err_.c_str(), flags, 0600), STDERR_FILENO);
    if (!fault.empty()) setenv("NF_FAULT", fault.c_str(), 1);
    if (prepare) prepare();
    execv(argv[0], argv.data());
    _exit(127);
  }
  ~Child() {
    if (ended_) return;
    signal(SIGKILL);
    wait();
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  void signal(int number) const { kill(pid_, number); }
  pid_t pid() const { return pid_; }
  /// The processes that it has forked.
  std::vector<pid_t> children() const {
    const std::string of = std::to_string(pid_);
    std::istringstream in(slurp("/proc/" + of + "/task/" + of + "/children"));
    std::vector<pid_t> all;
    for (pid_t pid = 0; in >> pid;) all.push_back(pid);
    return all;
  }
  /// Waits until it stops itself, by a fault with the action "stop"; false: it ended instead.
  bool wait_until_stopped() const {
    waitpid(pid_, &status_, WUNTRACED);
    ended_ = !WIFSTOPPED(status_);
    return !ended_;
  }
  int wait() const {
    if (!ended_) waitpid(pid_, &status_, 0);
    ended_ = true;
    return WIFEXITED(status_) ? WEXITSTATUS(status_) : -WTERMSIG(status_);
  }
  std::string out() const { return slurp(out_); }
  std::string err() const { return slurp(err_); }

 private:
  std::string out_, err_;
  pid_t pid_;
  mutable int status_ = 0;
  mutable bool ended_ = false;
};

struct Outcome {
  int status;
  std::string out, err;
  nlohmann::json json() const { return nlohmann::json::parse(out); }
};

inline Outcome flowcli(const ScratchFolder& folder, const std::vector<std::string>& arguments,
                       const std::string& fault = "", const std::function<void()>& prepare = {}) {
  const Child child(folder, arguments, fault, prepare);
  const int status = child.wait();
  return {status, child.out(), child.err()};
}

/// A 2-D model small enough that training it takes a second or two, checkpoints included.
inline std::vector<std::string> tiny_training(const std::string& out, int epochs) {
  return {"train",          "realnvp-2d", "--data",      "moons",
          "--out",          out,          "--couplings", "2",
          "--hidden-units", "8",          "--train",     "2000",
          "--valid",        "200",        "--test",      "300",
          "--batch-size",   "100",        "--epochs",    std::to_string(epochs),
          "--sample-every", "0",          "--samples",   "500",
          "--ema",          "0.9",        "--threads",   "1"};
}

}  // namespace nf::test
