// Zip files of NumPy's arrays.
#include "data/source.h"

#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string& path = nf::fuzz::file_of(bytes, size);
  return nf::fuzz::expect_error_or_nothing([&] { nf::data::load("npz:" + path); });
}
