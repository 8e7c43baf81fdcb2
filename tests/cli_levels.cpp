// flowcli on exact models of levels (nade, pixelcnn, pixelrnn, wavenet): every command that takes
// a run, or why it does not.
#include <boost/test/unit_test.hpp>
#include <cmath>

#include "cli_runs.h"

using namespace nf::test;

BOOST_AUTO_TEST_SUITE(cli_levels)

namespace {

using Arguments = std::vector<std::string>;

struct Trained {
  std::string model;
  Arguments arguments;
  double dims;
  std::string unit;
};

const std::vector<Trained>& trainings() {
  const Arguments glyphs = {"--data", "glyphs", "--train", "60",         "--valid",
                            "20",     "--test", "10",      "--binarize", "static"};
  const auto with = [](Arguments all, const Arguments& more) {
    all.insert(all.end(), more.begin(), more.end());
    return all;
  };
  static const std::vector<Trained> all = {
      {"nade", with(glyphs, {"--hidden-units", "8"}), 784, "nats of 784 bits, 0 or 1; exact"},
      {"pixelcnn",
       with(glyphs, {"--maps", "3", "--layers", "1", "--head", "4", "--given", "label"}), 784,
       "nats of 784 bits, 0 or 1; exact"},
      {"pixelrnn", with(glyphs, {"--maps", "2", "--layers", "2", "--head", "4"}), 784,
       "nats of 784 bits, 0 or 1; exact"},
      {"wavenet",
       {"--train", "40", "--valid", "20", "--test", "10", "--bits", "4", "--maps", "3", "--layers",
        "3", "--skip", "4"},
       256,
       "nats of 256 levels, 0 to 15; exact"},
  };
  return all;
}

}  // namespace

BOOST_AUTO_TEST_CASE(every_command_works_or_says_why_not) {
  const ScratchFolder folder;
  for (const Trained& one : trainings()) {
    const std::string run = folder.file(one.model), samples = folder.file(one.model + ".npy");
    Arguments call = {"train",     one.model, "--out",    run, "--quiet",
                      "--threads", "1",       "--epochs", "2"};
    call.insert(call.end(), one.arguments.begin(), one.arguments.end());
    expect_ok(flowcli(folder, call));
    BOOST_TEST_CONTEXT(one.model) {
      const Outcome eval = flowcli(folder, {"eval", run, "--json"});
      expect_ok(eval);
      const auto told = eval.json();
      BOOST_TEST(told["bound"] == false);
      BOOST_TEST(told["convention"].get<std::string>().starts_with(one.unit));
      BOOST_TEST(told["bits_per_dim"].get<double>() ==
                     -told["nats"].get<double>() / (one.dims * std::log(2.0)),
                 boost::test_tools::tolerance(1e-12));
      for (const Arguments& more : {Arguments{"check", run},
                                    {"report", run},
                                    {"inspect", run},
                                    {"score", run},
                                    {"resume", run, "--epochs", "3", "--quiet"},
                                    {"sample", run, "-n", "5"},
                                    {"sample", run, "-n", "6", "--out", samples}}) {
        expect_ok(flowcli(folder, more));
      }
      const std::string drawn = slurp(samples);
      BOOST_TEST(drawn.find("(6, ") != std::string::npos);
      expect_failure(flowcli(folder, {"encode", run}), {"no latents"});
    }
  }
  // Of a label; with temperature 0 the likeliest.
  const std::string run = folder.file("pixelcnn");
  expect_ok(flowcli(folder, {"sample", run, "--given", "3", "-n", "2", "--temperature", "0"}));
  expect_ok(flowcli(folder, {"classify", run}));
  expect_ok(flowcli(folder, {"sample", run, "--given", "3", "-n", "1", "--size", "30x32"}));
  expect_failure(flowcli(folder, {"sample", folder.file("nade"), "--size", "2x"}),
                 {"layer net (Nade(784 bits, 8 units))", "knows no other size"}, 2);
}

BOOST_AUTO_TEST_CASE(tones_are_levels) {
  const ScratchFolder folder;
  const Outcome told = flowcli(folder, {"data", "tones"});
  expect_ok(told);
  BOOST_TEST(told.out.find("tones: samples of 256 levels") != std::string::npos, told.out);
  const std::string table = folder.file("tones.csv");
  expect_ok(flowcli(folder, {"data", "make", "tones", "--train", "3", "--out", table}));
  BOOST_TEST(slurp(table).starts_with("x1,x2,"));
}

BOOST_AUTO_TEST_CASE(data_that_do_not_suit_are_refused) {
  const ScratchFolder folder;
  const auto refused = [&](const Arguments& arguments, const std::vector<std::string>& parts,
                           int status) {
    Arguments call = {"train"};
    call.insert(call.end(), arguments.begin(), arguments.end());
    call.insert(call.end(), {"--out", folder.file("none"), "--train", "10", "--valid", "5",
                             "--test", "5", "--quiet"});
    expect_failure(flowcli(folder, call), parts, status);
  };
  refused({"nade", "--data", "glyphs"}, {"[binarize]", "--binarize static"}, 1);
  refused({"nade", "--data", "moons"}, {"[data] nade is for levels", "real numbers", "uint8"}, 2);
  refused({"wavenet", "--data", "moons"}, {"[data] wavenet is for levels"}, 2);
  refused({"pixelcnn", "--data", "tones"}, {"[pixelcnn] is for images", "256 numbers", "wavenet"},
          1);
  refused({"wavenet", "--components", "3"}, {"[components] would change nothing"}, 2);
}

BOOST_AUTO_TEST_SUITE_END()
