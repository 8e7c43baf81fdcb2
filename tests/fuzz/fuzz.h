// What all fuzz targets share: the bytes as a file, and what a reader may do with them.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "tensor/error.h"

namespace nf::fuzz {

/// Readers may throw nf::Error with one line of text, and nothing else.
template <class Read>
int expect_error_or_nothing(Read&& read) {
  try {
    read();
  } catch (const Error& error) {
    const std::string what = error.what();
    if (what.empty() || what.find('\n') != std::string::npos) {
      std::fprintf(stderr, "not one line: '%s'\n", what.c_str());
      std::abort();
    }
  }
  return 0;
}

/// A file in memory with these bytes, the same one in every call; returns its path.
inline const std::string& file_of(const std::uint8_t* bytes, std::size_t size) {
  static const int fd = ::memfd_create("fuzz", MFD_CLOEXEC);
  static const std::string path = str("/proc/self/fd/", fd);
  if (::ftruncate(fd, 0) != 0 || ::pwrite(fd, bytes, size, 0) != static_cast<ssize_t>(size)) {
    std::perror("memfd");
    std::abort();
  }
  return path;
}

}  // namespace nf::fuzz

/// What is found goes to crashes/ in the build folder, wherever the program was started, unless
/// -artifact_prefix says otherwise. Called by libFuzzer before it reads its arguments.
extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  namespace fs = std::filesystem;
  const fs::path folder = fs::canonical("/proc/self/exe").parent_path() / "../../crashes";
  fs::create_directories(folder);
  static std::string prefix = "-artifact_prefix=" + fs::weakly_canonical(folder).string() + "/";
  static std::vector<char*> arguments(*argv, *argv + *argc);
  arguments.insert(arguments.begin() + 1, prefix.data());  // the last one given wins
  arguments.push_back(nullptr);
  *argc += 1;
  *argv = arguments.data();
  return 0;
}
