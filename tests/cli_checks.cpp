// flowcli check, plot and report: what they find, what they write, how they fail.
#include <boost/test/unit_test.hpp>

#include "cli_util.h"
#include "data/npy.h"
#include "nn/safetensors.h"

using namespace nf::test;

BOOST_AUTO_TEST_SUITE(cli_checks)

namespace {

std::size_t occurrences(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

std::string train_images(const ScratchFolder& folder) {
  const std::string run = folder.file("images");
  const Outcome trained =
      flowcli(folder, {"train",       "nice", "--data",         "glyphs", "--out",           run,
                       "--couplings", "2",    "--hidden-units", "16",     "--hidden-layers", "1",
                       "--train",     "400",  "--valid",        "100",    "--test",          "100",
                       "--epochs",    "1",    "--samples",      "9"});
  BOOST_TEST_REQUIRE(trained.status == 0, trained.err);
  return run;
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_2d_run_is_checked_plotted_and_reported) {
  const ScratchFolder folder;
  const std::string run = folder.file("run");
  BOOST_TEST_REQUIRE(flowcli(folder, tiny_training(run, 2)).status == 0);

  const Outcome checked = flowcli(folder, {"check", run, "--jacobians", "3", "--json"});
  BOOST_TEST_REQUIRE(checked.status == 0, checked.err);
  const auto json = checked.json();
  BOOST_TEST(json["sound"] == true);
  BOOST_TEST(json["findings"].size() >= 4U);
  BOOST_TEST(std::abs(json["integral"]["value"].get<double>() - 1) < 0.02, json["integral"]);
  BOOST_TEST(json["jacobians"] == 3);
  BOOST_TEST(json["split"] == "test");
  BOOST_TEST(json["latents"]["count"] == 300);
  for (const char* key : {"mean", "deviation", "largest", "tails", "ks_worst", "ks_mean"}) {
    BOOST_TEST(json["latents"][key].is_number(), key);
  }
  BOOST_TEST(json["layers"].back()["name"] == "whole map");
  for (const auto& layer : json["layers"]) {
    BOOST_TEST(layer["round_trip_f64"].get<double>() < 1e-9);
    BOOST_TEST(layer["round_trip_f32"].get<double>() < 1e-3);
    BOOST_TEST(layer["jacobian_gap"].get<double>() < 1e-4);
  }
  const Outcome told = flowcli(folder, {"check", run, "--split", "valid"});
  BOOST_TEST(told.out.find("The map inverts") != std::string::npos, told.out);
  BOOST_TEST(told.out.find("Kolmogorov-Smirnov") != std::string::npos);
  for (const char* part : {"couplings.1", "scaling", "whole map"}) {
    BOOST_TEST(told.out.find(part) != std::string::npos, part);
  }

  const std::string pictures = folder.file("pictures");
  const Outcome plotted =
      flowcli(folder, {"plot", run, "--out", pictures, "--size", "64", "-n", "500", "--json"});
  BOOST_TEST_REQUIRE(plotted.status == 0, plotted.err);
  BOOST_TEST(plotted.json()["files"].size() == 4U);
  for (const char* name : {"data.png", "samples.png", "density.png"}) {
    BOOST_TEST(slurp(pictures + "/" + name).starts_with("\x89PNG\r\n\x1a\n"), name);
  }
  const std::string grid = slurp(pictures + "/grid.svg");
  BOOST_TEST(grid.starts_with("<svg"));
  BOOST_TEST(occurrences(grid, "<path") == 50U);
  BOOST_TEST(flowcli(folder, {"plot", run}).status == 0);
  BOOST_TEST(std::filesystem::exists(run + "/plot/grid.svg"));

  const std::string page = folder.file("page.html");
  BOOST_TEST(flowcli(folder, {"report", run, "--out", page}).status == 0);
  const std::string html = slurp(page);
  BOOST_TEST(html.starts_with("<!DOCTYPE html>"));
  BOOST_TEST(occurrences(html, "src=\"data:image/png;base64,iVBORw0KGgo") == 3U);
  BOOST_TEST(occurrences(html, "<svg") == 2U);
  for (const char* outside : {"<script", "href=", "src=\"http", "@import", "url(http"}) {
    BOOST_TEST(html.find(outside) == std::string::npos, outside);
  }
  for (const char* part : {"realnvp-2d on moons", "hidden_units", "bits/dim", "The map inverts",
                           "per epoch", "couplings.1"}) {
    BOOST_TEST(html.find(part) != std::string::npos, part);
  }
}

BOOST_AUTO_TEST_CASE(images_are_checked_and_reported) {
  const ScratchFolder folder;
  const std::string run = train_images(folder);
  const Outcome checked =
      flowcli(folder, {"check", run, "--samples", "50", "--jacobians", "0", "--json"});
  BOOST_TEST_REQUIRE(checked.status == 0, checked.err);
  BOOST_TEST(checked.json()["sound"] == true);
  BOOST_TEST(checked.json()["latents"]["count"] == 50);
  BOOST_TEST(checked.json()["layers"][0]["name"] == "scale");  // the noise has no row
  BOOST_TEST(checked.json()["layers"][0]["jacobian_gap"].is_null());
  BOOST_TEST(flowcli(folder, {"report", run, "--jacobians", "0"}).status == 0);
  const std::string html = slurp(run + "/report.html");
  BOOST_TEST(occurrences(html, "src=\"data:image/png;base64,iVBORw0KGgo") == 2U);
  const Outcome plotted = flowcli(folder, {"plot", run});
  BOOST_TEST(plotted.status == 1);
  BOOST_TEST(plotted.err.find("784") != std::string::npos, plotted.err);
}

BOOST_AUTO_TEST_CASE(a_broken_model_is_found_with_its_layer) {
  const ScratchFolder folder;
  const std::string run = folder.file("run");
  BOOST_TEST_REQUIRE(flowcli(folder, tiny_training(run, 1)).status == 0);
  const std::string weights = run + "/best.safetensors";
  auto state = nf::nn::load_safetensors(weights).tensors;
  nf::nn::StateDict broken;
  for (auto& [name, tensor] : state) {
    if (name.starts_with("couplings.1.") && tensor.dtype() == nf::DType::F32)
      tensor.fill_(1e30);  // finite, but what comes out is not
    broken.emplace_back(name, tensor);
  }
  nf::nn::save_safetensors(weights, broken);
  const Outcome checked = flowcli(folder, {"check", run, "--json"});
  BOOST_TEST(checked.status == 1);
  BOOST_TEST(checked.json()["sound"] == false);
  BOOST_TEST(checked.json()["verdict"] == "unsound");
  BOOST_TEST(checked.err.find("[check] layer couplings.1") != std::string::npos, checked.err);
  const Outcome reported = flowcli(folder, {"report", run, "--json"});
  BOOST_TEST(reported.status == 0, reported.err);
  BOOST_TEST(reported.json()["sound"] == false);
  BOOST_TEST(reported.json()["verdict"] == "unsound");
}

// Samples that are no numbers are told, with the layer, and not written.
BOOST_AUTO_TEST_CASE(samples_that_are_not_finite_are_no_picture) {
  const ScratchFolder folder;
  const std::string run = train_images(folder);
  for (const char* file : {"/best.safetensors", "/last.safetensors"}) {
    nf::nn::StateDict broken;
    for (auto& [name, tensor] : nf::nn::load_safetensors(run + file).tensors) {
      nf::Tensor changed = tensor;
      if (name.starts_with("couplings.0.net.")) changed.fill_(1e30);
      broken.emplace_back(name, changed);
    }
    nf::nn::save_safetensors(run + file, broken);
  }
  const std::string latents = folder.file("z.npy"), out = folder.file("out.npy");
  nf::data::write_npy(latents, nf::Tensor::full({7, 784}, 0.25));
  const std::string layer =
      "of 7 samples are NaN or infinite, first in the inverse of layer couplings.0";
  for (const auto& call : std::vector<std::vector<std::string>>{
           {"sample", run, "-n", "7", "--out"}, {"decode", run, latents, "--out"}}) {
    for (const char* ending : {"out.npy", "out.png"}) {
      std::vector<std::string> words = call;
      words.push_back(folder.file(ending));
      const Outcome outcome = flowcli(folder, words);
      BOOST_TEST(outcome.status == 3, outcome.err);
      const std::string begins = "flowcli: [" + call[0] + "] ";
      BOOST_TEST(outcome.err.starts_with(begins), outcome.err);
      BOOST_TEST(outcome.err.find(layer) != std::string::npos, outcome.err);
      BOOST_TEST(occurrences(outcome.err, "\n") == 1U);
      BOOST_TEST(!std::filesystem::exists(folder.file(ending)));
    }
  }
}

BOOST_AUTO_TEST_CASE(failures_say_what_to_do) {
  const ScratchFolder folder;
  const std::string run = folder.file("run");
  BOOST_TEST_REQUIRE(flowcli(folder, tiny_training(run, 1)).status == 0);
  std::ofstream(folder.file("file")) << "no folder";
  struct Row {
    std::vector<std::string> call;
    std::string says;
  };
  const Row rows[] = {
      {{"check", folder.file("none")}, "not a run folder"},
      {{"plot", folder.file("none")}, "not a run folder"},
      {{"report", folder.file("none")}, "not a run folder"},
      {{"check", run, "--data", "glyphs"}, "2-dimensional"},
      {{"plot", run, "--out", folder.file("file")}, "--out"},
      {{"report", run, "--out", folder.file("no/such/page.html")}, "page.html"},
  };
  for (const Row& row : rows) {
    const Outcome outcome = flowcli(folder, row.call);
    BOOST_TEST(outcome.status == 1, row.says << ": status " << outcome.status);
    BOOST_TEST(outcome.err.find(row.says) != std::string::npos, outcome.err);
  }
}

BOOST_AUTO_TEST_SUITE_END()
