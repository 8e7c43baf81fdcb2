// What flowcli writes to a terminal of 80 columns: no line is broken by the terminal, and nothing
// that comes from outside commands it.
#include <pty.h>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <sstream>

#include "cli_util.h"

using namespace nf::test;

BOOST_AUTO_TEST_SUITE(cli_terminal)

namespace {

/// Everything that is written to the terminal, stdout and stderr.
std::string on_terminal(const std::vector<std::string>& arguments, unsigned short columns = 80) {
  winsize size{.ws_row = 24, .ws_col = columns, .ws_xpixel = 0, .ws_ypixel = 0};
  std::vector<std::string> words{FLOWCLI};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  int terminal = -1;
  const pid_t pid = forkpty(&terminal, nullptr, nullptr, &size);
  if (pid == 0) {
    execv(argv[0], argv.data());
    _exit(127);
  }
  std::string text;
  char part[4096];
  for (ssize_t n = 0; (n = read(terminal, part, sizeof part)) > 0;) text.append(part, part + n);
  int status = 0;
  waitpid(pid, &status, 0);
  close(terminal);
  BOOST_TEST(WIFEXITED(status));
  BOOST_TEST(WEXITSTATUS(status) == 0, arguments[0] << ": " << text);
  return text;
}

/// Lines as they are seen: the progress bar is cleared and drawn anew in its line.
std::vector<std::string> lines_of(std::string text) {
  const std::string clear = "\r\x1b[K";
  for (std::size_t at; (at = text.find(clear)) != std::string::npos;) {
    text.replace(at, clear.size(), "\n");
  }
  std::erase(text, '\r');
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

/// What is broken off the row of a table: an indented line of numbers.
bool numbers_alone(const std::string& line) {
  std::istringstream words(line);
  int count = 0;
  for (std::string word; words >> word; ++count) {
    char* end = nullptr;
    std::strtod(word.c_str(), &end);
    if (*end != 0 && word != "-") return false;
  }
  return line.starts_with(' ') && count > 1;
}

}  // namespace

BOOST_AUTO_TEST_CASE(every_line_fits) {
  const ScratchFolder folder;
  const std::string run = folder.file("run");
  const std::vector<std::vector<std::string>> calls = {
      tiny_training(run, 2),
      {"eval", run},
      {"check", run, "--samples", "100"},
      {"score", run},
      {"inspect", run},
      {"inspect", "nice", "--hidden-units", "8"},
      {"bench", "nice", "--hidden-units", "8", "--bench-steps", "2", "--profile"},
      {"data", "moons"},
  };
  for (const auto& call : calls) {
    for (const std::string& line : lines_of(on_terminal(call))) {
      BOOST_TEST(line.size() <= 80U, call[0] << ": " << line);
      const bool harmless =
          std::none_of(line.begin(), line.end(), [](char c) { return c >= 0 && c < ' '; });
      BOOST_TEST(harmless, line);
    }
  }
}

// Tables are laid out for the terminal, not broken by it; into a pipe they go with 80 columns.
BOOST_AUTO_TEST_CASE(tables_fit_any_terminal) {
  const ScratchFolder folder;
  const std::string run = folder.file("run");
  auto training = tiny_training(run, 1);
  training.insert(training.end(), {"--set", "couplings=12"});
  BOOST_TEST_REQUIRE(flowcli(folder, training).status == 0);
  const std::vector<std::string> check = {"check", run, "--samples", "100", "--jacobians", "1"};
  const std::vector<std::string> inspect = {"inspect", run};
  for (const unsigned short columns : {40, 60, 80}) {
    for (const auto& call : {check, inspect}) {
      for (const std::string& line : lines_of(on_terminal(call, columns))) {
        BOOST_TEST(line.size() <= columns, call[0] << ": " << line);
        BOOST_TEST(!numbers_alone(line), call[0] << ": " << line);
      }
    }
  }
  for (const auto& call : {check, inspect}) {
    const Outcome piped = flowcli(folder, call);
    std::istringstream lines(piped.out);
    bool names = false;
    for (std::string line; std::getline(lines, line) && !line.starts_with("latents:");) {
      names = names || line.starts_with("couplings.11");
      const bool sentence = line.starts_with("memory") || line.starts_with("FLOPs");
      BOOST_TEST((line.size() <= 80U || sentence), call[0] << ": " << line);
    }
    BOOST_TEST(names);
  }
}

BOOST_AUTO_TEST_SUITE_END()
