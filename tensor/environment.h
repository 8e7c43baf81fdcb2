// The variables of the environment that a user may set. Each is read once, where what it chooses is
// first needed.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace nf {

struct EnvironmentVariable {
  const char* name;
  const char* values;  ///< what it may say
  const char* sets;    ///< what it chooses, and what goes without it
  void (*check)();     ///< throws Error when its value is none
};

/// All of them.
std::span<const EnvironmentVariable> environment_variables();

/// Throws Error for the first whose value is none.
void check_environment();

/// "NAME=VALUE" of those that are set and not empty.
std::vector<std::string> environment_set();

/// What a variable says; empty when it is not set.
std::string environment_text(const char* name);

/// The place in `words` of what the variable says, `otherwise` when it says nothing. Throws Error
/// "[where] NAME is "x"; give a, b or c, or unset it".
std::size_t environment_choice(const char* where, const char* name,
                               const std::vector<std::string>& words, std::size_t otherwise);

}  // namespace nf
