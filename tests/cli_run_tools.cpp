// The commands that use a trained run: score, encode, decode, interpolate, spectrum, manifold.
#include <boost/test/unit_test.hpp>
#include <cmath>

#include "cli_util.h"
#include "data/npy.h"
#include "data/png.h"
#include "tensor/ops.h"

using namespace nf::test;

BOOST_AUTO_TEST_SUITE(cli_run_tools)

namespace {

struct Row {
  std::int64_t number;
  double nats;
};

std::vector<Row> read_scores(const std::string& path) {
  std::istringstream lines(slurp(path));
  std::string line;
  std::getline(lines, line);
  BOOST_TEST(line == "row,nats,bits_per_dim,file_row");
  std::vector<Row> rows;
  while (std::getline(lines, line)) {
    rows.push_back({std::stoll(line), std::stod(line.substr(line.find(',') + 1))});
  }
  return rows;
}

}  // namespace

BOOST_AUTO_TEST_CASE(rows_of_points) {
  const ScratchFolder folder;
  const std::string run = folder.file("run"), csv = folder.file("s.csv");
  BOOST_TEST_REQUIRE(flowcli(folder, tiny_training(run, 1)).status == 0);

  // An outlier in the user's own file is found, by its line there.
  std::ofstream table(folder.file("own.csv"));
  for (int i = 0; i < 30; ++i) table << 0.01 * i << "," << 0.3 << "\n";
  table << "40,-40\n0.5,0.5\n";
  table.close();
  const Outcome own = flowcli(
      folder, {"score", run, "--data", folder.file("own.csv"), "--sort", "--out", csv, "--json"});
  BOOST_TEST_REQUIRE(own.status == 0, own.err);
  BOOST_TEST(own.json()["count"] == 32);
  BOOST_TEST(own.json()["lowest"][0]["row"] == 30);
  const auto sorted = read_scores(csv);
  BOOST_TEST_REQUIRE(sorted.size() == 32U);
  BOOST_TEST(sorted[0].number == 30);
  for (std::size_t i = 1; i < sorted.size(); ++i) {
    BOOST_TEST(sorted[i - 1].nats <= sorted[i].nats);
  }

  // Whatever a far point scores, its row is whole.
  std::ofstream(folder.file("far.csv")) << "1e30,-1e30\n1e18,0\n3e38,3e38\n0.1,0.2\n";
  const Outcome far =
      flowcli(folder, {"score", run, "--data", folder.file("far.csv"), "--out", csv});
  BOOST_TEST_REQUIRE(far.status == 0, far.err);
  std::istringstream far_rows(slurp(csv));
  int far_lines = 0;
  for (std::string line; std::getline(far_rows, line); ++far_lines) {
    BOOST_TEST(std::count(line.begin(), line.end(), ',') == 3, line);
    BOOST_TEST(line.find("-nan") == std::string::npos, line);
  }
  BOOST_TEST(far_lines == 5);
  BOOST_TEST(far.out.find("-nan") == std::string::npos, far.out);

  // Their mean is what eval says.
  BOOST_TEST(flowcli(folder, {"score", run, "--out", csv}).status == 0);
  const auto scores = read_scores(csv);
  double mean = 0;
  for (const Row& row : scores) mean += row.nats / static_cast<double>(scores.size());
  const auto eval = flowcli(folder, {"eval", run, "--json"}).json();
  BOOST_TEST(mean == eval["nats"].get<double>(), boost::test_tools::tolerance(1e-5));

  // Its own training data look like the test data, a source far away does not.
  const Outcome against = flowcli(
      folder, {"score", run, "--against", "moons", "--against", folder.file("own.csv"), "--json"});
  BOOST_TEST_REQUIRE(against.status == 0, against.err);
  const nlohmann::json areas = against.json()["against"];
  BOOST_TEST(areas[0]["count"] == 300);
  BOOST_TEST(std::abs(areas[0]["auroc"].get<double>() - 0.5) < 0.1);
  BOOST_TEST(areas[1]["count"] == 32);  // a file that is not the run's own: all of it
  BOOST_TEST(areas[1]["source"] == folder.file("own.csv"));

  const std::string few = folder.file("few.npy");
  BOOST_TEST(flowcli(folder, {"score", run, "--indices", "7,2-4,7", "--out", few}).status == 0);
  const auto chosen = nf::data::read_npy(few).to_vector<double>();
  BOOST_TEST_REQUIRE(chosen.size() == 15U);
  const int expected[] = {7, 2, 3, 4, 7};
  for (int i = 0; i < 5; ++i) {
    BOOST_TEST(chosen[3 * i] == expected[i]);
    BOOST_TEST(std::abs(chosen[3 * i + 1] - scores[expected[i]].nats) < 1e-4);
  }

  const std::string svg = run + "/spectrum.svg";  // results lie with their run
  BOOST_TEST(flowcli(folder, {"spectrum", run}).status == 0);
  BOOST_TEST(slurp(svg).starts_with("<svg"));
  BOOST_TEST(slurp(svg).find(run) == std::string::npos, "a path of this machine in a picture");
  const Outcome encoded = flowcli(folder, {"encode", run, "-n", "5"});
  BOOST_TEST(encoded.status == 0);
  BOOST_TEST((encoded.out.find("decoding them is exact") != std::string::npos ||
              encoded.out.find(", of numbers up to ") != std::string::npos),
             encoded.out);
  BOOST_TEST(flowcli(folder, {"decode", run, run + "/latents.npy"}).status == 0);
  for (const char* name : {"latents.npy", "decoded.npy"}) {
    BOOST_TEST(std::filesystem::exists(run + "/" + name), name);
  }

  struct Failure {
    std::vector<std::string> call;
    std::string says;
    int status = 1;
  };
  const Failure failures[] = {
      {{"score", run, "--indices", "300"}, "rows are 0 to 299", 2},
      {{"score", run, "--indices", "3,x"}, "3,7,20-29", 2},
      {{"score", run, "--indices", "5-3"}, "backwards", 2},
      {{"score", run, "-n", "301"}, "300 test samples", 2},
      {{"score", run, "--data", "glyphs"}, "images of 28 x 28 x 1"},
      {{"score", run, "--out", "scores.txt"}, ".csv or .npy", 2},
      {{"decode", run, few}, "(N, 2)"},
      {{"interpolate", run, "-n", "3"}, "pairs", 2},
      {{"manifold", run}, "3 dimensions"},
      {{"inpaint", run}, "images", 2},
  };
  for (const Failure& failure : failures) {
    const Outcome outcome = flowcli(folder, failure.call);
    BOOST_TEST(outcome.status == failure.status, failure.says);
    BOOST_TEST(outcome.err.find(failure.says) != std::string::npos, outcome.err);
  }
}

BOOST_AUTO_TEST_CASE(images_there_and_back) {
  const ScratchFolder folder;
  const std::string run = folder.file("run");
  const Outcome trained =
      flowcli(folder, {"train",       "nice", "--data",         "glyphs", "--out",           run,
                       "--couplings", "2",    "--hidden-units", "16",     "--hidden-layers", "1",
                       "--train",     "400",  "--valid",        "100",    "--test",          "100",
                       "--epochs",    "1",    "--sample-every", "0"});
  BOOST_TEST_REQUIRE(trained.status == 0, trained.err);
  const std::string z = folder.file("z.npy"), x = folder.file("x.npy"), line = folder.file("l.npy");
  const Outcome encoded = flowcli(folder, {"encode", run, "-n", "50", "--out", z, "--json"});
  BOOST_TEST_REQUIRE(encoded.status == 0, encoded.err);
  BOOST_TEST(encoded.json()["round_trip_error"] == 0);
  BOOST_TEST(flowcli(folder, {"decode", run, z, "--out", x}).status == 0);
  BOOST_TEST(
      flowcli(folder, {"interpolate", run, "-n", "50", "--steps", "3", "--out", line}).status == 0);
  // The ends of the lines are the images themselves: 0, -, 1, 2, -, 3, ...
  const nf::Tensor images = nf::data::read_npy(x), lines = nf::data::read_npy(line);
  BOOST_TEST(images.shape() == nf::Shape({50, 28, 28, 1}));
  BOOST_TEST(lines.shape() == nf::Shape({75, 28, 28, 1}));
  for (int i = 0; i < 50; ++i) {
    const auto end = lines.narrow(0, i / 2 * 3 + i % 2 * 2, 1).to_vector<std::uint8_t>();
    BOOST_TEST((end == images.narrow(0, i, 1).to_vector<std::uint8_t>()));
  }
  for (const auto& call : std::vector<std::vector<std::string>>{
           {"score", run, "-n", "20", "--png"},
           {"manifold", run, "--rows", "2", "--out"},
           {"inpaint", run, "-n", "10", "--steps", "2", "--out"},
           {"inpaint", run, "-n", "3", "--steps", "2", "--mask", "left", "--out"}}) {
    std::vector<std::string> with_file = call;
    with_file.push_back(folder.file("p.png"));
    std::filesystem::remove(folder.file("p.png"));
    BOOST_TEST(flowcli(folder, with_file).status == 0);
    BOOST_TEST(slurp(folder.file("p.png")).starts_with("\x89PNG\r\n\x1a\n"));
  }

  // A mask of one's own: everything observed leaves the images as they are.
  const std::string mask = folder.file("mask.png"), small = folder.file("small.png");
  const nf::data::GridOptions plain = {.padding = 0};
  nf::data::write_png(mask, nf::Tensor::full({28, 28}, 255, nf::DType::U8), plain);
  nf::data::write_png(small, nf::Tensor::full({28, 27}, 255, nf::DType::U8), plain);
  const Outcome same = flowcli(folder, {"inpaint", run, "-n", "2", "--steps", "3", "--mask", mask,
                                        "--out", folder.file("i.png"), "--json"});
  BOOST_TEST_REQUIRE(same.status == 0, same.err);
  BOOST_TEST(same.json()["original_nats"] == same.json()["filled_nats"]);
  BOOST_TEST(same.json()["helped"] == false);
  for (const char* ascent : {"controlled", "paper"}) {
    const Outcome filled =
        flowcli(folder, {"inpaint", run, "-n", "2", "--steps", "20", "--mask", "left", "--ascent",
                         ascent, "--out", folder.file("i.png"), "--json"});
    BOOST_TEST_REQUIRE(filled.status == 0, filled.err);
    const auto json = filled.json();
    BOOST_TEST(json["ascent"] == ascent);
    const bool rose = json["filled_nats"].get<double>() > json["start_nats"].get<double>();
    BOOST_TEST(json["helped"] == rose);
    if (ascent == std::string("controlled")) BOOST_TEST(rose);
  }
  for (const auto& [value, says] : std::vector<std::pair<std::string, std::string>>{
           {small, "27 x 28 pixels"}, {"lefft", "'left'"}}) {
    const Outcome failed = flowcli(folder, {"inpaint", run, "-n", "2", "--mask", value});
    BOOST_TEST(failed.status == (value == small ? 1 : 2));
    BOOST_TEST(failed.err.find(says) != std::string::npos, failed.err);
  }
  // Fewer images than masks: each has another one.
  const Outcome three = flowcli(folder, {"inpaint", run, "-n", "3", "--steps", "2", "--mask", "all",
                                         "--out", folder.file("three.png")});
  BOOST_TEST(three.status == 0, three.err);
}

BOOST_AUTO_TEST_SUITE_END()
