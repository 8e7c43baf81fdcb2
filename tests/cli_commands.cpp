// flowcli's commands: what they print, what they write, how they fail.
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <map>

#include "cli_util.h"
#include "nn/safetensors.h"
#include "tensor/ops.h"
#include "tests/file_makers.h"

using namespace nf::test;

BOOST_AUTO_TEST_SUITE(cli_commands)

namespace {

void expect_keys(const nlohmann::json& json, const std::vector<std::string>& keys) {
  for (const std::string& key : keys) BOOST_TEST(json.contains(key), "missing key " << key);
}

bool is_png(const std::string& path) { return slurp(path).starts_with("\x89PNG\r\n\x1a\n"); }

std::size_t lines(const std::string& text) {
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_trained_run_serves_every_command) {
  const ScratchFolder folder;
  const std::string run = folder.file("run");
  auto arguments = tiny_training(run, 3);
  arguments.push_back("--json");
  const Outcome trained = flowcli(folder, arguments);
  BOOST_TEST_REQUIRE(trained.status == 0, trained.err);
  expect_keys(trained.json(), {"run", "finished", "epochs", "steps", "best_valid_nats"});
  BOOST_TEST(trained.json()["steps"] == 60);
  for (const char* name : {"config.json", "log.jsonl", "best.safetensors", "last.safetensors",
                           "state.safetensors", "curve.svg", "samples/final.png"}) {
    BOOST_TEST(std::filesystem::exists(run + "/" + name), name);
  }
  const std::string log = slurp(run + "/log.jsonl");
  BOOST_TEST(lines(log) == 3U);
  expect_keys(nlohmann::json::parse(log.substr(0, log.find('\n'))),
              {"epoch", "step", "seconds", "train_nats", "valid_nats", "valid_bits_per_dim", "lr",
               "grad_norm"});

  const Outcome evaluated = flowcli(folder, {"eval", run, "--split", "test", "--json"});
  BOOST_TEST_REQUIRE(evaluated.status == 0, evaluated.err);
  expect_keys(evaluated.json(), {"nats", "nats_se", "bits_per_dim", "bits_per_dim_se", "dims",
                                 "count", "split", "noise_draws", "convention"});
  BOOST_TEST(evaluated.json()["count"] == 300);
  BOOST_TEST(evaluated.json()["bits_per_dim"].get<double>() ==
                 -evaluated.json()["nats"].get<double>() / (2 * std::log(2.0)),
             boost::test_tools::tolerance(1e-9));

  BOOST_TEST(flowcli(folder, {"sample", run, "-n", "50", "--out", folder.file("s.png")}).status ==
             0);
  BOOST_TEST(is_png(folder.file("s.png")));
  BOOST_TEST(flowcli(folder, {"sample", run, "-n", "50", "--out", folder.file("s.npy")}).status ==
             0);
  const std::string npy = slurp(folder.file("s.npy"));
  BOOST_TEST(npy.starts_with(std::string("\x93NUMPY\x01\x00", 8)));
  BOOST_TEST(npy.find("'shape': (50, 2)") != std::string::npos);
  BOOST_TEST(npy.size() == 128U + 50 * 2 * 4);

  const Outcome inspected = flowcli(folder, {"inspect", run, "--json"});
  expect_keys(inspected.json(), {"layers", "parameters", "flops"});
  // per coupling: 1 -> 8 -> 8 -> 2, weights and biases; between them 2 x 2; the scaling of 2
  BOOST_TEST(inspected.json()["parameters"] == 2 * (8 + 8 + 64 + 8 + 16 + 2) + 4 + 2);
}

BOOST_AUTO_TEST_CASE(the_data_decide_the_preset) {
  const ScratchFolder folder;
  const std::string file = folder.file("cifar.bin"), json = folder.file("mine.json");
  std::ofstream(file) << nf::test::cifar_file(std::vector<std::string>(10, "\1"));
  std::ofstream(json) << R"({"model": "nice", "recipe": "code", "hidden_units": 4})";
  const auto layers = [&](const std::vector<std::string>& more) {
    std::vector<std::string> call = {"inspect", "nice", "--data", file, "--hidden-units", "4"};
    call.insert(call.end(), more.begin(), more.end());
    call.push_back("--json");
    std::string kinds;
    const auto outcome = flowcli(folder, call);
    BOOST_TEST_REQUIRE(outcome.status == 0, outcome.err);
    const nlohmann::json json = outcome.json();
    for (const auto& layer : json["layers"]) {
      kinds += layer["name"].get<std::string>() + " " + layer["kind"].get<std::string>() + "; ";
    }
    return kinds;
  };
  const std::string paper = layers({}), code = layers({"--set", "recipe=code"});
  BOOST_TEST(paper.find("ZcaWhitening") != std::string::npos, paper);
  BOOST_TEST(paper.find("couplings.4") == std::string::npos, paper);
  BOOST_TEST(code.find("couplings.7") != std::string::npos, code);
  BOOST_TEST(code.find("StandardNormal") != std::string::npos, code);
  // What the user says goes before what the data say, on the command line and in a file.
  BOOST_TEST(layers({"--whitening", "none"}).find("Whitening") == std::string::npos);
  const auto inspected = flowcli(folder, {"inspect", json, "--data", file, "--json"});
  BOOST_TEST_REQUIRE(inspected.status == 0, inspected.err);
  // 8 couplings of 22 linear layers, 4 others, and two permutations: the paper has one channel
  // after the other.
  BOOST_TEST(inspected.json()["layers"].size() == 36U);
}

BOOST_AUTO_TEST_CASE(images_are_trained_sampled_and_evaluated) {
  const ScratchFolder folder;
  const std::string run = folder.file("run");
  const Outcome trained =
      flowcli(folder, {"train",       "nice", "--data",         "glyphs", "--out",           run,
                       "--couplings", "2",    "--hidden-units", "16",     "--hidden-layers", "1",
                       "--train",     "400",  "--valid",        "100",    "--test",          "100",
                       "--epochs",    "2",    "--samples",      "9"});
  BOOST_TEST_REQUIRE(trained.status == 0, trained.err);
  BOOST_TEST(is_png(run + "/samples/final.png"));
  const auto json = flowcli(folder, {"eval", run, "--noise-draws", "2", "--json"}).json();
  BOOST_TEST(
      json["bits_per_dim"].get<double>() == 8 - json["nats"].get<double>() / (784 * std::log(2.0)),
      boost::test_tools::tolerance(1e-9));
  BOOST_TEST(json["noise_draws"] == 2);
  const auto weighted =
      flowcli(folder, {"eval", run, "--noise-draws", "4", "--importance", "4", "--json"}).json();
  BOOST_TEST(weighted["importance"] == 4);
  BOOST_TEST(weighted["importance_nats"].get<double>() > weighted["nats"].get<double>());
  BOOST_TEST(weighted["importance_nats_se"].get<double>() > 0);
  BOOST_TEST(weighted["importance_count"] == 100);
  BOOST_TEST(weighted["importance_bits_per_dim"].get<double>() <
             weighted["bits_per_dim"].get<double>());
  BOOST_TEST(weighted["importance_bits_per_dim_se"].get<double>() ==
                 weighted["importance_nats_se"].get<double>() / (784 * std::log(2.0)),
             boost::test_tools::tolerance(1e-9));
  // One weight is the plain draw, in batches of any size.
  const auto one =
      flowcli(folder, {"eval", run, "--importance", "1", "--batch-size", "30", "--json"}).json();
  BOOST_TEST(one["importance_nats"] == one["nats"]);

  // Ctrl-C in the third batch of 40 leaves the first two, of which all draws are done.
  const std::vector<std::string> asked = {"eval",         run,  "--importance", "5",
                                          "--batch-size", "40", "--json"};
  const Child child(folder, asked, "importance-draw:12:stop");
  BOOST_TEST_REQUIRE(child.wait_until_stopped(), child.err());
  child.signal(SIGINT);
  child.signal(SIGCONT);
  BOOST_TEST(child.wait() == 130, child.err());
  BOOST_TEST(child.err().find("the first 80 of 100 samples") != std::string::npos, child.err());
  const auto partly = nlohmann::json::parse(child.out());
  BOOST_TEST(partly["count"] == 100);
  BOOST_TEST(partly["importance_count"] == 80);
  BOOST_TEST(std::isfinite(partly["importance_nats"].get<double>()));
}

BOOST_AUTO_TEST_CASE(a_flow_draws_the_noise_of_images) {
  const ScratchFolder folder;
  const std::string run = folder.file("run"), whole = folder.file("whole");
  const auto train = [&](const std::string& out, const std::string& steps) {
    const Outcome trained = flowcli(folder, {"train",
                                             "image-plus",
                                             "--data",
                                             "glyphs",
                                             "--out",
                                             out,
                                             "--train",
                                             "60",
                                             "--valid",
                                             "20",
                                             "--test",
                                             "20",
                                             "--steps",
                                             steps,
                                             "--batch-size",
                                             "20",
                                             "--set",
                                             "steps_per_level=1",
                                             "--width",
                                             "4",
                                             "--dequantize",
                                             "variational",
                                             "--dequantize-width",
                                             "3",
                                             "--memory",
                                             "invertible",
                                             "--samples",
                                             "4"});
    BOOST_TEST_REQUIRE(trained.status == 0, trained.err);
  };
  train(whole, "5");
  train(run, "2");
  const Outcome resumed = flowcli(folder, {"resume", run, "--steps", "5"});
  BOOST_TEST_REQUIRE(resumed.status == 0, resumed.err);
  BOOST_TEST((slurp(run + "/last.safetensors") == slurp(whole + "/last.safetensors")));
  const auto json = flowcli(folder, {"eval", run, "--importance", "4", "--json"}).json();
  BOOST_TEST(json["bound"] == true);
  BOOST_TEST(json["convention"].get<std::string>().find("variational dequantisation") !=
             std::string::npos);
  BOOST_TEST(json["importance_nats"].get<double>() > json["nats"].get<double>());
  const Outcome encoded = flowcli(folder, {"encode", run, "--out", folder.file("z.npy")});
  BOOST_TEST(encoded.out.find("decoding them is exact") != std::string::npos, encoded.out);
  BOOST_TEST(flowcli(folder, {"inspect", run}).out.find("dequantize.flow.couplings.3") !=
             std::string::npos);
}

// Its noise is its own: that of its row in the file.
BOOST_AUTO_TEST_CASE(a_picture_has_the_same_score_alone_and_among_others) {
  const ScratchFolder folder;
  const std::string run = folder.file("run"), csv = folder.file("s.csv");
  const std::string pixels =
      (std::filesystem::path(__FILE__).parent_path() / "golden_runs" / "pixels.npy").string();
  const Outcome trained = flowcli(
      folder, {"train", "nice", "--data", pixels, "--out", run, "--couplings", "2",
               "--hidden-units", "4", "--hidden-layers", "1", "--steps", "5", "--quiet", "--json"});
  BOOST_TEST_REQUIRE(trained.status == 0, trained.err);
  // Training validates with this noise too, and so do the held-out scores beside which new ones are
  // told.
  const double best = trained.json()["best_valid_nats"].get<double>();
  const Outcome valid = flowcli(folder, {"eval", run, "--split", "valid", "--json"});
  BOOST_TEST(std::abs(valid.json()["nats"].get<double>() - best) < 1e-9);
  const auto held_out = nf::nn::load_safetensors(run + "/heldout.safetensors").tensors;
  const double nats = nf::mean(held_out.at("log_prob")).item() + 25 * std::log(256);
  BOOST_TEST(std::abs(nats - best) < 1e-9);
  using Words = std::vector<std::string>;
  const auto scores = [&](const Words& more) {  // nats by row of the file
    Words call = {"score", run, "--out", csv, "--quiet"};
    call.insert(call.end(), more.begin(), more.end());
    const Outcome outcome = flowcli(folder, call);
    BOOST_TEST_REQUIRE(outcome.status == 0, outcome.err);
    std::map<std::string, double> nats;
    std::ifstream in(csv);
    std::string line;
    for (std::getline(in, line); std::getline(in, line);) {
      std::istringstream cells(line);
      std::string row, value, bits, file_row;
      std::getline(std::getline(std::getline(cells, row, ','), value, ','), bits, ',');
      std::getline(cells, file_row);
      nats[file_row] = std::stod(value);
    }
    return nats;
  };
  const auto all = scores({"--split", "all"});
  BOOST_TEST_REQUIRE(all.size() == 48u);
  for (const Words& more : {Words{"--split", "test"},
                            {"--split", "valid", "-n", "2"},
                            {"--split", "train", "--indices", "7"},
                            {"--data", pixels, "--indices", "47,3,20-22", "--batch-size", "2"}}) {
    const auto some = scores(more);
    BOOST_TEST(!some.empty());
    for (const auto& [row, nats] : some) BOOST_TEST(std::abs(nats - all.at(row)) < 2e-4, row);
  }
  const auto other = scores({"--data", pixels, "--indices", "3", "--seed", "1"});
  BOOST_TEST(std::abs(other.at("3") - all.at("3")) > 1e-3);
}

BOOST_AUTO_TEST_CASE(bench_tells_the_floor) {
  const ScratchFolder folder;
  const Outcome outcome = flowcli(
      folder, {"bench", "nice", "--hidden-units", "32", "--hidden-layers", "1", "--couplings", "2",
               "--batch-size", "20", "--bench-steps", "5", "--floor", "--json"});
  BOOST_TEST_REQUIRE(outcome.status == 0, outcome.err);
  expect_keys(outcome.json(), {"step_ms", "samples_per_second", "gflops", "peak_memory_mb",
                               "floor_ms", "ratio", "peak_gflops", "update_gbs", "triad_gbs"});
  const auto json = outcome.json();
  for (const char* key : {"step_ms", "floor_ms", "peak_gflops", "update_gbs", "triad_gbs"}) {
    BOOST_TEST(json[key].get<double>() > 0, key);
  }
  BOOST_TEST(
      json["ratio"].get<double>() == json["step_ms"].get<double>() / json["floor_ms"].get<double>(),
      boost::test_tools::tolerance(1e-9));
  // Adam reads 4 numbers for each parameter and writes 3: 28 bytes, as an update's rate counts
  // them.
  BOOST_TEST(json["floor_adam_ms"].get<double>() ==
                 28e-6 * json["parameters"].get<double>() / json["update_gbs"].get<double>(),
             boost::test_tools::tolerance(1e-9));
}

// Four networks on packed checkerboards of 28 x 14 pixels: 3x3 from 2 to 4 channels, 1x1 to 4, 1x1
// to 2. On an axis of n pixels 2 / (3 n) of the taps of a 3x3 window lie outside. Forward and twice
// backward, batches of 2.
BOOST_AUTO_TEST_CASE(the_floor_of_convolutions_leaves_out_their_padding) {
  const ScratchFolder folder;
  const Outcome outcome = flowcli(
      folder, {"bench", "realnvp", "--data", "glyphs", "--width", "4", "--blocks", "0", "--levels",
               "1", "--batch-size", "2", "--bench-steps", "1", "--floor", "--json"});
  BOOST_TEST_REQUIRE(outcome.status == 0, outcome.err);
  const double window = 2 * (9 * 2 * 4) * (1 - 2. / (3 * 28)) * (1 - 2. / (3 * 14));
  const double flops = 2 * 3 * 4 * 28 * 14 * (window + 2 * 4 * 4 + 2 * 4 * 2);
  const auto json = outcome.json();
  BOOST_TEST(
      json["floor_products_ms"].get<double>() * json["peak_gflops"].get<double>() * 1e6 == flops,
      boost::test_tools::tolerance(0.01));
}

// The lines are the layers of inspect and what else a step does; their times are parts of the step,
// their bytes are known.
BOOST_AUTO_TEST_CASE(bench_tells_where_the_time_goes) {
  const ScratchFolder folder;
  const std::vector<std::string> model = {"nice", "--data", "glyphs",          "--hidden-units",
                                          "16",   "--set",  "hidden_layers=1", "--couplings",
                                          "2",    "--json", "--batch-size",    "20"};
  const auto call = [&](std::vector<std::string> words) {
    words.insert(words.begin() + 1, model.begin(), model.end());
    const Outcome outcome = flowcli(folder, words);
    BOOST_TEST_REQUIRE(outcome.status == 0, outcome.err);
    return outcome.json();
  };
  const auto profile = call({"bench", "--bench-steps", "3", "--profile"})["profile"];
  std::map<std::string, nlohmann::json> lines;
  double ms = 0, share = 0;
  for (const auto& line : profile["lines"]) {
    lines.emplace(line["name"], line);
    ms += line["ms"].get<double>();
    share += line["share"].get<double>();
    const double of_passes =
        line["forward_ms"].is_null()
            ? 0
            : line["forward_ms"].get<double>() +
                  (line["backward_ms"].is_null() ? 0 : line["backward_ms"].get<double>());
    BOOST_TEST(of_passes <= line["ms"].get<double>() * (1 + 1e-9), line["name"]);
  }
  BOOST_TEST(ms <= profile["step_ms"].get<double>() * (1 + 1e-9));
  BOOST_TEST(std::abs(share - profile["explained"].get<double>()) < 1e-9);
  BOOST_TEST(std::abs(share - ms / profile["step_ms"].get<double>()) < 1e-9);
  const auto inspected = call({"inspect"});
  for (const auto& layer : inspected["layers"]) {
    BOOST_TEST(lines.contains(layer["name"]), layer["name"]);
  }
  for (const char* other : {"data", "loss", "gradient norm", "optimizer"}) {
    BOOST_TEST(lines.contains(other), other);
  }
  // x (20, 392), which is every other pixel, w (16, 392), bias (16),
  // y (20, 16), in f32; back comes only what w and bias want.
  const auto& first = lines.at("couplings.0.net.0");
  BOOST_TEST(first["forward_bytes"] == 4.0 * (20 * 392 + 16 * 392 + 16 + 20 * 16));
  BOOST_TEST(first["forward_flops"] == 2.0 * 20 * 392 * 16);
  BOOST_TEST(first["flops"] == 2 * 2.0 * 20 * 392 * 16);
  BOOST_TEST(lines.at("couplings.1.net.0")["flops"] == 3 * 2.0 * 20 * 392 * 16);
  BOOST_TEST(lines.at("scaling")["gflops"].is_null());
}

BOOST_AUTO_TEST_CASE(data_is_described_and_made) {
  const ScratchFolder folder;
  const std::string digits = folder.file("digits");
  BOOST_TEST(
      flowcli(folder, {"data", "make", "glyphs", "--out", digits, "--train", "60", "--test", "10"})
          .status == 0);
  const auto json =
      flowcli(folder, {"data", digits, "--out", folder.file("grid.png"), "--json"}).json();
  BOOST_TEST(json["train"] == 50);
  BOOST_TEST(json["valid"] == 10);
  BOOST_TEST(json["test"] == 10);
  BOOST_TEST(json["dims"] == 784);
  BOOST_TEST(is_png(folder.file("grid.png")));
}

BOOST_AUTO_TEST_CASE(failures_are_one_clear_line_and_status_1) {
  const ScratchFolder folder;
  std::ofstream(folder.file("bad.json")) << "{\"couplings\": ";
  std::ofstream(folder.file("typo.json")) << "{\"model\": \"nice\", \"coupling_count\": 3}";
  std::ofstream(folder.file("noise.bin")) << "this is no data set";
  struct Row {
    std::vector<std::string> call;
    std::string says;
  };
  const std::string out = folder.file("never");
  const Row rows[] = {
      {{"train", "nice", "--data", "no/such/place", "--out", out}, "no/such/place"},
      {{"train", "nice", "--data", "glyph", "--out", out}, "glyphs"},
      {{"train", "nice", "--data", folder.file("noise.bin"), "--out", out}, "noise.bin"},
      {{"train", folder.file("bad.json"), "--out", out}, "JSON"},
      {{"train", folder.file("typo.json"), "--out", out}, "coupling_count"},
      {{"train", folder.file("none.json"), "--out", out}, "none.json"},
      {{"resume", folder.file("none")}, "not a run folder"},
      {{"eval", folder.file("none")}, "not a run folder"},
      {{"sample", folder.file("none")}, "not a run folder"},
      {{"data", "no/such/place"}, "no/such/place"},
      {{"bench", "nice", "--device", "cuda"}, "CUDA"},
  };
  for (const Row& row : rows) {
    const Outcome outcome = flowcli(folder, row.call);
    BOOST_TEST(outcome.status == 1, row.says << ": status " << outcome.status);
    BOOST_TEST(lines(outcome.err) == 1U, outcome.err);
    BOOST_TEST(outcome.err.find(row.says) != std::string::npos, outcome.err);
    BOOST_TEST(!std::filesystem::exists(out), "a failed call left a folder: " << row.says);
  }
}

BOOST_AUTO_TEST_CASE(a_run_is_not_overwritten_by_accident) {
  const ScratchFolder folder;
  const std::string run = folder.file("run");
  BOOST_TEST_REQUIRE(flowcli(folder, tiny_training(run, 1)).status == 0);
  const std::string before = slurp(run + "/last.safetensors");
  const Outcome again = flowcli(folder, tiny_training(run, 1));
  BOOST_TEST(again.status == 1);
  BOOST_TEST(again.err.find("resume") != std::string::npos);
  BOOST_TEST((slurp(run + "/last.safetensors") == before));
  auto overwriting = tiny_training(run, 2);
  overwriting.push_back("--overwrite");
  BOOST_TEST(flowcli(folder, overwriting).status == 0);
  BOOST_TEST((slurp(run + "/last.safetensors") != before));
}

BOOST_AUTO_TEST_CASE(damaged_checkpoints_are_refused) {
  const ScratchFolder folder;
  const std::string run = folder.file("run");
  BOOST_TEST_REQUIRE(flowcli(folder, tiny_training(run, 1)).status == 0);
  const std::string whole = slurp(run + "/state.safetensors");
  std::ofstream(run + "/state.safetensors", std::ios::binary) << whole.substr(0, whole.size() / 2);
  std::ofstream(run + "/best.safetensors", std::ios::binary) << "";
  for (const char* command : {"resume", "eval", "sample"}) {
    const Outcome outcome = flowcli(folder, {command, run, "--quiet"});
    BOOST_TEST(outcome.status == 1, command);
    BOOST_TEST(lines(outcome.err) == 1U, outcome.err);
    BOOST_TEST(outcome.err.find("safetensors") != std::string::npos, outcome.err);
  }
}

BOOST_AUTO_TEST_SUITE_END()
