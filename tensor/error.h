// Errors of the whole project: one exception type, one check macro.
//
// A message names the operation, the rule that was broken, the shapes or values that broke it, and
// the way out:  "[matmul] inner dimensions differ: (2, 3) x (4, 5); transpose one with .t()".
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>

namespace nf {

/// Everything that nf throws on purpose. The text is one line, ready to be shown to a user.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Concatenates anything that can be written to a stream.
template <class... Args>
std::string str(const Args&... args) {
  std::ostringstream out;
  (out << ... << args);
  return out.str();
}

/// Throws Error. Compiled once, so that all who throw and catch it mean one type.
[[noreturn]] void fail(const std::string& message);

}  // namespace nf

// The message is built only when the check fails.
#define NF_CHECK(condition, ...)          \
  do {                                    \
    if (!(condition)) [[unlikely]] {      \
      ::nf::fail(::nf::str(__VA_ARGS__)); \
    }                                     \
  } while (0)
