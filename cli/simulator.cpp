#include "cli/simulator.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cctype>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <list>
#include <string_view>
#include <utility>

#include "cli/interrupt.h"
#include "data/csv_cells.h"
#include "tensor/clock.h"
#include "tensor/error.h"
#include "tensor/random.h"
#include "tensor/text.h"

extern char** environ;

namespace nf::cli {

namespace {

constexpr std::size_t kMostLine = 1 << 20;  // bytes of an answer
constexpr std::size_t kMostSaid = 2000;     // bytes of standard error that are kept, the last ones
constexpr int kPollMs = 20;                 // how soon an end and a signal are noticed

/// A file descriptor that is closed with this object.
class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() { close(); }
  void close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }
  int get() const { return fd_; }
  bool open() const { return fd_ >= 0; }

 private:
  int fd_;
};

struct Pipe {
  Descriptor read, write;
};

// Neither end goes to other programs.
Pipe make_pipe() {
  int ends[2];
  NF_CHECK(::pipe2(ends, O_CLOEXEC) == 0, "[infer] pipe: ", std::strerror(errno));
  return {Descriptor(ends[0]), Descriptor(ends[1])};
}

void no_waiting(const Descriptor& fd) {
  ::fcntl(fd.get(), F_SETFL, ::fcntl(fd.get(), F_GETFL) | O_NONBLOCK);
}

// Appends what can be read at once; closes `from` at its end.
void read_into(Descriptor& from, std::string& text) {
  char buffer[1 << 16];
  while (from.open()) {
    const ssize_t count = ::read(from.get(), buffer, sizeof buffer);
    if (count > 0) {
      text.append(buffer, static_cast<std::size_t>(count));
      if (text.size() > kMostLine) return;  // the rest later
    } else if (count == 0) {
      from.close();
    } else if (errno != EINTR) {
      if (errno != EAGAIN) from.close();
      return;
    }
  }
}

bool is_command_line(const std::string& program) {
  return program.find_first_of(" \t\n;|&<>()$`\\\"'*?[#~=%") != std::string::npos &&
         ::access(program.c_str(), X_OK) != 0;
}

// In the child: only what is safe after a fork of a process with threads.
[[noreturn]] void become(const char* program, char** shell, char** environment) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::signal(SIGPIPE, SIG_DFL);  // what is ignored stays ignored in the program
  char* words[] = {const_cast<char*>(program), nullptr};
  if (std::strchr(program, '/')) ::execve(program, words, environment);
  ::execve("/bin/sh", shell, environment);  // a command line, or a script without #!
  ::_exit(127);
}

// The numbers of an answer: between commas, else semicolons, else spaces.
std::vector<std::string_view> cells_of(std::string_view line) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  std::vector<std::string_view> cells;
  const char mark = line.find(',') != line.npos ? ',' : line.find(';') != line.npos ? ';' : ' ';
  constexpr std::string_view kBlank = " \t";
  const auto trimmed = [&](std::string_view text) {
    const std::size_t first = text.find_first_not_of(kBlank);
    if (first == text.npos) return std::string_view{};
    return text.substr(first, text.find_last_not_of(kBlank) + 1 - first);
  };
  for (std::string_view rest = trimmed(line);;) {
    const std::size_t end = mark == ' ' ? rest.find_first_of(kBlank) : rest.find(mark);
    cells.push_back(trimmed(rest.substr(0, end)));
    if (end == rest.npos) return cells;
    rest = mark == ' ' ? trimmed(rest.substr(end)) : rest.substr(end + 1);
  }
}

// Of a status of waitpid().
std::string end_in_words(int status) {
  if (WIFSIGNALED(status)) {
    return str("was ended by signal ", WTERMSIG(status), " (", ::strsignal(WTERMSIG(status)), ")");
  }
  return str("ended with exit status ", WEXITSTATUS(status));
}

/// One process with the lines [begin, end) of all.
class Simulator {
 public:
  Simulator(const SimulatorOptions& options, const std::vector<SimulatorLine>& lines,
            std::size_t begin, std::size_t end)
      : options_(options), lines_(lines), at_(begin), end_(end), heard_(seconds_now()) {
    for (std::size_t i = begin; i < end; ++i) input_ += lines[i].text + "\n";
    start();
  }
  ~Simulator() { kill(); }
  Simulator(const Simulator&) = delete;
  Simulator& operator=(const Simulator&) = delete;

  void add_to(std::vector<pollfd>& polled) const {
    if (in_.open()) polled.push_back({in_.get(), POLLOUT, 0});
    for (const Descriptor* fd : {&out_, &err_}) {
      if (fd->open()) polled.push_back({fd->get(), POLLIN, 0});
    }
  }
  bool awaits_end() const { return !out_.open(); }

  /// Writes and reads what can be at once. True when the process has ended and all is well.
  template <class Answer>
  bool step(const Answer& answer) {
    write_some();
    // Looked at first: what an ended process wrote is all there.
    const bool ended = has_ended();
    read_into(err_, said_);
    if (said_.size() > kMostSaid) said_.erase(0, said_.size() - kMostSaid);
    do {
      read_into(out_, text_);
      take_answers(answer);
    } while (ended && out_.open() && more_to_read());
    if (ended) {
      finish(answer);
      return true;
    }
    const double waited = seconds_now() - heard_;
    if (options_.timeout > 0 && waited > options_.timeout) {
      fail(at_ < end_ ? str("no answer within ", options_.timeout, " s (--timeout)")
                      : str("it has answered, but does not end within ", options_.timeout,
                            " s (--timeout)"));
    }
    return false;
  }

 private:
  void start() {
    Pipe in = make_pipe(), out = make_pipe(), err = make_pipe();
    Generator gen(options_.seed, 0x73696d);  // "sim"
    gen.set_offset(static_cast<std::uint64_t>(lines_[at_].number));
    const auto seed = static_cast<std::int64_t>(uniform(gen, {1}, DType::F64).item() * 0x1p31);
    std::string own = str(kSimulatorSeed, "=", seed);
    std::vector<char*> environment = {own.data()};
    for (char** word = environ; *word; ++word) {
      if (!std::string_view(*word).starts_with(str(kSimulatorSeed, "="))) {
        environment.push_back(*word);
      }
    }
    environment.push_back(nullptr);
    std::string sh = "sh", c = "-c", program = options_.program;
    char* shell[] = {sh.data(), c.data(), program.data(), nullptr};
    const char* file = is_command_line(program) ? "" : program.c_str();
    pid_ = ::fork();
    NF_CHECK(pid_ >= 0, "[infer] fork: ", std::strerror(errno), "; give fewer --workers");
    if (pid_ == 0) {
      ::dup2(in.read.get(), STDIN_FILENO);
      ::dup2(out.write.get(), STDOUT_FILENO);
      ::dup2(err.write.get(), STDERR_FILENO);
      become(file, shell, environment.data());
    }
    ::setpgid(pid_, pid_);  // here too: whoever comes first
    in_ = std::move(in.write);
    out_ = std::move(out.read);
    err_ = std::move(err.read);
    for (const Descriptor* fd : {&in_, &out_, &err_}) no_waiting(*fd);
  }

  // With the processes of its group, which may hold the pipes open.
  void kill() {
    if (pid_ <= 0) return;
    ::kill(-pid_, SIGKILL);
    ::kill(pid_, SIGKILL);
    while (::waitpid(pid_, &status_, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
  }

  void write_some() {
    while (in_.open() && written_ < input_.size()) {
      const ssize_t count = ::write(in_.get(), input_.data() + written_, input_.size() - written_);
      if (count >= 0) {
        written_ += static_cast<std::size_t>(count);
      } else if (errno == EAGAIN) {
        return;
      } else if (errno != EINTR) {
        break;  // it reads no more
      }
    }
    in_.close();
  }

  // Its status is kept by the system until kill(), so that its group keeps its number.
  bool has_ended() const {
    siginfo_t info{};
    return ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid == pid_;
  }

  bool more_to_read() const {
    pollfd one{out_.get(), POLLIN, 0};
    return ::poll(&one, 1, 0) > 0 && (one.revents & POLLIN) != 0;
  }

  template <class Answer>
  void take_answers(const Answer& answer) {
    std::size_t from = 0;
    for (std::size_t end; (end = text_.find('\n', from)) != text_.npos; from = end + 1) {
      take(std::string_view(text_).substr(from, end - from), answer);
    }
    text_.erase(0, from);
    if (text_.size() > kMostLine) fail(str("a line of more than ", kMostLine, " bytes"));
  }

  template <class Answer>
  void take(std::string_view line, const Answer& answer) {
    if (at_ == end_) fail(str("more lines than it was given: '", printable(line, 60), "'"));
    const std::vector<std::string_view> cells = cells_of(line);
    if (cells.size() != options_.columns) {
      fail(str("'", printable(line, 60), "' has ", cells.size(),
               cells.size() == 1 ? " column, not " : " columns, not ", options_.columns,
               " as the observed data"));
    }
    std::vector<double> numbers;
    for (const std::string_view cell : cells) {
      const auto number = data::cell_number(cell);
      if (!number && !data::is_missing_cell(std::string(cell))) {
        fail(str("'", printable(cell, 60), "' is no number",
                 at_ == 0 ? "; a line of names is not wanted" : ""));
      }
      numbers.push_back(number ? *number : std::nan(""));
    }
    heard_ = seconds_now();
    answer(lines_[at_++].number, numbers);
  }

  template <class Answer>
  void finish(const Answer& answer) {
    kill();
    out_.close();
    if (!text_.empty() && WIFEXITED(status_) && WEXITSTATUS(status_) == 0 && at_ < end_) {
      take(text_, answer);  // the last line needs no end
      text_.clear();
    }
    if (!WIFEXITED(status_) || WEXITSTATUS(status_) != 0) {
      fail(end_in_words(status_) + (at_ < end_ ? " without an answer" : " after its answers"));
    }
    if (at_ < end_) fail("ended without an answer");
    if (written_ < input_.size()) fail("it answered without reading all lines");
  }

  // The first line that has no answer, or the last one.
  [[noreturn]] void fail(const std::string& what) {
    const SimulatorLine& line = lines_[at_ < end_ ? at_ : end_ - 1];
    read_into(err_, said_);
    while (!said_.empty() && std::isspace(static_cast<unsigned char>(said_.back()))) {
      said_.pop_back();
    }
    const std::string last = said_.substr(said_.rfind('\n') + 1);
    nf::fail(str("[infer] simulator '", printable(options_.program), "', simulation ",
                 line.number + 1, " (", printable(line.text), "): ", what,
                 last.empty() ? "; it said nothing on standard error" : "; it said: ",
                 printable(last, 200)));
  }

  const SimulatorOptions& options_;
  const std::vector<SimulatorLine>& lines_;
  std::size_t at_, end_;  // the next answer is of at_
  double heard_;
  std::string input_, text_, said_;
  std::size_t written_ = 0;
  Descriptor in_, out_, err_;
  pid_t pid_ = -1;
  int status_ = 0;
};

// Lines of one process: neighbours whose numbers are in the same block of lines_each.
std::size_t end_of_job(const SimulatorOptions& options, const std::vector<SimulatorLine>& lines,
                       std::size_t begin) {
  std::size_t end = begin;
  const std::int64_t block = lines[begin].number / options.lines_each;
  while (end < lines.size() && lines[end].number / options.lines_each == block) ++end;
  return end;
}

}  // namespace

void check_simulator(const std::string& program) {
  if (program.find('/') == std::string::npos || is_command_line(program)) return;
  NF_CHECK(::access(program.c_str(), F_OK) == 0, "[infer] simulator '", printable(program),
           "': ", std::strerror(errno));
  NF_CHECK(::access(program.c_str(), X_OK) == 0, "[infer] simulator '", printable(program),
           "' is not executable; say chmod +x, or give a command line as 'python3 FILE'");
}

void simulate(const SimulatorOptions& options, const std::vector<SimulatorLine>& lines,
              const std::function<void(std::int64_t, const std::vector<double>&)>& answer) {
  std::list<Simulator> running;
  std::vector<pollfd> polled;
  for (std::size_t next = 0; !interrupted();) {
    while (next < lines.size() && std::ssize(running) < options.workers) {
      const std::size_t end = end_of_job(options, lines, next);
      running.emplace_back(options, lines, next, end);
      next = end;
    }
    if (running.empty()) return;
    polled.clear();
    bool waits = false;
    for (const Simulator& one : running) {
      one.add_to(polled);
      waits = waits || one.awaits_end();
    }
    ::poll(polled.data(), polled.size(), waits ? 1 : kPollMs);
    running.remove_if([&](Simulator& one) { return one.step(answer); });
  }
}

}  // namespace nf::cli
