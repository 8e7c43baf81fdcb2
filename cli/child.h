// This program once more, as a process of its own.
#pragma once

#include <string>
#include <vector>

namespace nf::cli {

/// Runs this program with these words and returns its exit status; its results go to standard
/// error, since those of standard output are this command's. It is in a process group of its own,
/// so that Ctrl-C comes here alone (interrupt.h, caught), and is handed on once: a second one would
/// end it unsaved. Throws Error, which begins with [what].
int run_self(const char* what, const std::vector<std::string>& words);

}  // namespace nf::cli
