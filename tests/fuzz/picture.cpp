// PNG and JPEG, as folders of pictures are read; without the checksums, which nobody guesses.
#include "data/decode.h"

#include <string_view>

#include "data/picture_steps.h"
#include "tests/fuzz/fuzz.h"

using namespace nf::data;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string_view all(reinterpret_cast<const char*>(bytes), size);
  static const PictureSteps steps = parse_picture_steps("gray,square,resize:5");
  return nf::fuzz::expect_error_or_nothing([&] {
    constexpr std::int64_t kMost = 1 << 22;  // pixels: larger ones are slow, and nothing else
    const PictureInfo info = picture_info("fuzz", all, size);
    if (info.width * info.height > kMost) return;
    apply_steps(steps, "fuzz", over_black(decode_picture("fuzz", all, Checksums::Ignore).pixels));
  });
}
