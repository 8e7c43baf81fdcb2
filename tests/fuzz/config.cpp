// Configurations: as JSON, and as the key=value of --set.
#include <nlohmann/json.hpp>

#include "tensor/text.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/settings.h"

using namespace nf::flows;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(bytes), size);
  nf::fuzz::expect_error_or_nothing([&] {
    const auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
    const auto once = to_json(from_json(json, nf::fuzz::some_config(), "fuzz: "));
    if (to_json(from_json(once, nf::fuzz::some_config(), "fuzz: ")) != once) std::abort();
  });
  return nf::fuzz::expect_error_or_nothing([&] {
    Config config = nf::fuzz::some_config();
    set(config, text);
    const auto json = to_json(config);
    if (nf::is_utf8(text)) json.dump();  // a training refuses to write other texts
  });
}
