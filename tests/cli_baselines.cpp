// What the simplest densities reach beside a trained model: on the very rows that are evaluated.
#include <boost/test/unit_test.hpp>
#include <cmath>

#include "cli_util.h"
#include "nn/safetensors.h"

using namespace nf::test;
namespace fs = std::filesystem;

BOOST_AUTO_TEST_SUITE(cli_baselines)

namespace {

nlohmann::json evaluated(const ScratchFolder& folder, const std::string& run,
                         std::vector<std::string> more) {
  more.insert(more.begin(), {"eval", run, "--json"});
  const Outcome outcome = flowcli(folder, more);
  BOOST_TEST_REQUIRE(outcome.status == 0, outcome.err);
  return outcome.json();
}

}  // namespace

// Of independent columns that are near to Gaussian, with deviations 2 and 5: what both reach is
// known.
BOOST_AUTO_TEST_CASE(any_rows_are_compared_and_the_error_is_that_of_pairs) {
  const ScratchFolder folder;
  const std::string data = folder.file("t.csv"), run = folder.file("run");
  std::ofstream out(data);
  out << "a,b\n";
  for (int i = 0; i < 1000; ++i) {
    // A sum of twelve uniform numbers has variance 1.
    double a = -6, b = -6;
    for (int k = 0; k < 12; ++k) {
      const double u = std::sin(i * 12.9898 + k) * 43758.5, v = std::sin(i * 78.233 + k) * 12543.1;
      a += u - std::floor(u);
      b += v - std::floor(v);
    }
    out << 3 + 2 * a << "," << 3 + 5 * b << "\n";
  }
  out.close();
  const Outcome trained =
      flowcli(folder, {"train", "realnvp-2d", "--data", data, "--out", run, "--couplings", "2",
                       "--hidden-units", "8", "--epochs", "2", "--threads", "1"});
  BOOST_TEST_REQUIRE(trained.status == 0, trained.err);
  const double entropy = 1 + std::log(2 * 3.14159265358979) + std::log(10.);
  for (const std::vector<std::string>& rows :
       std::vector<std::vector<std::string>>{{},
                                             {"--split", "valid"},
                                             {"--split", "train"},
                                             {"--data", data},
                                             {"-n", "40"},
                                             {"--indices", "3,7,20-60"}}) {
    const nlohmann::json json = evaluated(folder, run, rows);
    const double nats = json["nats"], se = json["nats_se"];
    for (const std::string who : {"gaussian", "independent"}) {
      const double reached = json[who + "_nats"], difference = json[who + "_difference"],
                   error = json[who + "_difference_se"];
      BOOST_TEST(reached == -entropy, boost::test_tools::tolerance(0.1));
      BOOST_TEST(std::abs(nats - reached - difference) < 1e-9);
      // On the same rows most of the noise is common to both.
      BOOST_TEST((error > 0 && error < se));
    }
  }
  const nlohmann::json one = evaluated(folder, run, {"--indices", "5"});
  BOOST_TEST(one["gaussian_difference"].is_number());
  BOOST_TEST(one["gaussian_difference_se"].is_null());
  const std::string text = flowcli(folder, {"eval", run}).out;
  BOOST_TEST(text.find(" nats there: the model is ") != std::string::npos, text);
  BOOST_TEST(flowcli(folder, {"report", run}).status == 0);
  BOOST_TEST(slurp(run + "/report.html").find("nats there: the model is ") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(baselines_that_are_lost_or_not_ours_are_a_note) {
  const ScratchFolder folder;
  const std::string run = folder.file("run"), file = run + "/baselines.safetensors";
  BOOST_TEST_REQUIRE(flowcli(folder, tiny_training(run, 1)).status == 0);
  const std::string whole = slurp(file);
  auto foreign = nf::nn::load_safetensors(file);
  BOOST_TEST((foreign.tensors.at("cholesky").dtype() == nf::DType::F64));
  BOOST_TEST(evaluated(folder, run, {})["gaussian_nats"].is_number());
  const auto expect_note = [&](const std::string& says) {
    for (const char* command : {"eval", "report"}) {
      const Outcome outcome = flowcli(folder, {command, run});
      BOOST_TEST(outcome.status == 0, outcome.err);
      BOOST_TEST(outcome.err.find(says) != std::string::npos, says << " not in " << outcome.err);
      BOOST_TEST(outcome.out.find("Gaussian") == std::string::npos, outcome.out);
    }
    const nlohmann::json json = evaluated(folder, run, {});
    BOOST_TEST(json["nats"].is_number());
    for (const char* key : {"gaussian_nats", "gaussian_difference", "independent_difference_se"}) {
      BOOST_TEST(json[key].is_null(), key);
    }
  };
  foreign.metadata["data_checksum"] = "other";
  nf::nn::save_safetensors(file, {foreign.tensors.begin(), foreign.tensors.end()},
                           foreign.metadata);
  expect_note("of a training on other data");
  foreign = nf::nn::load_safetensors(file);
  std::ofstream(file, std::ios::binary) << whole.substr(0, whole.size() / 2);
  expect_note("baselines.safetensors");
  fs::remove(file);
  expect_note("has no baselines.safetensors");
}

// A folder with a config.json has all that belongs to a start.
BOOST_AUTO_TEST_CASE(they_are_written_before_the_configuration) {
  const ScratchFolder folder;
  const std::string run = folder.file("run");
  const Outcome killed = flowcli(folder, tiny_training(run, 1), "write-done:3:kill");
  BOOST_TEST_REQUIRE(killed.status == -SIGKILL, killed.err);
  BOOST_TEST(!fs::exists(run + "/config.json"));
  BOOST_TEST(fs::exists(run + "/baselines.safetensors"));
  BOOST_TEST(flowcli(folder, tiny_training(run, 1)).status == 0);
}

BOOST_AUTO_TEST_SUITE_END()
