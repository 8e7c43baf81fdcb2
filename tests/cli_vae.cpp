// flowcli on variational autoencoders: every command that takes a run, or why it does not.
#include <boost/test/unit_test.hpp>

#include "cli_runs.h"

using namespace nf::test;

BOOST_AUTO_TEST_SUITE(cli_vae)

namespace {

using Arguments = std::vector<std::string>;

Arguments joined(Arguments first, const Arguments& more) {
  first.insert(first.end(), more.begin(), more.end());
  return first;
}

/// A run on images of two levels with five latents, and on the plane with two.
struct Runs {
  Runs() {
    train(images, {"--data",       "glyphs", "--bits",        "1",      "--train",           "200",
                   "--valid",      "50",     "--test",        "40",     "--epochs",          "2",
                   "--latents",    "5",      "--posterior",   "planar", "--posterior-steps", "2",
                   "--prior-flow", "maf",    "--prior-width", "8"});
    train(moons, {"--data", "moons", "--train", "300", "--valid", "100", "--test", "100", "--steps",
                  "20", "--importance", "3"});
  }
  void train(const std::string& run, const Arguments& more) const {
    expect_ok(flowcli(folder, joined({"train", "vae", "--out", run, "--quiet", "--threads", "1",
                                      "--hidden-units", "12"},
                                     more)));
  }
  Outcome call(const std::string& command, const std::string& run,
               const Arguments& more = {}) const {
    return flowcli(folder, joined({command, run, "--threads", "1"}, more));
  }
  void refused(const std::string& command, const std::string& run, const std::string& why) const {
    const Outcome outcome = call(command, run);
    BOOST_TEST(outcome.status == 2, command << ": " << outcome.err);
    BOOST_TEST(outcome.err.find(why) != std::string::npos, outcome.err);
    BOOST_TEST(std::count(outcome.err.begin(), outcome.err.end(), '\n') == 1, outcome.err);
  }

  ScratchFolder folder;
  const std::string images = folder.file("images"), moons = folder.file("moons");
};

}  // namespace

BOOST_AUTO_TEST_CASE(every_command_works_or_says_why_not) {
  const Runs runs;
  for (const std::string& run : {runs.images, runs.moons}) {
    for (const char* command :
         {"eval", "check", "inspect", "report", "sample", "encode", "score"}) {
      expect_ok(runs.call(command, run));
    }
    expect_ok(runs.call("eval", run, {"--importance", "3"}));
    BOOST_TEST(slurp(run + "/report.html").size() > 1000U);
  }
  for (const char* command : {"interpolate", "manifold"}) {
    expect_ok(runs.call(command, runs.images));
  }
  const Outcome check = runs.call("check", runs.images);
  BOOST_TEST(check.out.find("Latents of the data") != std::string::npos, check.out);
  runs.refused("inpaint", runs.images, "no density of reals");
  const Outcome plot = runs.call("plot", runs.moons);
  expect_ok(plot);
  BOOST_TEST(plot.out.find("wrote data.png, samples.png to") != std::string::npos, plot.out);
  BOOST_TEST(plot.err.find("known as a bound") != std::string::npos, plot.err);
  const std::string lost = runs.folder.file("z.csv");
  expect_failure(runs.call("encode", runs.images, {"--out", lost}),
                 {"no table: give --out FILE.npy\n"}, 2);
  BOOST_TEST(runs.call("encode", runs.moons, {"--out", lost}).out.find("reconstructed") !=
             std::string::npos);
  runs.refused("compress-latents", runs.images, "one scale");
}

BOOST_AUTO_TEST_CASE(a_bound_of_many_draws_is_told_and_validated_as_such) {
  const Runs runs;
  const std::string run = runs.folder.file("iwae");
  const Outcome trained =
      flowcli(runs.folder, {"train",          "vae", "--out",  run,     "--threads", "1",
                            "--hidden-units", "8",   "--data", "moons", "--train",   "300",
                            "--valid",        "100", "--test", "100",   "--steps",   "20",
                            "--importance",   "7",   "--json"});
  expect_ok(trained);
  BOOST_TEST(trained.err.find(" nats of 7 draws") != std::string::npos, trained.err);
  const auto valid = [&](const Arguments& more) {
    return runs.call("eval", run, joined({"--split", "valid", "--json"}, more)).json();
  };
  const auto json = valid({"--importance", "7"});
  const double best = trained.json().at("best_valid_nats");
  BOOST_TEST(std::abs(json.at("importance_nats").get<double>() - best) < 1e-4);
  BOOST_TEST(json.at("nats").get<double>() < best);
  const Arguments of_valid = {"--split", "valid", "--importance", "7"};
  const std::string file = runs.folder.file("scores.csv");
  const Outcome scored = runs.call("score", run, joined(of_valid, {"--out", file, "--json"}));
  BOOST_TEST(scored.json().at("importance") == 7);
  const std::vector<std::string> lines = lines_of(slurp(file));
  double sum = 0;
  for (std::size_t i = 1; i < lines.size(); ++i)
    sum += std::stod(lines[i].substr(lines[i].find(',') + 1));
  BOOST_TEST(std::abs(sum / 100 - json.at("importance_nats").get<double>()) < 1e-5);
  expect_failure(runs.call("score", run, joined(of_valid, {"--flag", "0.05"})),
                 {"of one draw", "leave --importance out"}, 2);
  const Outcome eval = runs.call("eval", run);
  BOOST_TEST(eval.out.find("the bound of 7 draws: --importance 7") != std::string::npos, eval.out);
  const std::string exact = runs.folder.file("exact");
  expect_ok(flowcli(
      runs.folder, {"train", "planar", "--out", exact, "--quiet", "--threads", "1", "--data",
                    "moons", "--train", "300", "--valid", "100", "--test", "100", "--steps", "5"}));
  const Outcome beside = flowcli(
      runs.folder, {"compare", run, exact, "--split", "valid", "--importance", "7", "--json"});
  expect_ok(beside);
  const auto rows = beside.json();
  BOOST_TEST(rows[0].at("nats") == json.at("importance_nats"));
  BOOST_TEST((rows[0].at("importance") == 7 && rows[1].at("importance").is_null()));
  const std::string note = rows[1].at("difference_note");
  BOOST_TEST(note.find("are a lower bound") != std::string::npos, note);
  BOOST_TEST(runs.call("eval", runs.images).out.find("--importance") == std::string::npos);
}

BOOST_AUTO_TEST_CASE(what_is_given_is_drawn_and_scored_with) {
  const Runs runs;
  const std::string run = runs.folder.file("labels"), x = runs.folder.file("x.npy");
  for (const Arguments& net : {Arguments{"--embedding", "2"}, {"--net", "conv", "--maps", "2"}}) {
    const Arguments of_labels = {"--data",     "glyphs", "--bits",  "1",     "--train",      "60",
                                 "--valid",    "20",     "--test",  "20",    "--steps",      "3",
                                 "--latents",  "3",      "--given", "label", "--batch-size", "20",
                                 "--overwrite"};
    runs.train(run, joined(of_labels, net));
    for (const char* command : {"eval", "inspect", "encode", "score", "report"}) {
      expect_ok(runs.call(command, run));
    }
    expect_ok(runs.call("eval", run, {"--importance", "3"}));
    for (const char* given : {"3", "label=3"}) {
      expect_ok(runs.call("sample", run, {"-n", "4", "--given", given, "--out", x}));
    }
    expect_failure(runs.call("sample", run, {"-n", "4", "--given", "99", "--out", x}), {"99"}, 2);
  }
  runs.refused("inpaint", run, "no density of reals");
  std::string table = "a,b,c\n";
  for (int i = 0; i < 60; ++i) table += nf::str(i % 7, ".5,", i % 5, ".25,", i % 3, ".75\n");
  write(runs.folder.file("t.csv"), table);
  const std::string columns = runs.folder.file("columns");
  runs.train(columns, {"--data", runs.folder.file("t.csv"), "--given", "c", "--steps", "3"});
  expect_ok(runs.call("eval", columns));
  expect_ok(runs.call("sample", columns,
                      {"-n", "3", "--given", "c=1.5", "--out", runs.folder.file("s.csv")}));
}

BOOST_AUTO_TEST_CASE(ladders_and_other_objectives_are_evaluated_by_the_bound) {
  const Runs runs;
  const std::string run = runs.folder.file("ladder");
  const Arguments call = {"train",     "vae",   "--out",    run,   "--threads",      "1",
                          "--data",    "moons", "--train",  "300", "--valid",        "100",
                          "--test",    "100",   "--steps",  "20",  "--hidden-units", "12",
                          "--latents", "3",     "--ladder", "2"};
  const Outcome trained = flowcli(runs.folder, joined(call, {"--beta", "0.5", "--mmd", "3"}));
  expect_ok(trained);
  BOOST_TEST(trained.err.find("the last weights are taken") != std::string::npos, trained.err);
  const auto json = runs.call("eval", run, {"--importance", "20", "--json"}).json();
  BOOST_TEST(json.at("importance_nats").get<double>() > json.at("nats").get<double>());
  for (const char* command : {"check", "inspect", "report", "sample", "encode", "score"}) {
    expect_ok(runs.call(command, run));
  }
  expect_failure(flowcli(runs.folder, joined(call, {"--overwrite", "--posterior", "iaf"})),
                 {"a ladder has its own posterior"}, 2);
  expect_failure(
      flowcli(runs.folder, joined(call, {"--overwrite", "--beta", "0", "--kl-warmup", "5"})),
      {"beta is 0"}, 2);
  expect_failure(
      flowcli(runs.folder, joined(call, {"--overwrite", "--mmd", "1", "--patience", "5"})),
      {"patience", "the last weights are taken"}, 2);
}

// 40 rows in two batches: three of six updates are within the warm-up, as is the first epoch.
BOOST_AUTO_TEST_CASE(tables_have_whole_columns_and_a_warm_up_has_no_best) {
  const ScratchFolder folder;
  std::string table = "count,share\n";
  for (int i = 0; i < 60; ++i) table += nf::str(i * 7 % 11, ",", i * 5 % 7, ".25\n");
  const std::string data = folder.file("t.csv"), run = folder.file("run");
  write(data, table);
  const Outcome trained = flowcli(
      folder, {"train", "vae", "--out", run, "--data", data, "--steps", "6", "--kl-warmup", "3",
               "--threads", "1", "--hidden-units", "4", "--batch-size", "24", "--json"});
  expect_ok(trained);
  BOOST_TEST(trained.err.find("integer (guessed)") != std::string::npos, trained.err);
  BOOST_TEST(trained.err.find("from step 3 on") != std::string::npos, trained.err);
  BOOST_TEST(trained.json().at("best_epoch").get<int>() > 1, trained.out);
  const Outcome eval = flowcli(folder, {"eval", run, "--threads", "1"});
  BOOST_TEST(eval.out.find("uniform dequantisation of 1 column") != std::string::npos, eval.out);
}

BOOST_AUTO_TEST_CASE(latents_have_columns_of_their_own) {
  const Runs runs;
  const std::string z = runs.folder.file("z.npy"), x = runs.folder.file("x.npy");
  expect_ok(runs.call("encode", runs.images, {"--out", z}));
  BOOST_TEST(slurp(z).find("(40, 5)") != std::string::npos);
  expect_ok(runs.call("decode", runs.images, {z, "--out", x}));
  const std::string pixels = slurp(x);
  BOOST_TEST(pixels.find("(40, 28, 28") != std::string::npos);
  const auto greys = std::count_if(pixels.end() - 40 * 784, pixels.end(),
                                   [](char c) { return c != 0 && c != '\xFF'; });
  BOOST_TEST(greys > 784);  // means of the pixels, not their levels
  const std::string table = runs.folder.file("z.csv"), back = runs.folder.file("back.csv");
  expect_ok(runs.call("encode", runs.moons, {"--out", table}));
  BOOST_TEST(slurp(table).starts_with("z1,z2\n"));
  expect_ok(runs.call("decode", runs.moons, {table, "--out", back}));
  const Outcome wrong = runs.call("decode", runs.images, {table, "--out", x});
  BOOST_TEST(wrong.status == 1);
  BOOST_TEST(wrong.err.find("has 2 columns, the model has 5 latents") != std::string::npos,
             wrong.err);
  // Draws, of which the first do not depend on how many there are.
  const std::string few = runs.folder.file("few.csv"), more = runs.folder.file("more.csv");
  expect_ok(runs.call("sample", runs.moons, {"-n", "3", "--out", few}));
  expect_ok(runs.call("sample", runs.moons, {"-n", "9", "--out", more}));
  BOOST_TEST(slurp(more).starts_with(slurp(few)));
}

BOOST_AUTO_TEST_SUITE_END()
