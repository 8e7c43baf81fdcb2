// Every row has what is given with it, however many rows there are, and whichever command takes
// them.
#include <boost/test/unit_test.hpp>
#include <numeric>

#include "cli_runs.h"
#include "data/csv.h"
#include "data/npy.h"
#include "data/png.h"
#include "file_makers.h"
#include "tensor/ops.h"
#include "tensor/random.h"
#include "tensor/text.h"

using namespace nf::test;

BOOST_AUTO_TEST_SUITE(cli_given_rows)

namespace {

using Arguments = std::vector<std::string>;

constexpr int kRows = 10'050, kTail = 50;  // decode takes 10000 rows at a time, others fewer

/// A trained run whose y is near 3 a, and which hardly says anything of y without a.
struct Run {
  Run() {
    nf::Generator gen(3);
    const auto numbers = nf::normal(gen, {kRows, 2}, nf::DType::F64).to_vector<double>();
    std::string all = "y,a\n", last = all, few = all;
    for (std::size_t i = 0; i < kRows; ++i) {
      const double a = numbers[2 * i], y = 3 * a + 0.1 * numbers[2 * i + 1];
      const std::string line = nf::str(y, ",", a, "\n");
      all += line;
      if (i >= kRows - kTail) last += line;
      if (i < 2) few += line;
    }
    write(big, all);
    write(tail, last);
    write(two, few);
    expect_ok(flowcli(
        folder,
        {"train", "realnvp-2d", "--data",      big,         "--out",   run,    "--given",
         "a",     "--quiet",    "--couplings", "2",         "--steps", "300",  "--hidden-units",
         "8",     "--valid",    "500",         "--threads", "1",       "--lr", "1e-2"}));
  }
  Outcome call(const std::string& command, const Arguments& more,
               const std::string& in = "") const {
    Arguments words = {command, run};
    words.insert(words.end(), more.begin(), more.end());
    return flowcli(folder, words, "", [&] {
      if (!in.empty()) dup2(open(in.c_str(), O_RDONLY), STDIN_FILENO);
    });
  }
  /// What the command says of all rows, and of the last ones by themselves: the numbers of one
  /// column of its CSV, of the same last rows.
  std::pair<std::vector<double>, std::vector<double>> last_of(
      const std::string& column, const std::function<Outcome(const std::string&)>& command) const {
    std::vector<double> numbers[2];
    for (const bool whole : {true, false}) {
      const Outcome outcome = command(whole ? big : tail);
      expect_ok(outcome);
      write(folder.file("out.csv"), outcome.out);
      const nf::data::Table table = nf::data::read_csv(folder.file("out.csv"));
      const auto at = std::find(table.columns.begin(), table.columns.end(), column);
      BOOST_TEST_REQUIRE((at != table.columns.end()));
      BOOST_TEST_REQUIRE(table.values.dim(0) == (whole ? kRows : kTail));
      numbers[whole ? 0 : 1] = table.values.narrow(0, table.values.dim(0) - kTail, kTail)
                                   .narrow(1, at - table.columns.begin(), 1)
                                   .to_vector<double>();
    }
    return {numbers[0], numbers[1]};
  }

  ScratchFolder folder;
  const std::string run = folder.file("run"), big = folder.file("big.csv"),
                    tail = folder.file("tail.csv"), two = folder.file("two.csv"),
                    out = folder.file("o.npy");
};

}  // namespace

BOOST_AUTO_TEST_CASE(rows_are_treated_as_by_themselves) {
  const Run r;
  const struct {
    const char *what, *column;
    std::function<Outcome(const std::string&)> command;
  } commands[] = {
      {"score", "nats",
       [&](auto& rows) {
         return r.call("score", {"--data", rows, "--out", "-"});
       }},
      {"score line by line", "nats",
       [&](auto& rows) {
         return r.call("score", {"--data", "-"}, rows);
       }},
      {"encode", "z1",
       [&](auto& rows) {
         return r.call("encode", {"--data", rows, "--out", "-"});
       }},
      {"decode", "y",
       [&](auto& rows) {
         const nf::data::Table table = nf::data::read_csv(rows);
         nf::data::write_npy(r.out, nf::Tensor::full({table.values.dim(0), 1}, 0.5));
         return r.call("decode", {r.out, "--given-file", rows, "--out", "-"});
       }},
  };
  for (const auto& [what, column, command] : commands) {
    const auto [among_all, alone] = r.last_of(column, command);
    double differ = 0;
    for (std::size_t i = 0; i < alone.size(); ++i) {
      differ = std::max(differ, std::abs(among_all[i] - alone[i]));
    }
    BOOST_TEST(differ < 1e-4, what << ' ' << differ);
  }
}

// Rows of the same kind, whichever are picked, are no more unusual; a report tells no samples from
// them; and a line ends in the row that it goes to.
BOOST_AUTO_TEST_CASE(rows_that_are_picked_keep_what_is_given) {
  const Run r;
  const auto against = r.call(
      "score", {"--data", r.tail, "--against", r.big, "--json", "--out", r.folder.file("s.csv")});
  expect_ok(against);
  const double area = against.json()["against"][0]["auroc"];
  BOOST_TEST((area > 0.3 && area < 0.7), area);
  const auto report = r.call("report", {"--json"});
  expect_ok(report);
  const double p = report.json()["two_sample"]["p_value"];
  // Were rows of different pairs exchanged, no relabelling would be as near as the pairs are.
  BOOST_TEST((p > 0.05 && p < 0.99), p);
  expect_ok(r.call("interpolate", {"--data", r.two, "-n", "2", "--steps", "3", "--out", r.out}));
  const auto line = nf::data::read_npy(r.out).to(nf::DType::F64).to_vector<double>();
  const auto ends = nf::data::read_csv(r.two).values.to_vector<double>();  // y, a, y, a
  BOOST_TEST(std::abs(line[0] - ends[0]) < 1e-3);
  BOOST_TEST(std::abs(line[2] - ends[2]) < 1e-3);
}

// The model draws what is right on the whole, whatever is given: only beside it is that seen.
BOOST_AUTO_TEST_CASE(a_report_tells_samples_for_something_else_from_data) {
  const ScratchFolder folder;
  const std::string run = folder.file("run"), table = folder.file("y.csv"),
                    labels = folder.file("y.npz");
  nf::Generator gen(1);
  const std::vector<float> y = nf::normal(gen, {3000}).to_vector<float>();
  std::string text = "y,near,far\n", numbers, signs;
  for (std::size_t i = 0; i < y.size(); ++i) {
    text += nf::str(y[i], ",", 5 * y[i], ",", y[(i * 7 + 1) % y.size()], "\n");
    numbers.append(reinterpret_cast<const char*>(&y[i]), sizeof(float));
    signs += little(y[i] > 0 ? 1 : 0, 4);
  }
  write(table, text);
  write(labels, zip_file({{"x.npy", npy("<f4", "(3000, 1)", numbers)},
                          {"y.npy", npy("<i4", "(3000,)", signs)}}));
  const struct {
    Arguments data;
    bool apart;
  } cases[] = {{{"--data", table, "--columns", "y", "--given", "near"}, true},
               {{"--data", table, "--columns", "y", "--given", "far"}, false},
               {{"--data", labels, "--given", "label"}, true}};
  for (const auto& [data, apart] : cases) {
    // As good as untrained: the standard normal of standardised data.
    Arguments all = {"train", "realnvp-2d", "--out",     run, "--couplings", "2", "--hidden-units",
                     "8",     "--quiet",    "--threads", "1", "--epochs",    "2"};
    all.insert(all.end(), data.begin(), data.end());
    for (const char* word : {"--lr", "1e-9", "--overwrite"}) {
      all.push_back(word);
    }
    expect_ok(flowcli(folder, all));
    const auto report = flowcli(folder, {"report", run, "--json"}).json();
    const double p = report["two_sample"]["p_value"];
    BOOST_TEST((p < 0.01) == apart, data.back() << ' ' << p);
    BOOST_TEST((p > 0.05) == !apart, data.back() << ' ' << p);
  }
}

// Labels 0 and 1 are of dark and of bright images.
BOOST_AUTO_TEST_CASE(images_keep_their_labels) {
  const ScratchFolder folder;
  const std::string data = folder.file("images.npz"), run = folder.file("run"),
                    out = folder.file("line.npy");
  nf::Generator gen(2);
  constexpr int kImages = 400, kPixels = 4;
  const auto noise = nf::uniform(gen, {kImages, kPixels}).to_vector<float>();
  std::string pixels, labels;
  for (std::size_t i = 0; i < kImages; ++i) {
    labels += little(i % 2, 1);
    for (std::size_t j = 0; j < kPixels; ++j) {
      pixels += static_cast<char>(noise[i * kPixels + j] * 20 + (i % 2 == 0 ? 20 : 200));
    }
  }
  write(data, zip_file({{"x.npy", npy("|u1", "(400, 2, 2)", pixels)},
                        {"y.npy", npy("|u1", "(400,)", labels)}}));
  expect_ok(flowcli(folder, {"train",   "nice",        "--data", data,
                             "--given", "label",       "--out",  run,
                             "--quiet", "--couplings", "2",      "--hidden-units",
                             "8",       "--steps",     "200",    "--threads",
                             "1",       "--lr",        "1e-2",   "--batch-size",
                             "50"}));
  const auto call = [&](const Arguments& words) {
    const Outcome outcome = flowcli(folder, words);
    expect_ok(outcome);
    return outcome;
  };
  // Both ends are encoded and decoded with their own label, so they come back.
  call({"interpolate", run, "--data", data, "--indices", "0,1", "--steps", "2", "--out", out});
  const auto line = nf::data::read_npy(out).to(nf::DType::F32).to_vector<float>();
  for (std::size_t i = 0; i < 2 * kPixels; ++i) {
    BOOST_TEST(line[i] == static_cast<float>(static_cast<std::uint8_t>(pixels[i])), i);
  }
  // What is filled in is as probable as the original, for the label that it has.
  const auto filled = call({"inpaint", run, "--data", data, "--indices", "1", "--mask", "top",
                            "--steps", "20", "--out", folder.file("filled.png"), "--json"})
                          .json();
  BOOST_TEST(filled["filled_nats"].get<double>() > filled["original_nats"].get<double>() - 5,
             filled.dump());
  // A row has its own noise, whichever rows are beside it.
  const auto importance = [&](const std::string& rows) {
    return call({"eval", run, "--data", data, "--indices", rows, "--importance", "3", "--json"})
        .json()["importance_nats"]
        .get<double>();
  };
  const double first = importance("4"), second = importance("7"), both = importance("4,7");
  BOOST_TEST(std::abs((first + second) / 2 - both) < 1e-4, first << ' ' << second << ' ' << both);
}

BOOST_AUTO_TEST_SUITE_END()
