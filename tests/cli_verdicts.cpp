// What check, eval, score and report say of models whose answer is known exactly.
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <numbers>

#include "cli_runs.h"
#include "data/npy.h"
#include "tensor/ops.h"

using namespace nf;
using namespace nf::test;

BOOST_AUTO_TEST_SUITE(cli_verdicts)

namespace {

/// Preprocessing that is counted from the data, and couplings that begin as the identity and hardly
/// move: what the model is, is known.
std::vector<std::string> barely_trained(const std::string& model, const std::string& data,
                                        const std::string& out) {
  return {"train",           model,      "--data",    data,       "--out",          out,
          "--couplings",     "2",        "--lr",      "1e-7",     "--set",          "steps=3",
          "--set",           "warmup=0", "--set",     "epochs=1", "--hidden-units", "4",
          "--hidden-layers", "1",        "--threads", "1"};
}

nlohmann::json json_of(const ScratchFolder& folder, const std::vector<std::string>& call) {
  std::vector<std::string> words = call;
  words.push_back("--json");
  const Outcome outcome = flowcli(folder, words);
  BOOST_TEST_REQUIRE(outcome.status == 0, call[0] << ": " << outcome.err);
  return outcome.json();
}

/// u8 (n, dims), every element one of `levels`, all alike likely.
std::string pixels(const ScratchFolder& folder, const std::vector<std::uint8_t>& levels,
                   std::int64_t n, std::int64_t dims) {
  Generator gen(levels.size());
  const auto draws = (uniform(gen, {n * dims}) * static_cast<double>(levels.size()))
                         .to(DType::U8)
                         .to_vector<std::uint8_t>();
  std::vector<std::uint8_t> values;
  for (const std::uint8_t i : draws) values.push_back(levels[i]);
  const std::string path = folder.file("pixels.npy");
  data::write_npy(path, Tensor::from(values, {n, dims}));
  return path;
}

/// A run on pixels whose true number of bits per dimension is `bits`, within `excess` of it.
void check_pixels(const std::vector<std::uint8_t>& levels, double bits, double excess) {
  const ScratchFolder folder;
  const std::string data = pixels(folder, levels, 20'000, 4), run = folder.file("run");
  auto call = barely_trained("nice", data, run);
  for (const char* setting : {"preprocess=cdf", "prior=logistic", "scaling=false"}) {
    call.insert(call.end(), {"--set", setting});
  }
  const Outcome trained = flowcli(folder, call);
  BOOST_TEST_REQUIRE(trained.status == 0, trained.err);
  const auto evaluated = json_of(folder, {"eval", run});
  BOOST_TEST(evaluated["bits_per_dim"].get<double>() > bits - 0.01);
  BOOST_TEST(evaluated["bits_per_dim"].get<double>() < bits + excess);
  const auto checked = json_of(folder, {"check", run});
  BOOST_TEST(checked["verdict"] == "ok", checked.dump(1));
  BOOST_TEST(checked["latents"]["ks_worst"].get<double>() <
             checked["latents"]["ks_chance"].get<double>());
  const auto scored = json_of(folder, {"score", run, "--out", folder.file("scores.csv")});
  BOOST_TEST(std::abs(scored["lowest"][0]["bits_per_dim"].get<double>() - bits) < 0.5);
  const auto reported = json_of(folder, {"report", run, "--out", folder.file("page.html")});
  BOOST_TEST(reported["verdict"] == "ok");
}

/// "x,y" lines.
std::string table(const ScratchFolder& folder, const Tensor& x) {
  std::string text = "x,y\n";
  const auto values = x.to_vector<float>();
  for (std::size_t i = 0; i < values.size(); i += 2) {
    text += str(values[i], ",", values[i + 1], "\n");
  }
  const std::string path = folder.file("table.csv");
  std::ofstream(path) << text;
  return path;
}

/// 4000 draws of a Gaussian in the plane with deviations 2 and 1.
Tensor gaussian() {
  Generator gen(3);
  const Tensor e = normal(gen, {4000, 2}), a = e.narrow(1, 0, 1);
  return concat(std::vector<Tensor>{a * 2.0 + 7.0, a * 0.8 + e.narrow(1, 1, 1) * 0.6}, 1);
}

std::string train_table(const ScratchFolder& folder, const Tensor& x) {
  const std::string run = folder.file("run");
  auto call = barely_trained("realnvp-2d", table(folder, x), run);
  call.insert(call.end(), {"--set", "whitening=triangular"});
  const Outcome trained = flowcli(folder, call);
  BOOST_TEST_REQUIRE(trained.status == 0, trained.err);
  return run;
}

}  // namespace

BOOST_AUTO_TEST_CASE(uniform_pixels_take_8_bits) {
  std::vector<std::uint8_t> all;
  for (int level = 0; level < 256; ++level) all.push_back(static_cast<std::uint8_t>(level));
  check_pixels(all, 8, 0.02);
}

// Levels that never occur are counted as half a time each, which costs them 0.02 bits.
BOOST_AUTO_TEST_CASE(two_levels_take_1_bit) { check_pixels({0, 255}, 1, 0.03); }

BOOST_AUTO_TEST_CASE(a_gaussian_table_takes_its_entropy) {
  const ScratchFolder folder;
  const std::string run = train_table(folder, gaussian());
  // ln(2 pi e) + ln sqrt |S|, the deviations 2 and 1, of which 0.6 is y's own
  const double entropy = std::log(2 * std::numbers::pi * std::numbers::e) + std::log(2 * 0.6);
  const auto evaluated = json_of(folder, {"eval", run});
  BOOST_TEST(std::abs(evaluated["nats"].get<double>() + entropy) <
             0.01 + 4 * evaluated["nats_se"].get<double>());
  const auto checked = json_of(folder, {"check", run});
  BOOST_TEST(checked["verdict"] == "ok", checked.dump(1));
  BOOST_TEST(checked["latents"]["ks_worst"].get<double>() <
             checked["latents"]["ks_chance"].get<double>());
  BOOST_TEST(std::abs(checked["integral"]["value"].get<double>() - 1) <
             checked["integral"]["tolerance"].get<double>());
  BOOST_TEST(checked["integral"]["tolerance"].get<double>() < 0.01);
  BOOST_TEST(json_of(folder, {"report", run})["verdict"] == "ok");
}

BOOST_AUTO_TEST_CASE(a_model_that_learned_too_little) {
  const ScratchFolder folder;
  Tensor two = gaussian();  // half of it ten deviations away
  two.narrow(0, 0, 4000).copy_(two);
  std::vector<float> values = two.to_vector<float>();
  for (std::size_t i = 0; i < values.size(); i += 4) values[i] += 40;
  const std::string run = train_table(folder, Tensor::from(values, {4000, 2}));
  const auto checked = json_of(folder, {"check", run});
  BOOST_TEST(checked["verdict"] == "underfit", checked.dump(1));
  BOOST_TEST(checked["sound"] == true);
  BOOST_TEST(checked["findings"][0].get<std::string>().find("train longer") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_model_that_learned_by_heart) {
  const ScratchFolder folder;
  const std::string run = folder.file("run");
  const Outcome trained =
      flowcli(folder, {"train",          "realnvp-2d", "--data",          "moons",
                       "--out",          run,          "--train",         "30",
                       "--valid",        "300",        "--test",          "500",
                       "--epochs",       "150",        "--set",           "steps=0",
                       "--batch-size",   "30",         "--couplings",     "4",
                       "--hidden-units", "32",         "--hidden-layers", "1",
                       "--sample-every", "0",          "--set",           "schedule=constant",
                       "--set",          "warmup=0",   "--threads",       "1"});
  BOOST_TEST_REQUIRE(trained.status == 0, trained.err);
  for (const char* weights : {"best", "last"}) {
    const auto checked = json_of(folder, {"check", run, "--weights", weights});
    BOOST_TEST(checked["verdict"] == "overfit", checked.dump(1));
    const std::string reason = checked["findings"][0];
    BOOST_TEST(reason.find("train longer") == std::string::npos, reason);
  }
  const std::string page = folder.file("page.html");
  BOOST_TEST(json_of(folder, {"report", run, "--out", page})["verdict"] == "overfit");
  BOOST_TEST(slurp(page).find("OVERFIT: validation was best in epoch") != std::string::npos);
}

// How training ended comes before what the numbers say.
BOOST_AUTO_TEST_CASE(runs_without_a_step_and_runs_that_diverged) {
  const ScratchFolder folder;
  const std::string run = train_table(folder, gaussian()), path = run + "/state.safetensors";
  using enum flows::TrainingStatus;
  struct Row {
    flows::TrainingStatus status;
    bool trained;
    const char *verdict, *says;
    int exit;
  };
  const std::string as_trained = slurp(path);
  const Row rows[] = {
      {Diverged, true, "diverged", "DIVERGED: training ended at a loss that is not finite", 0},
      {Diverged, false, "diverged", "DIVERGED: training ended at a loss that is not finite", 1},
      {Running, false, "untrained", "UNTRAINED: no step has been done", 1},
      {Finished, true, "ok", "OK: nothing is wrong", 0},
  };
  for (const Row& row : rows) {
    write(path, as_trained);
    edit_position(path, [&](flows::Position& at) {
      if (!row.trained) at = {.batch_size = at.batch_size, .samples = at.samples};
      at.status = row.status;
    });
    const Outcome checked = flowcli(folder, {"check", run, "--jacobians", "0", "--json"});
    BOOST_TEST(checked.status == row.exit, checked.err);
    BOOST_TEST(checked.json()["verdict"] == row.verdict, checked.out);
    const std::string reason = checked.json()["findings"][0];
    BOOST_TEST(reason.starts_with(row.says), reason);
    if (row.exit != 0) continue;
    const std::string page = folder.file("page.html");
    BOOST_TEST(json_of(folder, {"report", run, "--out", page})["verdict"] == row.verdict);
    BOOST_TEST(slurp(page).find(row.says) != std::string::npos);
  }
}

// Three rows are too few for a distance; that they are far too wide is seen all the same.
BOOST_AUTO_TEST_CASE(a_few_rows_far_away_are_far) {
  const ScratchFolder folder;
  const std::string run = train_table(folder, gaussian());
  const std::string near = folder.file("near.npy"), far = folder.file("far.npy");
  data::write_npy(near, gaussian().narrow(0, 0, 3).contiguous());
  data::write_npy(far, gaussian().narrow(0, 0, 3) * 100.0);
  const auto check = [&](const std::string& data) {
    return json_of(folder, {"check", run, "--data", data, "--split", "train", "--jacobians",
                            "0"})["findings"]
        .dump();
  };
  BOOST_TEST(check(near).find("cannot be told from the base") != std::string::npos, check(near));
  BOOST_TEST(check(far).find("cannot be told from the base") == std::string::npos, check(far));
  BOOST_TEST(check(far).find("are far from the base") != std::string::npos, check(far));
}

namespace {

/// Makes the state of a run tell of the best of these.
void tell_best(const std::string& run, const std::vector<double>& valid) {
  edit_position(run + "/state.safetensors", [&](flows::Position& at) {
    at.step = at.step / at.epoch * std::ssize(valid);
    at.epoch = std::ssize(valid);
    const auto best = std::max_element(valid.begin(), valid.end());
    const bool none = std::isnan(*best);
    at.best_valid_nats = *best;
    at.best_epoch = none ? 0 : best - valid.begin() + 1;
    at.since_best = none ? 0 : at.epoch - at.best_epoch;
  });
}

}  // namespace

// The rules, on logs made by hand beside a model that is right.
BOOST_AUTO_TEST_CASE(logs_are_read_for_overfitting) {
  const ScratchFolder folder;
  const std::string run = train_table(folder, gaussian());
  // Other data, far away, tell nothing of how the training went.
  const std::string other = folder.file("other.npy");
  data::write_npy(other, gaussian() * 3.0);
  const auto foreign = json_of(folder, {"check", run, "--data", other, "--jacobians", "0"});
  BOOST_TEST(foreign["verdict"] == "ok", foreign["findings"]);
  BOOST_TEST(foreign["findings"].dump().find("other data") != std::string::npos);
  struct Row {
    const char* what;
    std::vector<double> train, valid;
    const char* verdict;
  };
  const Row rows[] = {
      {"rises", {-5, -4, -3, -2.5, -2.2, -2.1}, {-5, -4, -3, -2.6, -2.3, -2.2}, "ok"},
      {"is level", {-3, -2, -2, -2, -2, -2, -2}, {-3, -2.1, -2.2, -2.1, -2.2, -2.1, -2.2}, "ok"},
      {"falls slowly",
       {-4, -3, -2, -1.9, -1.8, -1.7, -1.6, -1.5, -1.4, -1.3, -1.2},
       {-4, -3, -2, -2.1, -2.2, -2.3, -2.4, -2.5, -2.6, -2.7, -2.8},
       "overfit"},
      {"falls off a cliff",
       {-4, -3, -2, -1.5, -1.2, -1, -0.5, 0},
       {-4, -3, -2.5, -3, -5, -15, -200, -516295},
       "overfit"},
      {"falls in jumps",
       {-4, -3, -2, -1.9, -1.8, -1.7, -1.6, -1.5, -1.4, -1.3, -1.2, -1.1, -1},
       {-4, -3, -2, -9, -5, -12, -6, -11, -5, -13, -6, -12, -5},
       "overfit"},
      {"falls, and so does training: that is no overfitting",
       {-4, -3, -2, -2.5, -3, -3.5, -4, -4.5, -5, -5.5},
       {-4, -3, -2, -2.5, -3, -3.5, -4, -4.5, -5, -5.5},
       "ok"},
      {"one bad epoch at the end", {-4, -3, -2, -1.9, -1.8, -1.7}, {-4, -3, -2, -2, -2, -40}, "ok"},
      {"has no numbers", {-4, -3}, {NAN, NAN}, "ok"},
  };
  for (const Row& row : rows) {
    std::ofstream log(run + "/log.jsonl");
    for (std::size_t i = 0; i < row.train.size(); ++i) {
      nlohmann::json line = {
          {"epoch", i + 1}, {"step", 3}, {"seconds", 1}, {"train_nats", row.train[i]}};
      line["valid_nats"] =
          std::isnan(row.valid[i]) ? nlohmann::json() : nlohmann::json(row.valid[i]);
      log << line.dump() << "\n";
    }
    log.close();
    tell_best(run, row.valid);
    const auto checked = json_of(folder, {"check", run, "--jacobians", "0", "--samples", "300"});
    BOOST_TEST(checked["verdict"] == row.verdict, row.what << ": " << checked["findings"]);
  }
}

BOOST_AUTO_TEST_SUITE_END()
