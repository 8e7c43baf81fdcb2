#include "c/border.h"

#include <algorithm>
#include <cstring>

#include "tensor/text.h"

namespace nf::c {

namespace {

constexpr std::size_t kLongest = 2048;
thread_local char kept[kLongest] = "";

}  // namespace

int failed(int status, const char* message) noexcept {
  std::size_t length = std::min(std::strlen(message), kLongest - 1);
  std::memcpy(kept, message, length);
  kept[length] = '\0';
  try {
    const std::string line = printable(message, kLongest - 1);  // names of files may be anything
    length = std::min(line.size(), kLongest - 1);
    std::memcpy(kept, line.data(), length);
    kept[length] = '\0';
  } catch (const std::exception&) {  // no memory: it stays as it is
  }
  return status;
}

const char* last_error() noexcept { return kept; }

}  // namespace nf::c
