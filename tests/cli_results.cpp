// Results are of the weights, the rows and the seed that they claim to be of.
#include <cmath>
#include <numeric>

#include "cli_runs.h"
#include "data/npy.h"
#include "data/png.h"
#include "tensor/ops.h"
#include "tensor/random.h"

using namespace nf::test;

BOOST_AUTO_TEST_SUITE(cli_results)

BOOST_AUTO_TEST_CASE(samples_are_of_the_seed) {
  const ScratchFolder folder;
  const std::string run = folder.file("run"), out = folder.file("s.npy");
  expect_ok(flowcli(folder, tiny_training(run, 1)));
  const auto samples = [&](const std::vector<std::string>& seed) {
    std::vector<std::string> call = {"sample", run, "-n", "7", "--out", out};
    call.insert(call.end(), seed.begin(), seed.end());
    expect_ok(flowcli(folder, call));
    return slurp(out);
  };
  const std::string zero = samples({}), one = samples({"--seed", "1"});
  BOOST_TEST((samples({"--seed", "0"}) == zero));
  BOOST_TEST((samples({"--seed", "1"}) == one));
  BOOST_TEST((one != zero));
  BOOST_TEST((samples({"--seed", "2"}) != one));
}

// A few rows, learned by heart: the last weights are far worse on others than the best.
BOOST_AUTO_TEST_CASE(held_out_scores_are_of_the_best_weights) {
  const ScratchFolder folder;
  const std::string run = folder.file("run"), data = folder.file("few.npy");
  nf::Generator gen(3);
  nf::data::write_npy(data, nf::normal(gen, {60, 3}));
  const Outcome trained =
      flowcli(folder, {"train",        "realnvp-2d", "--data",         data,   "--out",      run,
                       "--couplings",  "4",          "--hidden-units", "32",   "--epochs",   "40",
                       "--batch-size", "10",         "--lr",           "1e-2", "--patience", "0",
                       "--threads",    "1",          "--json"});
  expect_ok(trained);
  BOOST_TEST_REQUIRE(trained.json()["best_epoch"] < 20);
  const auto nats = [&](const char* weights) {
    const Outcome outcome =
        flowcli(folder, {"eval", run, "--split", "valid", "--weights", weights, "--json"});
    return outcome.json()["nats"].get<double>();
  };
  const auto scores = nf::nn::load_safetensors(run + "/heldout.safetensors")
                          .tensors.at("log_prob")
                          .to_vector<double>();
  const double mean =
      std::accumulate(scores.begin(), scores.end(), 0.0) / static_cast<double>(scores.size());
  BOOST_TEST(mean == nats("best"), boost::test_tools::tolerance(1e-6));
  BOOST_TEST(nats("last") < mean - 1);
}

// Averages change nothing in the training itself: only what is evaluated, and drawn.
BOOST_AUTO_TEST_CASE(pictures_of_training_are_of_the_averaged_weights) {
  const ScratchFolder folder;
  const std::string data = folder.file("pixels.npy");
  nf::Generator gen(4);
  nf::data::write_npy(data, (nf::uniform(gen, {100, 4, 4}) * 256.0).to(nf::DType::U8));
  const auto picture = [&](const std::string& ema) {
    const std::string run = folder.file("run-" + ema);
    expect_ok(flowcli(folder, {"train",          "nice", "--data",          data,
                               "--out",          run,    "--couplings",     "2",
                               "--hidden-units", "16",   "--hidden-layers", "1",
                               "--epochs",       "2",    "--batch-size",    "10",
                               "--lr",           "1e-2", "--samples",       "9",
                               "--sample-every", "1",    "--ema",           ema,
                               "--threads",      "1"}));
    return nf::data::read_png(run + "/samples/epoch-0002.png").to_vector<std::uint8_t>();
  };
  const auto latest = picture("0"), hardly = picture("1e-9"), averaged = picture("0.9999");
  BOOST_TEST_REQUIRE(latest.size() == averaged.size());
  std::size_t differ = 0, hardly_differ = 0;
  for (std::size_t i = 0; i < latest.size(); ++i) {
    differ += latest[i] != averaged[i];
    hardly_differ += latest[i] != hardly[i];
  }
  BOOST_TEST(differ > latest.size() / 4);
  BOOST_TEST(hardly_differ < latest.size() / 50);
}

// Half of a sorted file is far away: the first rows would all be near.
BOOST_AUTO_TEST_CASE(sorted_rows_to_compare_with_are_taken_at_random) {
  const ScratchFolder folder;
  const std::string run = folder.file("run"), data = folder.file("data.npy"),
                    few = folder.file("few.npy"), sorted = folder.file("sorted.npy");
  nf::Generator gen(5);
  nf::data::write_npy(data, nf::normal(gen, {400, 2}));
  nf::data::write_npy(few, nf::normal(gen, {200, 2}));
  const nf::Tensor near = nf::normal(gen, {1000, 2});
  nf::data::write_npy(sorted, nf::concat(std::vector<nf::Tensor>{near, near * 100.0}, 0));
  expect_ok(flowcli(folder, {"train", "realnvp-2d", "--data", data, "--out", run, "--couplings",
                             "2", "--hidden-units", "8", "--epochs", "5", "--threads", "1"}));
  const Outcome scored =
      flowcli(folder, {"score", run, "--data", few, "--against", sorted, "--json"});
  expect_ok(scored);
  const nlohmann::json against = scored.json()["against"][0];
  BOOST_TEST(against["count"] == 200);
  // Half of them cannot be told, the others always: 0.75, give or take 5 deviations of such a draw.
  BOOST_TEST(std::abs(against["auroc"].get<double>() - 0.75) < 0.13, against);
}

BOOST_AUTO_TEST_SUITE_END()
