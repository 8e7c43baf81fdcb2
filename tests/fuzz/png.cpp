// PNG, as a mask of inpaint is read.
#include "data/png.h"

#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string& path = nf::fuzz::file_of(bytes, size);
  return nf::fuzz::expect_error_or_nothing([&] { nf::data::read_png(path); });
}
