// flowcli on models of images: the manifold of four images.
#include <boost/test/unit_test.hpp>

#include "cli_runs.h"
#include "data/npy.h"
#include "tensor/ops.h"
#include "tensor/random.h"
#include "tests/file_makers.h"

using namespace nf::test;

BOOST_AUTO_TEST_SUITE(cli_images)

namespace {

using Arguments = std::vector<std::string>;
using Pixels = std::vector<std::uint8_t>;

constexpr int kImages = 200, kSide = 8, kPixels = kSide * kSide;

Arguments joined(Arguments first, const Arguments& more) {
  first.insert(first.end(), more.begin(), more.end());
  return first;
}

/// Images of 8 x 8, of label 0, 1 and 2 in turn, brighter with each label.
struct Images {
  Images() {
    nf::Generator gen(2);
    const auto noise = nf::uniform(gen, {kImages, kPixels}).to_vector<float>();
    std::string bytes, labels;
    for (std::size_t i = 0; i < kImages; ++i) {
      labels += little(i % 3, 1);
      for (std::size_t j = 0; j < kPixels; ++j) {
        pixels.push_back(static_cast<std::uint8_t>(noise[i * kPixels + j] * 60 + 60 * (i % 3)));
        bytes += static_cast<char>(pixels.back());
      }
    }
    write(data, zip_file({{"x.npy", npy("|u1", "(200, 8, 8)", bytes)},
                          {"y.npy", npy("|u1", "(200,)", labels)}}));
  }
  void train(const std::string& model, const Arguments& more, const std::string& from = "") const {
    const Arguments call = {"train",          model, "--data",      from.empty() ? data : from,
                            "--out",          run,   "--overwrite", "--quiet",
                            "--threads",      "1",   "--steps",     "20",
                            "--batch-size",   "50",  "--lr",        "1e-2",
                            "--sample-every", "0"};
    expect_ok(flowcli(folder, joined(call, more)));
  }
  void train_realnvp(const Arguments& more = {}) const {
    train("realnvp", joined({"--levels", "3", "--width", "4", "--blocks", "0"}, more));
  }
  Outcome call(const std::string& command, const Arguments& more) const {
    return flowcli(folder, joined({command, run}, more));
  }
  /// The images that a command writes, one after the other.
  Pixels drawn(const std::string& command, const Arguments& more) const {
    expect_ok(call(command, joined(more, {"--out", npy_out, "--json"})));
    return nf::data::read_npy(npy_out).to(nf::DType::U8).to_vector<std::uint8_t>();
  }
  /// Of all images of the file.
  Pixels image(std::int64_t i) const { return cut(pixels, i); }
  static Pixels cut(const Pixels& all, std::int64_t i) {
    return {all.begin() + i * kPixels, all.begin() + (i + 1) * kPixels};
  }

  ScratchFolder folder;
  const std::string run = folder.file("run"), data = folder.file("images.npz"),
                    npy_out = folder.file("out.npy");
  Pixels pixels;
};

}  // namespace

BOOST_AUTO_TEST_CASE(a_manifold_goes_through_four_images) {
  const Images images;
  for (const Arguments& given : {Arguments{}, {"--given", "label"}}) {
    images.train_realnvp(given);
    const Arguments eight = {"--kind",    "four-point", "--data",
                             images.data, "--indices",  "3,7,10,11,0,0,1,5"};
    const Pixels grids = images.drawn("manifold", eight);
    BOOST_TEST_REQUIRE(grids.size() == 2U * 64 * kPixels);
    const std::int64_t rows[] = {3, 7, 10, 11, 0, 0, 1, 5}, corners[] = {0, 2, 16, 18};
    for (std::int64_t i = 0; i < 8; ++i) {
      BOOST_TEST((Images::cut(grids, i / 4 * 64 + corners[i % 4]) == images.image(rows[i])), i);
    }
    // Half around both ways is the same point; between the images are others.
    BOOST_TEST((Images::cut(grids, 4 * 8 + 4) == images.image(3)));
    BOOST_TEST((Images::cut(grids, 1) != images.image(3)));
  }
  const Outcome told = images.call("manifold", {"--kind", "four-point", "--json"});
  BOOST_TEST_REQUIRE(told.status == 0, told.err);
  BOOST_TEST(told.json()["samples"] == nlohmann::json::array({0, 1, 2, 3}));
  BOOST_TEST(told.json()["split"] == "test");
  BOOST_TEST((told.json()["rows"] == 8 && told.json()["columns"] == 8));
  BOOST_TEST(slurp(images.run + "/manifold.png").starts_with("\x89PNG"));
  const Arguments small = {"--kind", "four-point", "--rows", "2", "--columns", "3"};
  BOOST_TEST(images.drawn("manifold", small).size() == 6U * kPixels);

  images.train_realnvp();
  BOOST_TEST(images.drawn("manifold", {"--rows", "3", "--columns", "4"}).size() == 12U * kPixels);
  const std::pair<Arguments, std::string> failures[] = {
      {{"--kind", "four-point", "-n", "3"}, "3 rows are no multiple of 4"},
      {{"--kind", "four-point", "--seed", "1"}, "--seed would change nothing"},
      {{"--kind", "four-point", "--temperature", "0.5"}, "--temperature would change nothing"},
      {{"--kind", "sphere", "--indices", "1,2,3,4"}, "--indices would change nothing"},
      {{"--kind", "torus"}, "torus"}};
  for (const auto& [more, says] : failures) {
    expect_failure(images.call("manifold", more), {says}, 2);
  }
}

BOOST_AUTO_TEST_SUITE_END()
