// flowcli on models of images: the manifold of four images, other sizes, coarse latents alone,
// images decoded as something else.
#include <sys/resource.h>

#include <boost/test/unit_test.hpp>

#include "cli_runs.h"
#include "data/npy.h"
#include "tensor/ops.h"
#include "tensor/random.h"
#include "tests/addresses.h"
#include "tests/picture_makers.h"

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
    return flowcli(folder, joined({command, run, "--threads", "1"}, more));
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

/// What a program does first, to have so many MiB of addresses.
auto limited_to(rlim_t megabytes) {
  return [bytes = megabytes << 20] {
    const rlimit limit = {bytes, bytes};
    setrlimit(RLIMIT_AS, &limit);
  };
}

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
    // Half around both ways is the same point, but for rounding.
    for (std::int64_t i = 0; i < 32; ++i) {
      const Pixels here = Images::cut(grids, i);
      const Pixels there = Images::cut(grids, 32 + i / 8 * 8 + (i + 4) % 8);
      int off = 0;
      for (std::size_t j = 0; j < here.size(); ++j) {
        off = std::max(off, std::abs(here[j] - there[j]));
      }
      BOOST_TEST(off <= 1, "point " << i << ": " << off);
    }
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

BOOST_AUTO_TEST_CASE(samples_have_other_sizes) {
  const Images images;
  for (const Arguments& norm : {Arguments{}, {"--norm", "batch", "--masked", "true"}}) {
    images.train_realnvp(norm);
    const Arguments five = {"-n", "5", "--temperature", "0.7", "--seed", "3"};
    const Pixels plain = images.drawn("sample", five);
    BOOST_TEST((images.drawn("sample", joined(five, {"--size", "1x"})) == plain));
    BOOST_TEST((images.drawn("sample", joined(five, {"--size", "8x8"})) == plain));
    const struct {
      std::string size;
      nf::Shape shape;
    } sizes[] = {{"2x", {16, 16, 16, 1}}, {"10x", {1, 80, 80, 1}}, {"8x24", {21, 8, 24, 1}}};
    for (const auto& [size, shape] : sizes) {
      const Outcome drawn =
          images.call("sample", {"--size", size, "--out", images.npy_out, "--json"});
      BOOST_TEST_REQUIRE(drawn.status == 0, drawn.err);
      BOOST_TEST(nf::data::read_npy(images.npy_out).shape() == shape, size);
      BOOST_TEST(drawn.json()["height"] == shape.dim(1));
      BOOST_TEST(drawn.json()["count"] == shape.dim(0));
    }
  }
  const std::pair<std::string, std::string> failures[] = {
      {"17x", "'17x' is more than 16 times 8 x 8"},
      {"8x136", "more than 16 times"},
      {"12x16", "12 x 16: the model halves its images, so height and width must be multiples of 8"},
      {"0x", "'0x' is no size"},
      {"x2", "'x2' is no size"},
      {"2", "'2' is no size"},
      {"8x8x", "'8x8x' is no size"},
      {"big", "say 2x, or HEIGHTxWIDTH"}};
  for (const auto& [size, says] : failures) {
    expect_failure(images.call("sample", {"--size", size}), {"[size]", says}, 2);
  }
  images.train_realnvp({"--preprocess", "cdf"});
  expect_failure(images.call("sample", {"--size", "2x"}),
                 {"[size] layer cdf (LevelCdf(64)) has numbers of its own for each of the 8 x 8"},
                 2);
  images.train("nice", {"--hidden-units", "8", "--hidden-layers", "1", "--couplings", "2"});
  expect_failure(images.call("sample", {"--size", "2x"}), {"Linear(", "for each of the 8 x 8"}, 2);
  images.train_realnvp({"--given", "label"});
  BOOST_TEST(images.drawn("sample", {"--size", "2x"}).size() == 3U * 2 * 4 * kPixels);
  const std::string table = images.folder.file("table");
  expect_ok(flowcli(images.folder, joined(tiny_training(table, 1), {"--quiet"})));
  expect_failure(flowcli(images.folder, {"sample", table, "--size", "2x"}), {"no model of images"},
                 2);
}

BOOST_AUTO_TEST_CASE(images_that_are_too_large_are_refused_first,
                     *boost::unit_test::precondition(addresses_can_be_limited)) {
  const Images images;
  images.train("realnvp", {"--levels", "1", "--width", "512", "--blocks", "0"});
  const Arguments call = {"sample", images.run, "--size", "16x", "-n", "1", "--threads", "1"};
  expect_failure(flowcli(images.folder, call, "", limited_to(150)),
                 {"[memory] an image of 128 x 128 needs", "give a smaller --size"});
}

BOOST_AUTO_TEST_CASE(manifolds_that_are_too_large_are_refused_first,
                     *boost::unit_test::precondition(addresses_can_be_limited)) {
  const Images images;
  images.train_realnvp();
  const Arguments grid = {"--rows", "1000", "--columns", "1000", "--out", images.npy_out};
  for (const char* kind : {"sphere", "four-point"}) {
    const Arguments call = joined({"manifold", images.run, "--kind", kind, "--threads", "1"}, grid);
    expect_failure(flowcli(images.folder, call, "", limited_to(700)),
                   {"[memory] 1000000 samples needs", "take fewer --rows"});
  }
}

BOOST_AUTO_TEST_CASE(ascents_that_are_too_large_are_refused_first,
                     *boost::unit_test::precondition(addresses_can_be_limited)) {
  const Images images;
  images.train("realnvp", {"--levels", "1", "--width", "512", "--blocks", "0"});
  const Arguments call = {"inpaint", images.run,  "-n", "200",    "--split",
                          "all",     "--threads", "1",  "--quiet"};
  expect_failure(flowcli(images.folder, call, "", limited_to(115)),
                 {"[memory] the ascent of 200 images needs", "take fewer with -n"});
}

BOOST_AUTO_TEST_CASE(latents_beyond_f32_are_refused) {
  const Images images;
  images.train_realnvp();
  const std::string latents = images.folder.file("far.npy");
  nf::Tensor z = nf::Tensor::zeros({1, kPixels}, nf::DType::F64);
  z.mutable_data<double>()[0] = 1e300;
  nf::data::write_npy(latents, z);
  expect_failure(flowcli(images.folder, {"decode", images.run, latents}),
                 {"far.npy' holds numbers that are not finite, or beyond those of 32 bits"});
}

BOOST_AUTO_TEST_CASE(pictures_keep_their_coarse_latents) {
  const Images images;
  images.train_realnvp();
  const Arguments rows = {"--data", images.data, "--indices", "2,3,5"};
  const Outcome told = images.call("compress-latents", joined(rows, {"--json"}));
  BOOST_TEST_REQUIRE(told.status == 0, told.err);
  BOOST_TEST(told.json()["rows"] == nlohmann::json::parse(R"(["data", {"latents": 64, "of": 64},
      {"latents": 32, "of": 64}, {"latents": 16, "of": 64}])"));
  BOOST_TEST(slurp(images.run + "/compressed.png").starts_with("\x89PNG"));

  const Pixels zeros = images.drawn("compress-latents", joined(rows, {"--rest", "zero"}));
  const Pixels noise = images.drawn("compress-latents", rows);
  BOOST_TEST((images.drawn("compress-latents", joined(rows, {"--seed", "0"})) == noise));
  BOOST_TEST((images.drawn("compress-latents", joined(rows, {"--seed", "1"})) != noise));
  BOOST_TEST((images.drawn("compress-latents", joined(rows, {"--temperature", "0"})) == zeros));
  BOOST_TEST_REQUIRE(zeros.size() == 4U * 3 * kPixels);
  const std::int64_t of[] = {2, 3, 5};
  for (std::int64_t i = 0; i < 3; ++i) {
    for (const Pixels& all : {zeros, noise}) {
      BOOST_TEST((Images::cut(all, i) == images.image(of[i])), i);      // the data
      BOOST_TEST((Images::cut(all, 3 + i) == images.image(of[i])), i);  // all latents
      BOOST_TEST((Images::cut(all, 6 + i) != images.image(of[i])), i);
    }
  }
  // The same by hand: the first latents of a row, then zeros.
  expect_ok(images.call("encode", joined(rows, {"--out", images.npy_out})));
  const nf::Tensor z = nf::data::read_npy(images.npy_out);
  for (const std::int64_t kept : {32, 16}) {
    nf::Tensor some = z.clone();
    some.narrow(1, kept, kPixels - kept).fill_(0);
    const std::string file = images.folder.file("some.npy");
    nf::data::write_npy(file, some);
    const Pixels decoded = images.drawn("decode", {file});
    const std::int64_t row = kept == 32 ? 2 : 3;
    for (std::int64_t i = 0; i < 3; ++i) {
      BOOST_TEST((Images::cut(zeros, row * 3 + i) == Images::cut(decoded, i)), kept);
    }
  }
  expect_failure(images.call("compress-latents", {"--rest", "zero", "--seed", "1"}),
                 {"--seed would change nothing"}, 2);
  expect_failure(images.call("compress-latents", {"--out", "a.csv"}), {".png or .npy"}, 2);
  images.train("nice", {"--hidden-units", "8", "--hidden-layers", "1", "--couplings", "2"});
  expect_failure(images.call("compress-latents", {}), {"has one scale"}, 2);
}

BOOST_AUTO_TEST_CASE(images_are_decoded_with_another_label) {
  const Images images;
  images.train_realnvp({"--given", "label"});
  const Arguments rows = {"--data", images.data, "--indices", "0,1,2,7"};
  const std::int64_t of[] = {0, 1, 2, 7};
  const Outcome told = images.call("attributes", joined(rows, {"--json"}));
  BOOST_TEST_REQUIRE(told.status == 0, told.err);
  BOOST_TEST(told.json()["rows"] ==
             nlohmann::json::parse(R"(["data", {"label": 0}, {"label": 1}, {"label": 2}])"));
  const Pixels all = images.drawn("attributes", rows);
  BOOST_TEST_REQUIRE(all.size() == 4U * 4 * kPixels);
  for (std::int64_t i = 0; i < 4; ++i) {
    BOOST_TEST((Images::cut(all, i) == images.image(of[i])));
    for (std::int64_t label = 0; label < 3; ++label) {
      const bool same = Images::cut(all, (label + 1) * 4 + i) == images.image(of[i]);
      BOOST_TEST(same == (of[i] % 3 == label), "image " << of[i] << " as " << label);
    }
  }
  // One row, as encode and decode have it.
  const Pixels one = images.drawn("attributes", joined(rows, {"--given", "label=1"}));
  BOOST_TEST_REQUIRE(one.size() == 2U * 4 * kPixels);
  const std::string z = images.folder.file("z.npy");
  expect_ok(images.call("encode", joined(rows, {"--out", z})));
  BOOST_TEST((Pixels(one.begin() + 4 * kPixels, one.end()) ==
              images.drawn("decode", {z, "--given", "1"})));
  expect_failure(images.call("attributes", {"--given", "label=3"}), {"label 3 is none"}, 2);
  expect_failure(images.call("attributes", {"--given", "all", "--given", "1"}), {"all"}, 2);
  images.train_realnvp();
  expect_failure(images.call("attributes", {}), {"is no conditional model"}, 2);
  const std::string table = images.folder.file("table");
  expect_ok(flowcli(images.folder, joined(tiny_training(table, 1), {"--quiet"})));
  expect_failure(flowcli(images.folder, {"attributes", table}), {"is no model of images"}, 2);
}

// Columns of attributes.csv: one of two values, one of many.
BOOST_AUTO_TEST_CASE(images_are_decoded_with_one_attribute_changed) {
  const Images images;
  const std::string pictures = images.folder.file("pictures");
  std::filesystem::create_directory(pictures);
  std::string table = "file,smile,age\n";
  for (int i = 0; i < 60; ++i) {
    const Pixels pixels = images.image(i);
    const std::string name = std::to_string(i) + ".png";
    write(pictures + "/" + name,
          png_file(kSide, kSide, kGray, 8, std::string(pixels.begin(), pixels.end())));
    table += name + "," + std::to_string(i % 2) + "," + std::to_string(i) + "\n";
  }
  write(pictures + "/attributes.csv", table);
  images.train("glow",
               {"--given", "smile,age", "--levels", "2", "--steps-per-level", "1", "--width", "4"},
               pictures);
  const Outcome told = images.call("attributes", {"-n", "4", "--json"});
  BOOST_TEST_REQUIRE(told.status == 0, told.err);
  BOOST_TEST(
      told.json()["rows"] ==
      nlohmann::json::parse(R"(["data", {"smile": 0}, {"smile": 1}, {"age": 6}, {"age": 53}])"));
  const Pixels all = images.drawn("attributes", {"-n", "4"});
  BOOST_TEST_REQUIRE(all.size() == 5U * 4 * kPixels);
  int same = 0;
  for (std::int64_t i = 0; i < 4; ++i) {  // each smiles or does not
    const Pixels data = Images::cut(all, i);
    const bool no = Images::cut(all, 4 + i) == data, yes = Images::cut(all, 8 + i) == data;
    BOOST_TEST(no != yes);
    same += no ? 1 : 0;
  }
  BOOST_TEST((same > 0 && same < 4));
  const Outcome chosen = images.call(
      "attributes", {"-n", "2", "--given", "age=3", "--given", "smile=1,age=40", "--json"});
  BOOST_TEST_REQUIRE(chosen.status == 0, chosen.err);
  BOOST_TEST(chosen.json()["rows"] ==
             nlohmann::json::parse(R"(["data", {"age": 3}, {"smile": 1, "age": 40}])"));
  for (const auto& [given, says] : {std::pair{"old=1", "not given 'old'"},
                                    {"age", "'age' is not NAME=VALUE"},
                                    {"age=1,age=2", "age stands twice"}}) {
    expect_failure(images.call("attributes", {"-n", "2", "--given", given}), {"[given]", says}, 2);
  }
}

BOOST_AUTO_TEST_SUITE_END()
