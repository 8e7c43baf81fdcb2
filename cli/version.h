// What this program was made of, and on which processor it runs.
#pragma once

#include <string>
#include <vector>

namespace nf::cli {

extern const char* const kVersion;   ///< of the project, CMakeLists.txt
extern const char* const kCompiler;  ///< "GNU 12.2.0"
extern const char* const kFlags;     ///< "Release -O2 -march=native"
extern const bool kWithCuda;         ///< whether the CUDA backend is in this build

/// Names of vector instructions, narrow ones first.
std::vector<std::string> compiled_for();  ///< that the compiler was allowed to use
std::vector<std::string> executed();      ///< that this processor and its system have

std::string version_text();  ///< what --version prints

}  // namespace nf::cli
