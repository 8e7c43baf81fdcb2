// flowcli check, plot and report: what they find, what they write, how they fail.
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <iomanip>
#include <set>
#include <sstream>

#include "cli_util.h"
#include "data/npy.h"
#include "data/png.h"
#include "nn/safetensors.h"
#include "tensor/ops.h"
#include "tensor/random.h"

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

namespace {

/// "age,income" or so: columns of these middles and deviations, trained for a moment.
std::string train_table(const ScratchFolder& folder, const std::string& header, double x,
                        double x_deviation, double y, double y_deviation) {
  nf::Generator gen(5);
  const auto e = nf::normal(gen, {600, 2}, nf::DType::F64).to_vector<double>();
  const std::string run = folder.file("run"), data = folder.file("table.csv");
  std::ofstream file(data);
  file << header << "\n" << std::setprecision(17);
  for (std::size_t i = 0; i < e.size(); i += 2) {
    file << x + x_deviation * e[i] << "," << y + y_deviation * e[i + 1] << "\n";
  }
  file.close();
  const Outcome trained =
      flowcli(folder, {"train", "realnvp-2d", "--data", data, "--out", run, "--couplings", "2",
                       "--hidden-units", "8", "--epochs", "1", "--threads", "1"});
  BOOST_TEST_REQUIRE(trained.status == 0, trained.err);
  return run;
}

/// How much of the picture's width and height the lines of a grid.svg take, and how many different
/// x there are.
struct Extent {
  double width = 0, height = 0;
  std::size_t different = 0;
};
Extent extent_of(const std::string& svg) {
  double low[2] = {1e9, 1e9}, high[2] = {-1e9, -1e9};
  std::set<double> different;
  for (auto at = svg.find("d=\"M"); at != std::string::npos; at = svg.find("d=\"M", at + 1)) {
    std::string path = svg.substr(at + 3, svg.find('"', at + 3) - at - 3);
    std::replace_if(
        path.begin(), path.end(), [](char c) { return c == 'M' || c == 'L'; }, ' ');
    std::istringstream numbers(path);
    double v = 0;
    for (int k = 0; numbers >> v; k = 1 - k) {
      low[k] = std::min(low[k], v);
      high[k] = std::max(high[k], v);
      if (k == 0) different.insert(v);
    }
  }
  return {(high[0] - low[0]) / 520, (high[1] - low[1]) / 520, different.size()};
}

}  // namespace

// Each column of a table has a unit and a place of its own; pictures show both in full.
BOOST_AUTO_TEST_CASE(tables_fill_their_pictures) {
  struct Row {
    const char* header;
    double x, x_deviation, y, y_deviation;
  };
  for (const Row& row :
       {Row{"age,income", 50, 10, 5e4, 2e4}, Row{"time,value", 1.7e9, 30, 0, 1e-3}}) {
    const ScratchFolder folder;
    const std::string run =
        train_table(folder, row.header, row.x, row.x_deviation, row.y, row.y_deviation);
    const Outcome plotted = flowcli(folder, {"plot", run, "--size", "64", "-n", "500", "--json"});
    BOOST_TEST_REQUIRE(plotted.status == 0, plotted.err);
    const auto box = plotted.json()["bounds"].get<std::vector<double>>();
    BOOST_TEST((box[0] > row.x - 5 * row.x_deviation && box[1] < row.x + 5 * row.x_deviation));
    BOOST_TEST((box[2] > row.y - 5 * row.y_deviation && box[3] < row.y + 5 * row.y_deviation));
    const Extent lines = extent_of(slurp(run + "/plot/grid.svg"));
    BOOST_TEST((lines.width > 0.8 && lines.width < 1.05), lines.width);
    BOOST_TEST((lines.height > 0.8 && lines.height < 1.05), lines.height);
    BOOST_TEST(lines.different > 500U);
    BOOST_TEST(slurp(run + "/plot/grid.svg").size() < 2'000'000U);
    const std::string page = folder.file("page.html");
    BOOST_TEST_REQUIRE(flowcli(folder, {"report", run, "--out", page}).status == 0);
    const std::string html = slurp(page);
    const std::string columns =
        std::string(row.header).replace(std::string(row.header).find(','), 1, ", ");
    for (const std::string& part :
         {"<td>columns</td><td>" + columns, std::string("a Gaussian reaches "),
          std::string("independent dimensions reach ")}) {
      BOOST_TEST(html.find(part) != std::string::npos, part);
    }
  }
}

// Marks that turn the direction of writing around are escaped in JSON as in texts.
BOOST_AUTO_TEST_CASE(json_has_no_marks_that_a_terminal_obeys) {
  const ScratchFolder folder;
  const std::string data = folder.file("a\u202Eb.csv");
  std::ofstream(data) << "x,\u202Ey\n1,2\n2,1\n3,5\n4,3\n5,1\n";
  const Outcome told = flowcli(folder, {"data", data, "--json"});
  BOOST_TEST_REQUIRE(told.status == 0, told.err);
  BOOST_TEST(told.out.find("\u202E") == std::string::npos);
  BOOST_TEST(told.out.find("\\u202e") != std::string::npos, told.out);
  BOOST_TEST(told.json()["columns"][1] == "\u202Ey");
}

// An array has no names of columns, but its two columns have units of their own all the same.
BOOST_AUTO_TEST_CASE(samples_of_an_array_fill_their_picture) {
  const ScratchFolder folder;
  nf::Generator gen(6);
  const nf::Tensor x = nf::normal(gen, {600, 2}, nf::DType::F64);
  const nf::Tensor scale = nf::Tensor::from<double>({1, 5}, {2});
  const std::string data = folder.file("t.npy"), run = folder.file("run");
  nf::data::write_npy(data, x * scale);
  const Outcome trained =
      flowcli(folder, {"train", "realnvp-2d", "--data", data, "--out", run, "--couplings", "2",
                       "--hidden-units", "8", "--epochs", "1", "--threads", "1"});
  BOOST_TEST_REQUIRE(trained.status == 0, trained.err);
  const std::string picture = folder.file("s.png");
  BOOST_TEST_REQUIRE(flowcli(folder, {"sample", run, "-n", "300", "--out", picture}).status == 0);
  const nf::Tensor pixels = nf::data::read_png(picture);
  const auto levels = pixels.to_vector<std::uint8_t>();
  std::int64_t left = 512, right = 0;
  for (std::int64_t i = 0; i < std::ssize(levels); ++i) {
    if (levels[static_cast<std::size_t>(i)] < 60) continue;  // dark where there is no point
    left = std::min(left, i % pixels.dim(1));
    right = std::max(right, i % pixels.dim(1));
  }
  BOOST_TEST(right - left > 400);
  BOOST_TEST(flowcli(folder, {"report", run}).status == 0);
  BOOST_TEST(slurp(run + "/report.html").find("A curve needs a second epoch") != std::string::npos);
}

// The density of whole numbers is drawn without the noise that spreads them over their unit.
BOOST_AUTO_TEST_CASE(a_picture_of_whole_numbers_has_no_noise) {
  const ScratchFolder folder;
  const std::string run = folder.file("run"), data = folder.file("whole.csv");
  nf::Generator gen(4);
  const auto values =
      (nf::normal(gen, {2000, 2}) * 3.0).to(nf::DType::I32).to_vector<std::int32_t>();
  std::ofstream table(data);
  table << "a,b\n";
  for (std::size_t i = 0; i < values.size(); i += 2)
    table << values[i] << ',' << values[i + 1] << '\n';
  table.close();
  // As good as untrained: a Gaussian.
  BOOST_TEST_REQUIRE(
      flowcli(folder, {"train", "realnvp-2d", "--data", data, "--types", "a=integer,b=integer",
                       "--out", run, "--steps", "1", "--hidden-units", "4", "--lr", "1e-9"})
          .status == 0);
  BOOST_TEST_REQUIRE(flowcli(folder, {"plot", run, "--size", "64"}).status == 0);
  const nf::Tensor picture = nf::data::read_png(run + "/plot/density.png").to(nf::DType::F32);
  int turns = 0;
  for (std::int64_t row = 0; row < 64; ++row) {
    const auto levels = picture.narrow(0, row, 1).to_vector<float>();
    float before = 0;
    for (std::size_t i = 1; i < levels.size(); ++i) {
      const float step = levels[i] - levels[i - 1];
      turns += step * before < 0 ? 1 : 0;
      before = step != 0 ? step : before;
    }
  }
  BOOST_TEST(turns <= 64, turns);  // up and down again in each row
}

// A map of hardly any training is told from the data; one that fits is not.
BOOST_AUTO_TEST_CASE(samples_are_compared_with_data) {
  const ScratchFolder folder;
  const std::string run = folder.file("run"), data = folder.file("own.npy");
  std::vector<std::string> hardly = tiny_training(run, 1);
  hardly.insert(hardly.end(), {"--lr", "1e-5"});
  BOOST_TEST_REQUIRE(flowcli(folder, hardly).status == 0);
  const auto moons = flowcli(folder, {"report", run, "--json"}).json()["two_sample"];
  BOOST_TEST(moons["samples"] == 300);
  BOOST_TEST(moons["rows"] == 300);
  BOOST_TEST(moons["permutations"] == 200);
  BOOST_TEST(moons["energy_distance"].get<double>() > 0.01);
  BOOST_TEST(moons["p_value"].get<double>() < 0.01);
  BOOST_TEST(flowcli(folder, {"report", run, "--json"}).json()["two_sample"] == moons);
  // Standardising makes a Gaussian standard normal: the couplings begin as nearly the identity.
  nf::Generator gen(4);
  nf::data::write_npy(data, nf::normal(gen, {15000, 2}) * 3.0 + 100.0);
  BOOST_TEST_REQUIRE(flowcli(folder, {"train", "realnvp-2d", "--data", data, "--out", run,
                                      "--steps", "10", "--hidden-units", "4", "--overwrite"})
                         .status == 0);
  const Outcome fits = flowcli(folder, {"report", run, "--json"});
  BOOST_TEST(fits.json()["two_sample"]["p_value"].get<double>() > 0.05, fits.out);
  BOOST_TEST(fits.json()["two_sample"]["samples"] == 1000);
  BOOST_TEST(slurp(run + "/report.html").find("energy distance") != std::string::npos);
  std::filesystem::remove(data);
  BOOST_TEST(flowcli(folder, {"report", run, "--json"}).json()["two_sample"].is_null());
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
  BOOST_TEST(html.find("a lower bound of the log probability") != std::string::npos);
  BOOST_TEST(html.find("independent dimensions reach ") != std::string::npos);
  const Outcome plotted = flowcli(folder, {"plot", run});
  BOOST_TEST(plotted.status == 2);
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
  BOOST_TEST(reported.status == 3, reported.err);  // its samples are NaN
  BOOST_TEST(reported.json()["sound"] == false);
  BOOST_TEST(reported.json()["verdict"] == "unsound");
}

// Finite weights that make NaN of everything: what can be written is written, and the status is 3.
BOOST_AUTO_TEST_CASE(nan_is_status_3_of_every_command) {
  const ScratchFolder folder;
  const std::string run = folder.file("run"), weights = run + "/best.safetensors";
  BOOST_TEST_REQUIRE(flowcli(folder, tiny_training(run, 1)).status == 0);
  const auto trained = nf::nn::load_safetensors(weights).tensors;
  const auto save_with = [&](const std::string& prefix, float value) {
    nf::nn::StateDict broken;
    for (const auto& [name, tensor] : trained) {
      const bool hit = name.starts_with(prefix) && tensor.dtype() == nf::DType::F32;
      broken.emplace_back(name, hit ? nf::Tensor::full(tensor.shape(), value) : tensor);
    }
    nf::nn::save_safetensors(weights, broken);
  };
  struct Row {
    const char* prefix;
    float value;
    std::vector<std::string> call;
    std::string says;
    bool writes = false;
  };
  const Row rows[] = {
      {"couplings.", 1e30F, {"eval", run}, "[eval] the model gives NaN"},
      {"couplings.", 1e30F, {"check", run}, "[check] layer"},
      {"couplings.", 1e30F, {"plot", run}, "NaN"},
      {"couplings.", 1e30F, {"report", run}, "[report] the model gives NaN", true},
      {"scaling.", -200, {"check", run}, "[check] in f32 the map or its inverse is NaN"},
      {"scaling.", -200, {"plot", run}, "[plot] some of the 20000 samples are NaN or infinite"},
      {"scaling.", -200, {"report", run}, "samples are NaN or infinite", true},
      {"scaling.", -800, {"spectrum", run}, "[spectrum] exp(-s) of dimension 0 is inf"},
  };
  for (const Row& row : rows) {
    BOOST_TEST_CONTEXT(row.call[0] << " " << row.prefix) {
      save_with(row.prefix, row.value);
      std::filesystem::remove(run + "/report.html");
      const Outcome outcome = flowcli(folder, row.call);
      BOOST_TEST(outcome.status == 3, outcome.err);
      BOOST_TEST(outcome.err.find(row.says) != std::string::npos, outcome.err);
      BOOST_TEST(std::filesystem::exists(run + "/report.html") == row.writes);
      BOOST_TEST(!std::filesystem::exists(run + "/plot"));
    }
  }
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
