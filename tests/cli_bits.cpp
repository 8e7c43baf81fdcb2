// flowcli with --bits: one run of 5-bit pixels, from training to pictures.
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <set>

#include "data/png.h"
#include "data/source.h"
#include "tests/cli_runs.h"

using namespace nf;
using namespace nf::test;

namespace {

std::vector<std::string> training(const std::string& run, const std::vector<std::string>& more) {
  std::vector<std::string> call = {"train",
                                   "nice",
                                   "--data",
                                   "glyphs",
                                   "--train",
                                   "200",
                                   "--valid",
                                   "40",
                                   "--test",
                                   "30",
                                   "--out",
                                   run,
                                   "--hidden-units",
                                   "8",
                                   "--quiet",
                                   "--batch-size",
                                   "50",
                                   "--hidden-layers",
                                   "1",
                                   "--threads",
                                   "1",
                                   "--steps",
                                   "6",
                                   "--samples",
                                   "4"};
  call.insert(call.end(), more.begin(), more.end());
  return call;
}

/// Every byte is the grey of one of 32 levels.
bool all_grey_of_5_bits(const std::vector<std::uint8_t>& pixels) {
  std::set<int> known;
  for (int k = 0; k < 32; ++k) known.insert((510 * k + 31) / 62);
  for (const std::uint8_t pixel : pixels) {
    if (!known.contains(pixel)) return false;
  }
  return true;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(cli_bits)

BOOST_AUTO_TEST_CASE(a_run_of_5_bits) {
  const ScratchFolder folder;
  const std::string run = folder.file("run"), samples = folder.file("samples.npy"),
                    latents = folder.file("latents.npy"), back = folder.file("back.npy");
  expect_ok(flowcli(folder, training(run, {"--bits", "5"})));
  BOOST_TEST(config_of(run)["data"]["bits"] == 5);
  BOOST_TEST(config_of(run)["data"]["levels"] == 32);

  const Outcome eval = flowcli(folder, {"eval", run, "--json"});
  expect_ok(eval);
  const auto told = eval.json();
  BOOST_TEST(told["convention"].get<std::string>().find("bits/dim = 5 - nats") !=
             std::string::npos);
  // The independent levels of black images: far below 5 bits, and never above.
  BOOST_TEST(told["independent_nats"].get<double>() > 0);

  expect_ok(flowcli(folder, {"sample", run, "-n", "40", "--out", samples}));
  expect_ok(flowcli(folder, {"encode", run, "--out", latents}));
  expect_ok(flowcli(folder, {"decode", run, latents, "--out", back}));
  const data::Dataset drawn = data::load(samples, {.train = 40, .valid = 0, .test = 0});
  BOOST_TEST(all_grey_of_5_bits(drawn.train.x.to_vector<std::uint8_t>()));
  const auto decoded =
      data::load(back, {.train = 30, .valid = 0, .test = 0, .in_file_order = true, .bits = 5});
  const auto test =
      data::load("glyphs", {.seed = 1, .train = 1, .valid = 1, .test = 30, .bits = 5});
  BOOST_TEST(decoded.train.x.to_vector<std::uint8_t>() == test.test.x.to_vector<std::uint8_t>());

  // Other data have 8 bits, and are read as the run's own.
  const Outcome scored = flowcli(folder, {"score", run, "--data", samples, "--json"});
  expect_ok(scored);
  for (const std::vector<std::string>& call :
       {std::vector<std::string>{"check", run},
        {"report", run},
        {"interpolate", run},
        {"inpaint", run, "--steps", "3", "--indices", "0-3", "--mask", "left"},
        {"sample", run, "--out", folder.file("samples.png")},
        {"inspect", run},
        {"resume", run, "--steps", "8", "--quiet"},
        {"eval", run}}) {
    const Outcome outcome = flowcli(folder, call);
    BOOST_TEST(outcome.status == 0, call[0] << ": " << outcome.err);
  }

  const std::string eight = folder.file("eight");
  expect_ok(flowcli(folder, training(eight, {})));
  // Files of fewer levels are smaller.
  const auto of_files = flowcli(folder, {"eval", eight, "--json"}).json()["png_bits_per_dim"];
  BOOST_TEST(told["png_bits_per_dim"].get<double>() < of_files.get<double>());
  const Outcome both = flowcli(folder, {"compare", run, eight});
  expect_ok(both);
  BOOST_TEST(both.err.find("is of pixels of other bits than") != std::string::npos, both.err);
  expect_failure(flowcli(folder, training(folder.file("on"), {"--bits", "5", "--from", eight})),
                 {"[from]", "of 32 levels"});
  // What says of itself that it has other levels than its bits is refused.
  std::string config = slurp(run + "/config.json");
  config.replace(config.find("\"levels\": 32"), 12, "\"levels\": 64");
  write(run + "/config.json", config);
  expect_failure(flowcli(folder, {"eval", run}), {"[bits]", "64"});
}

// One bit has black and white, and what is missing is neither.
BOOST_AUTO_TEST_CASE(what_is_missing_is_grey_with_one_bit_too) {
  const ScratchFolder folder;
  const std::string run = folder.file("run"), picture = folder.file("filled.png");
  expect_ok(flowcli(folder, training(run, {"--bits", "1"})));
  expect_ok(flowcli(folder, {"inpaint", run, "--steps", "2", "--indices", "0", "--mask", "left",
                             "--out", picture, "--scale", "1"}));
  const auto grey = data::read_png(picture).to_vector<std::uint8_t>();
  BOOST_TEST(std::count(grey.begin(), grey.end(), 96) == 28 * 14);
}

BOOST_AUTO_TEST_CASE(bits_of_what_has_none) {
  const ScratchFolder folder;
  const std::string out = folder.file("never");
  const std::vector<std::vector<std::string>> calls = {
      {"train", "realnvp-2d", "--bits", "5", "--out", out},
      {"inspect", "nice", "--shape", "7", "--set", "bits=5"}};
  for (const std::vector<std::string>& call : calls) {
    expect_failure(flowcli(folder, call), {"[bits]", "real numbers"}, 2);
  }
  BOOST_TEST(!std::filesystem::exists(out));
  const Outcome shape =
      flowcli(folder, {"inspect", "glow", "--shape", "8x8x1", "--set", "bits=5", "--json"});
  expect_ok(shape);
  BOOST_TEST(shape.out.find("Dequantize(32 levels)") != std::string::npos, shape.out);
}

BOOST_AUTO_TEST_SUITE_END()
