// The C interface: the numbers of flowcli for the same run, and a status for whatever a caller gets
// wrong.
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>

#include "c/nf.h"
#include "c_runs.h"
#include "data/npy.h"
#include "tensor/ops.h"

using namespace nf::test;
using nf::DType;
using nf::Tensor;

BOOST_AUTO_TEST_SUITE(c_interface)

namespace {

// A message has all of `says`, in one line.
void expect_status(int status, int expected, const std::vector<std::string>& says) {
  const std::string message = nf_last_error();
  BOOST_TEST(status == expected, "status " << status << ": " << message);
  BOOST_TEST(message.find('\n') == std::string::npos, message);
  for (const std::string& text : says) {
    BOOST_TEST(message.find(text) != std::string::npos, text << " not in: " << message);
  }
}

double largest_difference(const std::vector<double>& a, const Tensor& b) {
  const std::vector<double> other = b.to(DType::F64).to_vector<double>();
  BOOST_TEST_REQUIRE(a.size() == other.size());
  double most = 0;
  for (std::size_t i = 0; i < a.size(); ++i) most = std::max(most, std::abs(a[i] - other[i]));
  return most;
}

// Column `j` of (N, C).
Tensor column(const Tensor& table, std::int64_t j) {
  return table.narrow(1, j, 1).contiguous().reshape({table.dim(0)});
}

Tensor npy(const CRun& run, std::vector<std::string> words) {
  const std::string out = run.folder.file("out.npy");
  words.insert(words.begin() + 1, run.path);
  words.insert(words.end(), {"--out", out, "--threads", "1"});
  const Outcome outcome = flowcli(run.folder, words);
  BOOST_TEST_REQUIRE(outcome.status == 0, outcome.err);
  return nf::data::read_npy(out);
}

}  // namespace

// Bit for bit: both go through the same functions, on as many rows at a time.
BOOST_AUTO_TEST_CASE(the_numbers_of_flowcli) {
  for (const CRun::Kind kind : CRun::kinds()) {
    const CRun run(kind);
    BOOST_TEST_CONTEXT(run.name) {
      Handle model(run.path);
      const std::int64_t d = model.number(NF_DIMS), n = run.rows.dim(0);
      std::vector<double> x = run.rows.to_vector<double>(), given = run.given_values();
      const nf_array rows = dense(x, n, d);
      const nf_array beside = dense(given, n, run.given_count());
      const nf_array* const with = run.given_count() > 0 ? &beside : nullptr;

      std::vector<double> nats(static_cast<std::size_t>(n));
      expect_ok(nf_log_prob(model, &rows, with, nats.data()));
      BOOST_TEST(largest_difference(nats, column(npy(run, {"score", "--data", run.data}), 1)) == 0);

      std::vector<double> z(x.size()), back(x.size());
      const nf_array latents = dense(z, n, d), decoded = dense(back, n, d);
      expect_ok(nf_encode(model, &rows, with, &latents));
      const Tensor told = npy(run, {"encode", "--data", run.data}).reshape({n, d});
      BOOST_TEST(largest_difference(z, told) == 0);
      expect_ok(nf_decode(model, &latents, with, &decoded));
      for (std::size_t i = 0; i < x.size(); ++i) {
        BOOST_TEST(std::abs(back[i] - x[i]) <= run.tolerance * std::max(1.0, std::abs(x[i])));
      }

      std::vector<double> drawn(static_cast<std::size_t>(25 * d));
      const nf_array samples = dense(drawn, 25, d);
      std::vector<double> one = given;
      one.resize(static_cast<std::size_t>(run.given_count()));
      const nf_array one_given = dense(one, 1, run.given_count());
      expect_ok(nf_sample(model, 3, 0.7, with ? &one_given : nullptr, &samples));
      std::vector<std::string> words = {"sample",        "-n", "25", "--seed", "3",
                                        "--temperature", "0.7"};
      if (with) words.insert(words.end(), {"--given", run.given_text()});
      BOOST_TEST(largest_difference(drawn, npy(run, words)) == 0);
    }
  }
}

BOOST_AUTO_TEST_CASE(what_a_model_is) {
  const CRun table(CRun::Kind::Table), pixels(CRun::Kind::Pixels), labels(CRun::Kind::Given);
  Handle t(table.path), p(pixels.path), g(labels.path);
  BOOST_TEST(t.number(NF_DIMS) == table.rows.dim(1));
  BOOST_TEST(t.number(NF_HEIGHT) == 0);
  BOOST_TEST(t.number(NF_LEVELS) == 0);
  BOOST_TEST(t.number(NF_GIVEN) == 0);
  BOOST_TEST(t.number(NF_NOISE) == 0);
  BOOST_TEST(t.number(NF_LATENTS) == 1);
  BOOST_TEST(t.number(NF_LATENT_DIMS) == t.number(NF_DIMS));
  BOOST_TEST(t.number(NF_PARAMETERS) > 100);
  BOOST_TEST(t.text(NF_PATH) == table.path);
  BOOST_TEST(p.number(NF_HEIGHT) * p.number(NF_WIDTH) * p.number(NF_CHANNELS) == p.number(NF_DIMS));
  BOOST_TEST(p.number(NF_LEVELS) == 256);
  BOOST_TEST(p.number(NF_NOISE) == 1);
  BOOST_TEST(g.text(NF_MODEL) == "realnvp-2d");
  BOOST_TEST(g.number(NF_GIVEN) == 1);
  BOOST_TEST(g.number(NF_GIVEN_CLASSES) == 0);
  BOOST_TEST(g.text(NF_GIVEN_NAME) == "a");
  BOOST_TEST(g.text(NF_COLUMN, 1) == "y");
  BOOST_TEST(std::string(nf_version()).find("0.") == 0u);
}

// f32, columns first, backwards, with gaps, at odd addresses, and written over: the same numbers.
BOOST_AUTO_TEST_CASE(rows_wherever_they_lie) {
  const CRun run(CRun::Kind::Table);
  Handle model(run.path);
  const std::int64_t n = 7, d = model.number(NF_DIMS);
  const Tensor small = run.rows.narrow(0, 0, n).to(DType::F32).to(DType::F64);
  std::vector<double> x = small.contiguous().to_vector<double>(), expected(7), nats(7);
  const nf_array rows = dense(x, n, d);
  expect_ok(nf_log_prob(model, &rows, nullptr, expected.data()));

  std::vector<std::byte> memory(4096);
  struct Case {
    const char* name;
    std::int32_t type;
    std::int64_t first, row_stride, column_stride;
  };
  const std::int64_t size = sizeof(double), half = sizeof(float);
  const Case cases[] = {{"f32", NF_F32, 0, half * d, half},
                        {"columns first", NF_F64, 0, size, size * n},
                        {"backwards", NF_F64, size * (n * d - 1), -size * d, -size},
                        {"with gaps", NF_F32, 0, 200, 12},
                        {"at odd addresses", NF_F64, 1, size * d + 1, size}};
  for (const Case& c : cases) {
    for (std::int64_t i = 0; i < n; ++i) {
      for (std::int64_t j = 0; j < d; ++j) {
        std::byte* const at = memory.data() + c.first + i * c.row_stride + j * c.column_stride;
        const double value = x[static_cast<std::size_t>(i * d + j)];
        const auto narrow = static_cast<float>(value);
        c.type == NF_F32 ? std::memcpy(at, &narrow, sizeof narrow)
                         : std::memcpy(at, &value, sizeof value);
      }
    }
    const nf_array strided = {.data = memory.data() + c.first,
                              .rows = n,
                              .columns = d,
                              .row_stride = c.row_stride,
                              .column_stride = c.column_stride,
                              .type = c.type};
    expect_ok(nf_log_prob(model, &strided, nullptr, nats.data()));
    BOOST_TEST(nats == expected, c.name << boost::test_tools::per_element());
    expect_ok(nf_encode(model, &strided, nullptr, &strided));  // over itself
    expect_ok(nf_decode(model, &strided, nullptr, &strided));
    expect_ok(nf_log_prob(model, &strided, nullptr, nats.data()));
    for (std::size_t i = 0; i < nats.size(); ++i) {
      BOOST_TEST(std::abs(nats[i] - expected[i]) < 1e-2, c.name << ": " << nats[i]);
    }
  }
}

BOOST_AUTO_TEST_CASE(numbers_that_are_not_finite) {
  const CRun run(CRun::Kind::Given);
  Handle model(run.path);
  const double nan = std::numeric_limits<double>::quiet_NaN(),
               infinity = std::numeric_limits<double>::infinity();
  std::vector<double> x = run.rows.narrow(0, 0, 4).contiguous().to_vector<double>(), expected(4),
                      nats(4), given = {0.5, 0.1, -1, 0};
  nf_array rows = dense(x, 4, 2);
  nf_array beside = dense(given, 4, 1);
  expect_ok(nf_log_prob(model, &rows, &beside, expected.data()));
  x[1] = nan;
  x[4] = -infinity;
  given[3] = nan;
  expect_ok(nf_log_prob(model, &rows, &beside, nats.data()));
  for (const std::size_t i : {0, 2, 3}) BOOST_TEST(std::isnan(nats[i]));
  BOOST_TEST(nats[1] == expected[1]);
  std::vector<double> z(8);
  const nf_array latents = dense(z, 4, 2);
  expect_status(nf_encode(model, &rows, &beside, &latents), NF_USAGE, {"[nf_encode] given: row 3"});
  given[3] = 0;
  expect_status(nf_encode(model, &rows, &beside, &latents), NF_USAGE, {"[nf_encode] x: row 0"});
  expect_status(nf_decode(model, &rows, &beside, &latents), NF_USAGE, {"[nf_decode] z: row 0"});
  given[0] = infinity;
  beside.rows = 1;  // one for all
  expect_ok(nf_log_prob(model, &rows, &beside, nats.data()));
  for (const double value : nats) BOOST_TEST(std::isnan(value));
}

BOOST_AUTO_TEST_CASE(runs_that_are_none) {
  const ScratchFolder folder;
  const CRun run(CRun::Kind::Table);
  nf_model* model = nullptr;
  const auto open = [&](const std::string& path, const nf_options* options) {
    const int status = nf_open(path.c_str(), options, &model);
    BOOST_TEST(!model);
    return status;
  };
  expect_status(open(folder.file("nothing"), nullptr), NF_FAILED, {"is not a run folder"});
  expect_status(open(folder.file("a\nb\x1b"), nullptr), NF_FAILED,
                {"is not a run folder", "\\x1b"});
  expect_status(open(std::string(100'000, 'a'), nullptr), NF_FAILED, {"is not a run folder"});
  expect_status(open("", nullptr), NF_USAGE, {"path", "empty"});
  expect_status(nf_open(nullptr, nullptr, &model), NF_USAGE, {"path", "NULL"});
  expect_status(nf_open(run.path.c_str(), nullptr, nullptr), NF_USAGE, {"NULL"});

  nf_options options = {};
  expect_status(open(run.path, &options), NF_USAGE, {"options.size is 0", "sizeof"});
  options.size = sizeof options;
  options.weights = "newest";
  expect_status(open(run.path, &options), NF_USAGE, {"best or last", "newest"});
  options.weights = nullptr;
  options.noise_draws = -1;
  expect_status(open(run.path, &options), NF_USAGE, {"noise_draws is -1"});
  struct {
    nf_options known;
    std::int64_t more;
  } newer = {{.size = sizeof newer, .weights = nullptr, .noise_draws = 0, .importance = 0}, 0};
  nf_model* opened = nullptr;
  expect_ok(nf_open(run.path.c_str(), &newer.known, &opened));
  expect_ok(nf_close(opened));
  newer.more = 1;
  expect_status(open(run.path, &newer.known), NF_USAGE, {"newer nf.h"});

  // A file that was cut short on its way.
  namespace fs = std::filesystem;
  const std::string damaged = folder.file("damaged");
  fs::copy(run.path, damaged, fs::copy_options::recursive);
  std::string bytes = slurp(damaged + "/best.safetensors");
  bytes.pop_back();
  std::ofstream(damaged + "/best.safetensors", std::ios::binary) << bytes;
  expect_status(open(damaged, nullptr), NF_FAILED, {"best.safetensors"});
  fs::remove(damaged + "/best.safetensors");
  expect_status(open(damaged, nullptr), NF_FAILED, {"has lost its best weights"});
}

namespace {

constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max(),
                       kLeast = std::numeric_limits<std::int64_t>::min();

struct WrongArray {
  const char* says;
  void (*change)(nf_array&);
};
const WrongArray kWrongArrays[] = {
    {".data is NULL", [](nf_array& a) { a.data = nullptr; }},
    {".type is 3", [](nf_array& a) { a.type = 3; }},
    {".type is -1", [](nf_array& a) { a.type = -1; }},
    {".rows is -1", [](nf_array& a) { a.rows = -1; }},
    {".rows is 9223372036854775807", [](nf_array& a) { a.rows = kMost; }},
    {".rows is -9223372036854775808", [](nf_array& a) { a.rows = kLeast; }},
    {"columns, where the model takes 2", [](nf_array& a) { a.columns = 3; }},
    {"columns, where the model takes 2", [](nf_array& a) { a.columns = kLeast; }},
    {"lead out of memory", [](nf_array& a) { a.row_stride = kMost; }},
    {"lead out of memory", [](nf_array& a) { a.row_stride = kLeast; }},
    {"lead out of memory", [](nf_array& a) { a.column_stride = kLeast; }},
};

}  // namespace

BOOST_AUTO_TEST_CASE(hostile_arrays) {
  const CRun run(CRun::Kind::Given);
  Handle model(run.path);
  std::vector<double> x(8, 0.5), out(8), given(4, 0.5), nats(4);
  const nf_array right = dense(x, 4, 2), room = dense(out, 4, 2), beside = dense(given, 4, 1);
  for (const WrongArray& wrong : kWrongArrays) {
    nf_array bad = right;
    wrong.change(bad);
    expect_status(nf_log_prob(model, &bad, &beside, nats.data()), NF_USAGE, {"x", wrong.says});
    expect_status(nf_encode(model, &bad, &beside, &room), NF_USAGE, {"x", wrong.says});
    expect_status(nf_decode(model, &bad, &beside, &room), NF_USAGE, {"z", wrong.says});
    expect_status(nf_encode(model, &right, &beside, &bad), NF_USAGE, {"z", wrong.says});
    expect_status(nf_decode(model, &right, &beside, &bad), NF_USAGE, {"x", wrong.says});
    expect_status(nf_sample(model, 0, 1, nullptr, &bad), NF_USAGE, {"x", wrong.says});
  }
  nf_array lying = room;
  lying.column_stride = 0;
  lying.row_stride = 8;
  expect_status(nf_encode(model, &right, &beside, &lying), NF_USAGE, {"over each other"});
  for (const auto& [row, column] : {std::pair{8, 8}, {16, 4}, {-8, 16}, {4, 64}}) {
    lying.row_stride = row;
    lying.column_stride = column;
    expect_status(nf_encode(model, &right, &beside, &lying), NF_USAGE, {"over each other"});
  }
  lying = room;
  lying.type = NF_U8;
  expect_status(nf_encode(model, &right, &beside, &lying), NF_USAGE, {"no pixels"});
  lying = room;
  lying.rows = 3;
  expect_status(nf_encode(model, &right, &beside, &lying), NF_USAGE, {"3 rows for 4"});

  nf_array few = beside;
  few.rows = 3;
  expect_status(nf_log_prob(model, &right, &few, nats.data()), NF_USAGE,
                {"given has 3 rows for 4"});
  expect_status(nf_log_prob(model, &right, nullptr, nats.data()), NF_USAGE, {"conditional", "a"});
  expect_status(nf_log_prob(model, &right, &right, nats.data()), NF_USAGE, {"given has 2 columns"});
  expect_status(nf_log_prob(model, &right, &beside, nullptr), NF_USAGE, {"NULL"});
  expect_status(nf_log_prob(model, nullptr, &beside, nats.data()), NF_USAGE, {"x is NULL"});
  expect_status(nf_sample(model, 0, 1, &beside, nullptr), NF_USAGE, {"x is NULL"});
  for (const double t : {-1.0, std::nan(""), std::numeric_limits<double>::infinity()}) {
    expect_status(nf_sample(model, 0, t, &beside, &room), NF_USAGE, {"temperature"});
  }
  nf_array nothing = right;
  nothing.rows = 0;
  nothing.data = nullptr;
  expect_ok(nf_log_prob(model, &nothing, &beside, nullptr));
  expect_ok(nf_sample(model, 0, 1, nullptr, &nothing));
  expect_ok(nf_encode(model, &nothing, nullptr, &nothing));
  expect_ok(nf_decode(model, &nothing, nullptr, &nothing));
}

BOOST_AUTO_TEST_CASE(hostile_calls) {
  const CRun run(CRun::Kind::Pixels);
  Handle model(run.path);
  std::int64_t value = 0;
  const char* text = nullptr;
  for (const int what : {-1, 12, 1 << 30}) {
    expect_status(nf_number(model, what, &value), NF_USAGE, {"there is no number"});
    expect_status(nf_text(model, what, 0, &text), NF_USAGE, {"there is no text"});
  }
  expect_status(nf_number(model, NF_DIMS, nullptr), NF_USAGE, {"NULL"});
  expect_status(nf_text(model, NF_MODEL, 0, nullptr), NF_USAGE, {"NULL"});
  for (const std::int64_t index : {std::int64_t{1}, std::int64_t{-1}, kMost, kLeast}) {
    expect_status(nf_text(model, NF_MODEL, index, &text), NF_USAGE, {"index", "of 1 text"});
    expect_status(nf_text(model, NF_GIVEN_NAME, index, &text), NF_USAGE, {"of 0 texts"});
  }
  std::vector<double> x(static_cast<std::size_t>(model.number(NF_DIMS)), 7), nats(1);
  const nf_array rows = dense(x, 1, std::ssize(x));
  for (const double pixel : {-1.0, 256.0, 0.5, std::nan(""), 1e300}) {
    x[1] = pixel;
    expect_status(nf_log_prob(model, &rows, nullptr, nats.data()), NF_USAGE,
                  {"row 0, column 1", "whole numbers from 0 to 255"});
  }
  x[1] = 7;
  expect_status(nf_log_prob(model, &rows, &rows, nats.data()), NF_USAGE, {"no conditional model"});
  // What has no model.
  expect_status(nf_log_prob(nullptr, &rows, nullptr, nats.data()), NF_USAGE, {"model is NULL"});
  expect_status(nf_sample(nullptr, 0, 1, nullptr, &rows), NF_USAGE, {"model is NULL"});
  expect_status(nf_encode(nullptr, &rows, nullptr, &rows), NF_USAGE, {"model is NULL"});
  expect_status(nf_decode(nullptr, &rows, nullptr, &rows), NF_USAGE, {"model is NULL"});
  expect_status(nf_number(nullptr, NF_DIMS, &value), NF_USAGE, {"model is NULL"});
  expect_status(nf_text(nullptr, NF_MODEL, 0, &text), NF_USAGE, {"model is NULL"});
  expect_ok(nf_close(nullptr));
  for (const std::int32_t threads : {-1, 1025, std::numeric_limits<std::int32_t>::max()}) {
    expect_status(nf_threads(threads), NF_USAGE, {"threads"});
  }
  expect_ok(nf_threads(2));
  expect_ok(nf_threads(0));
}

BOOST_AUTO_TEST_CASE(more_draws_of_the_noise) {
  const CRun run(CRun::Kind::Pixels);
  nf_options options = {
      .size = sizeof options, .weights = "last", .noise_draws = 4, .importance = 0};
  std::vector<double> x = run.rows.to_vector<double>();
  const std::int64_t n = run.rows.dim(0);
  const nf_array rows = dense(x, n, run.rows.dim(1));
  std::vector<double> nats(static_cast<std::size_t>(n));
  Handle model(run.path, &options);
  expect_ok(nf_log_prob(model, &rows, nullptr, nats.data()));
  const Tensor told =
      npy(run, {"score", "--data", run.data, "--weights", "last", "--noise-draws", "4"});
  BOOST_TEST(largest_difference(nats, column(told, 1)) == 0);
}

BOOST_AUTO_TEST_SUITE_END()
