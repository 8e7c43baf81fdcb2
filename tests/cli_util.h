// Runs flowcli as a user would: a child process with its own stdout, stderr and exit status.
#pragma once

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
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

/// A started flowcli; wait() gives its exit status (or minus the signal that ended it).
class Child {
 public:
  Child(const ScratchFolder& folder, const std::vector<std::string>& arguments)
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
    execv(argv[0], argv.data());
    _exit(127);
  }
  void signal(int number) const { kill(pid_, number); }
  int wait() const {
    int status = 0;
    waitpid(pid_, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }
  std::string out() const { return slurp(out_); }
  std::string err() const { return slurp(err_); }

 private:
  std::string out_, err_;
  pid_t pid_;
};

struct Outcome {
  int status;
  std::string out, err;
  nlohmann::json json() const { return nlohmann::json::parse(out); }
};

inline Outcome flowcli(const ScratchFolder& folder, const std::vector<std::string>& arguments) {
  const Child child(folder, arguments);
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
