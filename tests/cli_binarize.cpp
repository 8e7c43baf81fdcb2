// flowcli with --binarize: runs of bits, from training to pictures and other programs.
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <sstream>

#include "data/source.h"
#include "tests/c_runs.h"

using namespace nf;
using namespace nf::test;

namespace {

std::vector<std::string> training_of_bits(const std::string& model, const std::string& run,
                                          const std::vector<std::string>& more) {
  std::istringstream words("train " + model +
                           " --data glyphs --train 200 --valid 40 --test 30 --out " + run +
                           " --quiet --hidden-units 8 --set hidden_layers=1 --batch-size 50 "
                           "--threads 1 --samples 4 --sample-every 0");
  std::vector<std::string> call;
  for (std::string word; words >> word;) call.push_back(word);
  call.insert(call.end(), more.begin(), more.end());
  return call;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(cli_binarize)

BOOST_AUTO_TEST_CASE(a_run_of_bits_is_exact) {
  const ScratchFolder folder;
  const std::string run = folder.file("run"), samples = folder.file("samples.npy"),
                    scores = folder.file("scores.csv");
  expect_ok(
      flowcli(folder, training_of_bits("made", run, {"--binarize", "static", "--epochs", "2"})));
  BOOST_TEST(config_of(run)["data"]["binarize"] == "static");
  BOOST_TEST(config_of(run)["data"]["levels"] == 2);
  BOOST_TEST(config_of(run)["model"]["map"] == "bernoulli");
  const Outcome eval = flowcli(folder, {"eval", run, "--json"});
  expect_ok(eval);
  const auto told = eval.json();
  BOOST_TEST(told["convention"] == "nats of 784 bits, 0 or 1; exact; bits/dim = -nats/(784 ln 2)");
  BOOST_TEST(told["bound"] == false);
  BOOST_TEST(
      told["bits_per_dim"].get<double>() == -told["nats"].get<double>() / (784 * std::log(2.0)),
      boost::test_tools::tolerance(1e-12));

  // Pictures are black and white, and read again are the bits that they were.
  expect_ok(flowcli(folder, {"sample", run, "-n", "40", "--out", samples}));
  const data::Dataset drawn =
      data::load(samples, {.train = 40, .valid = 0, .test = 0, .in_file_order = true});
  for (const std::uint8_t pixel : drawn.train.x.to_vector<std::uint8_t>()) {
    BOOST_REQUIRE((pixel == 0 || pixel == 255));
  }
  expect_failure(flowcli(folder, {"encode", run}), {"no latents"});
  for (const std::vector<std::string>& call : {std::vector<std::string>{"check", run},
                                               {"report", run},
                                               {"inspect", run},
                                               {"sample", run, "--out", folder.file("samples.png")},
                                               {"score", run, "--data", samples, "--out", scores},
                                               {"compare", run, run}}) {
    const Outcome outcome = flowcli(folder, call);
    BOOST_TEST(outcome.status == 0, call[0] << ": " << outcome.err);
  }

  // In C: bits as 0 and 255, or as 0 and 1; grey is chance, which is not the reader's.
  const Handle model(run);
  BOOST_TEST(model.number(NF_LEVELS) == 2);
  auto pixels = drawn.train.x.to(DType::F64).to_vector<double>();
  std::vector<double> nats(40), as_bits(40);
  nf_array in = dense(pixels, 40, 784);
  expect_ok(nf_log_prob(model, &in, nullptr, nats.data()));
  std::istringstream lines(slurp(scores));
  std::string line;
  std::getline(lines, line);
  for (const double value : nats) {
    BOOST_REQUIRE(std::getline(lines, line));
    BOOST_TEST(std::stod(line.substr(line.find(',') + 1)) == value,
               boost::test_tools::tolerance(1e-8));
  }
  for (double& pixel : pixels) pixel /= 255;
  expect_ok(nf_log_prob(model, &in, nullptr, as_bits.data()));
  BOOST_TEST(as_bits == nats);
  pixels[3] = 17;
  BOOST_TEST(nf_log_prob(model, &in, nullptr, nats.data()) == NF_USAGE);
  BOOST_TEST(std::string(nf_last_error()).find("probability pixel / 255") != std::string::npos);

  // What says of itself that it is no run of bits is refused.
  std::string config = slurp(run + "/config.json");
  config.replace(config.find("\"static\""), 8, "\"none\"");
  write(run + "/config.json", config);
  expect_failure(flowcli(folder, {"eval", run}), {"[", "levels"});
}

// Training sees other bits, validation and test the same ones; a resumed run draws what it would
// have drawn.
BOOST_AUTO_TEST_CASE(dynamic_bits_in_one_go_and_in_two) {
  const ScratchFolder folder;
  const std::string fixed = folder.file("fixed"), whole = folder.file("whole"),
                    parts = folder.file("parts");
  const auto train = [&](const std::string& run, const char* how, const char* epochs) {
    expect_ok(flowcli(folder, training_of_bits("made", run,
                                               {"--binarize", how, "--epochs", epochs, "--schedule",
                                                "constant"})));
  };
  train(fixed, "static", "3");
  train(whole, "dynamic", "3");
  train(parts, "dynamic", "2");
  expect_ok(flowcli(folder, resume(parts, {"--epochs", "3"})));
  BOOST_CHECK(slurp(whole + "/last.safetensors") == slurp(parts + "/last.safetensors"));
  BOOST_CHECK(slurp(whole + "/last.safetensors") != slurp(fixed + "/last.safetensors"));
  BOOST_TEST(config_of(fixed)["data"]["parts"] == config_of(whole)["data"]["parts"]);
  expect_ok(flowcli(folder, {"eval", whole}));
  expect_ok(flowcli(folder, {"compare", fixed, whole}));
}

// Others add noise to bits, as to any levels, and have a bound.
BOOST_AUTO_TEST_CASE(models_with_noise_take_bits_too) {
  const ScratchFolder folder;
  const std::string run = folder.file("run");
  expect_ok(
      flowcli(folder, training_of_bits("nice", run, {"--binarize", "dynamic", "--steps", "6"})));
  const Outcome eval = flowcli(folder, {"eval", run, "--json"});
  expect_ok(eval);
  BOOST_TEST(eval.json()["convention"].get<std::string>().find("bits/dim = 1 - nats") !=
             std::string::npos);
  BOOST_TEST(eval.json()["bound"] == true);
}

BOOST_AUTO_TEST_CASE(bits_of_what_is_no_image) {
  const ScratchFolder folder;
  const std::string out = folder.file("never");
  const std::vector<std::pair<std::vector<std::string>, std::string>> calls = {
      {{"train", "realnvp-2d", "--binarize", "static", "--out", out}, "real numbers"},
      {{"train", "made", "--data", "glyphs", "--bits", "5", "--binarize", "static", "--out", out},
       "leave bits out"},
      {{"train", "made", "--data", "glyphs", "--binarize", "static", "--prior", "logistic", "--out",
        out},
       "map = bernoulli has none"},
      {{"sweep", "made", "--data", "glyphs", "--try", "binarize=static,none", "--out", out},
       "what the density is"}};
  for (const auto& [call, says] : calls) expect_failure(flowcli(folder, call), {says}, 2);
  BOOST_TEST(!std::filesystem::exists(out));
}

BOOST_AUTO_TEST_SUITE_END()
