// Rows that are flagged beside held-out ones, and rows that are scored as they come.
#include <poll.h>

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <fstream>

#include "data/npy.h"
#include "nn/safetensors.h"
#include "tensor/ops.h"
#include "tensor/random.h"
#include "tests/cli_util.h"

using namespace nf::test;

BOOST_AUTO_TEST_SUITE(cli_flags)

namespace {

using Words = std::vector<std::string>;

Outcome good(const Outcome& outcome) {
  BOOST_TEST_REQUIRE(outcome.status == 0, outcome.err);
  return outcome;
}

Words with(Words call, const Words& more) {
  call.insert(call.end(), more.begin(), more.end());
  return call;
}

/// Rows of a Gaussian, the second column rounded, as CSV.
std::string gaussian(int first, int end, double centre = 0) {
  nf::Generator gen(5);
  const nf::Tensor x = nf::normal(gen, {end, 2});
  std::ostringstream text;
  text << "a,n\n";
  for (int i = first; i < end; ++i) {
    text << static_cast<double>(x.data<float>()[2 * i]) + centre << ","
         << std::floor(10 * x.data<float>()[2 * i + 1]) << "\n";
  }
  return text.str();
}

std::string file(const ScratchFolder& folder, const std::string& name, const std::string& text) {
  std::ofstream(folder.file(name), std::ios::binary) << text;
  return folder.file(name);
}

std::string train(const ScratchFolder& folder, const Words& more = {}) {
  const std::string run = folder.file("run");
  good(flowcli(
      folder,
      with({"train", "realnvp-2d", "--data", file(folder, "own.csv", gaussian(0, 2000)), "--types",
            "n=integer", "--out", run, "--steps", "40", "--hidden-units", "8", "--threads", "1"},
           more)));
  return run;
}

struct Line {
  std::string row, nats, bits, p_value, q_value, flag, file_row;
};

std::vector<Line> lines_of(const std::string& csv) {
  std::istringstream in(csv);
  std::string line;
  std::getline(in, line);
  BOOST_TEST(line == "row,nats,bits_per_dim,p_value,q_value,flag,file_row");
  std::vector<Line> out;
  while (std::getline(in, line)) {
    std::istringstream cells(line);
    Line& l = out.emplace_back();
    for (std::string* cell : {&l.row, &l.nats, &l.bits, &l.p_value, &l.q_value, &l.flag}) {
      std::getline(cells, *cell, ',');
    }
    std::getline(cells, l.file_row);
  }
  return out;
}

/// Rows that come one by one have no q-values.
std::string without_q_values(const std::string& csv) {
  std::istringstream in(csv);
  std::string out;
  for (std::string line; std::getline(in, line);) {
    if (csv.find("q_value") != std::string::npos) {
      std::size_t at = 0;
      for (int i = 0; i < 4; ++i) at = line.find(',', at) + 1;
      line.erase(at, line.find(',', at) + 1 - at);
    }
    out += line + "\n";
  }
  return out;
}

/// With text on its standard input.
Outcome piped(const ScratchFolder& folder, const Words& call, const std::string& text) {
  const std::string path = file(folder, "stdin.txt", text);
  return flowcli(folder, call, "", [&] { dup2(open(path.c_str(), O_RDONLY), STDIN_FILENO); });
}

/// What can be read within a minute, up to a line's end.
std::string line_from(int descriptor) {
  std::string line;
  for (char c = 0; c != '\n';) {
    pollfd ready{descriptor, POLLIN, 0};
    if (poll(&ready, 1, 60'000) != 1 || read(descriptor, &c, 1) != 1) break;
    line += c;
  }
  return line;
}

}  // namespace

BOOST_AUTO_TEST_CASE(of_like_rows_few_are_flagged_and_of_far_rows_all) {
  const ScratchFolder folder;
  const std::string run = train(folder), out = folder.file("s.csv");
  const nf::Tensor held_out =
      nf::nn::load_safetensors(run + "/heldout.safetensors").tensors.at("log_prob");
  BOOST_TEST_REQUIRE(held_out.numel() == 200);
  const std::string like = file(folder, "like.csv", gaussian(2000, 3000)),
                    far = file(folder, "far.csv", gaussian(2000, 2100, 30));
  const auto scored = [&](const std::string& data, const Words& more) {
    return good(flowcli(folder,
                        with({"score", run, "--data", data, "--flag", "0.05", "--json"}, more)))
        .json();
  };
  const auto json = scored(like, {"--out", out});
  BOOST_TEST(json["flag_level"] == 0.05);
  BOOST_TEST(json["held_out"] == 200);
  BOOST_TEST(json["held_out_split"] == "valid");
  BOOST_TEST(json["flagged"].get<int>() >= 20);  // 50 of 1000, give or take what 200 rows allow
  BOOST_TEST(json["flagged"].get<int>() <= 90);
  BOOST_TEST(json["lowest"][0]["flag"] == true);
  BOOST_TEST(json["lowest"][0]["p_value"].get<double>() < 0.05);
  int flagged = 0;
  const std::vector<Line> lines = lines_of(slurp(out));
  BOOST_TEST_REQUIRE(lines.size() == 1000U);
  for (const Line& line : lines) {
    int unlikely = 0;
    for (const double score : held_out.to_vector<double>()) {
      unlikely += score <= std::stod(line.nats) ? 1 : 0;
    }
    const double p = std::stod(line.p_value);
    BOOST_TEST(std::abs(p - (unlikely + 1) / 201.0) < 1e-6, line.nats);
    BOOST_TEST((line.flag == "1") == (p < 0.05));
    flagged += line.flag == "1" ? 1 : 0;
  }
  BOOST_TEST(json["flagged"] == flagged);
  // q-values: those of rows that are all ordinary say so, and a drift of all is told.
  // Benjamini and Hochberg by its definition: the least m p / (how many are at most p) of those p
  // that are not below a row's own.
  std::vector<double> p_values;
  for (const Line& line : lines) p_values.push_back(std::stod(line.p_value));
  const auto at_most = [&](double p) {
    return static_cast<double>(
        std::count_if(p_values.begin(), p_values.end(), [&](double other) { return other <= p; }));
  };
  for (std::size_t i = 0; i < lines.size(); i += 7) {
    double q = 1;
    for (const double p : p_values) {
      if (p >= p_values[i]) q = std::min(q, 1000 * p / at_most(p));
    }
    BOOST_TEST(std::abs(std::stod(lines[i].q_value) - q) < 1e-5, lines[i].p_value);
  }
  BOOST_TEST(json["drift_p_value"].get<double>() > 0.001);
  const auto of_far = scored(far, {});
  BOOST_TEST(of_far["flagged"] == 100);
  BOOST_TEST(of_far["drift_p_value"].get<double>() < 1e-6);
  BOOST_TEST(of_far["drift_ks"].get<double>() > 0.9);
  BOOST_TEST(of_far["p_value_least"].get<double>() == 1.0 / 201);
  BOOST_TEST(of_far["lowest"][0]["q_value"].get<double>() < 0.05);
  const std::string npy = folder.file("s.npy");
  scored(like, {"--out", npy});
  const nf::Tensor table = nf::data::read_npy(npy);
  BOOST_CHECK(table.shape() == nf::Shape({1000, 6}));
  BOOST_TEST(nf::sum(table, {0}).to_vector<double>()[5] == flagged);
  const Outcome text = good(flowcli(folder, {"score", run, "--data", far, "--flag", "0.05"}));
  BOOST_TEST(text.out.find("flagged: 100 of 100, with a p-value below 0.05 beside 200 valid") !=
                 std::string::npos,
             text.out);
}

// Rows at the mean of a Gaussian are more likely than nearly all of its draws.
BOOST_AUTO_TEST_CASE(typicality_finds_what_is_too_likely) {
  const ScratchFolder folder;
  const std::string run = train(folder), out = folder.file("s.csv");
  std::string rows = "a,n\n";
  for (int i = 0; i < 100; ++i) rows += "0,0\n";
  const std::string middle = file(folder, "middle.csv", rows);
  const std::string far = file(folder, "far.csv", gaussian(2000, 2100, 30));
  const auto json = good(flowcli(folder, {"score", run, "--typicality", "--against", middle,
                                          "--against", far, "--out", out, "--json"}))
                        .json();
  const auto& against = json["against"];
  BOOST_TEST(against[0]["auroc"].get<double>() < 0.2);
  BOOST_TEST(against[0]["typicality_auroc"].get<double>() > 0.6);
  BOOST_TEST(against[1]["auroc"].get<double>() > 0.99);
  BOOST_TEST(against[1]["typicality_auroc"].get<double>() > 0.99);
  BOOST_TEST(json["typicality"] == true);
  BOOST_TEST(!json.contains("flagged"));
  // p-values are of the distance from the mean that is told.
  const nf::Tensor kept =
      nf::nn::load_safetensors(run + "/heldout.safetensors").tensors.at("log_prob");
  const double mean = nf::mean(kept).item();
  BOOST_TEST(json["held_out_nats"].get<double>() == mean, boost::test_tools::tolerance(1e-9));
  std::istringstream csv(slurp(out));
  std::string line;
  std::getline(csv, line);
  BOOST_TEST(line == "row,nats,bits_per_dim,p_value,q_value,file_row");
  int lines = 0;
  for (; std::getline(csv, line); ++lines) {
    double row = 0, nats = 0, bits = 0, p = 0;
    BOOST_TEST(std::sscanf(line.c_str(), "%lf,%lf,%lf,%lf", &row, &nats, &bits, &p) == 4);
    int as_far = 0;
    const double with = mean + (nats - mean) / 201;  // of 200 and this one
    for (const double score : kept.to_vector<double>()) {
      as_far += std::abs(score - with) >= std::abs(nats - with) ? 1 : 0;
    }
    BOOST_TEST(std::abs(p - (as_far + 1) / 201.0) < 1.1 / 201.0, line);
  }
  BOOST_TEST(lines == json["count"]);
  const std::string npy = folder.file("s.npy");
  good(flowcli(folder, {"score", run, "--typicality", "--out", npy}));
  BOOST_TEST(nf::data::read_npy(npy).dim(1) == 5);
  BOOST_TEST(flowcli(folder, {"score", run, "--typicality", "--weights", "last"})
                 .err.find("[typicality]") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(without_validation_the_test_rows_are_held_out) {
  const ScratchFolder folder;
  const std::string run = train(folder, {"--valid", "0"});
  const auto json =
      good(flowcli(folder, {"score", run, "--flag", "0.1", "--weights", "last", "--json"})).json();
  BOOST_TEST(json["held_out_split"] == "test");
  BOOST_TEST(json["held_out"] == json["count"]);
  BOOST_TEST(json["flagged"].get<double>() < 0.1 * json["count"].get<double>());  // its own rows
  const char* const says = "these are the very rows with which p-values compare (test)";
  const auto notes = [&](const Words& more) {
    return good(flowcli(folder, with({"score", run, "--flag", "0.1"}, more))).err;
  };
  BOOST_TEST(notes({}).find(says) != std::string::npos);
  BOOST_TEST(notes({"--split", "train"}).find(says) == std::string::npos);
}

BOOST_AUTO_TEST_CASE(flags_that_would_mean_nothing_are_refused) {
  const ScratchFolder folder;
  const std::string run = train(folder), held_out = run + "/heldout.safetensors";
  struct Row {
    Words more;
    std::string says;
    int status;
  };
  const Row rows[] = {
      {{"--flag", "0.001"}, "would flag nothing: beside 200 held-out rows the least p-value is", 2},
      {{"--flag", "0"}, "0 would flag nothing", 2},
      {{"--data", "-", "--flag", "0"}, "0 would flag nothing", 2},
      {{"--flag", "1.5"}, "1.5", 2},
      {{"--flag", "0.05", "--weights", "last"}, "leave --weights out", 2},
      {{"--flag", "0.05", "--noise-draws", "2"}, "leave --noise-draws out", 2},
      {{"--data", "-", "--sort"}, "there is no --sort; with --out FILE.csv all rows", 2},
      {{"--data", "-", "--json"}, "there is no --json", 2},
      {{"--out", "-", "--json"}, "both write to standard output", 2},
  };
  for (const Row& row : rows) {
    const Outcome outcome = piped(folder, with({"score", run}, row.more), "a,n\n1,2\n");
    BOOST_TEST(outcome.status == row.status, outcome.err);
    BOOST_TEST(outcome.err.find(row.says) != std::string::npos, outcome.err);
    BOOST_TEST(outcome.out == "");
  }
  // Scores of weights that a longer training has replaced, of other data, and none.
  nf::nn::SafetensorsFile old = nf::nn::load_safetensors(held_out);
  const nf::nn::StateDict scores(old.tensors.begin(), old.tensors.end());
  const auto check = [&](const std::string& says) {
    const Outcome outcome = flowcli(folder, {"score", run, "--flag", "0.05"});
    BOOST_TEST(outcome.status == 1);
    BOOST_TEST(outcome.err.find(says) != std::string::npos, outcome.err);
  };
  const std::string checksum = old.metadata.at("data_checksum");
  old.metadata["best_epoch"] = "77";
  nf::nn::save_safetensors(held_out, scores, old.metadata);
  check("is of other weights (epoch 77, not");
  old.metadata["data_checksum"] = "another";
  nf::nn::save_safetensors(held_out, scores, old.metadata);
  check("of a training on other data");
  nf::nn::save_safetensors(held_out, {}, {{"data_checksum", checksum}});
  check("does not hold the scores of");
  std::filesystem::remove(held_out);
  check("has no held-out scores to compare with");
}

BOOST_AUTO_TEST_CASE(lines_are_scored_as_their_file_is) {
  const ScratchFolder folder;
  const std::string run = train(folder), rows = gaussian(2000, 2600),
                    path = file(folder, "rows.csv", rows), out = folder.file("out.csv");
  for (const Words& more : {Words{"--flag", "0.05"}, {}, {"--noise-draws", "2"}}) {
    good(flowcli(folder, with({"score", run, "--data", path, "--out", out}, more)));
    const Outcome lines = good(piped(folder, with({"score", run, "--data", "-"}, more), rows));
    BOOST_TEST(lines.out == without_q_values(slurp(out)));
    BOOST_TEST(lines.err == "");
  }
  // The second row tells that the first line may be a header.
  const Outcome numbered = good(piped(folder, {"score", run, "--data", "-"}, "1,2\n5,9\n5,9\n"));
  BOOST_TEST(numbered.err.find("the first line, 1,2, is taken for a row") != std::string::npos);
  BOOST_TEST(numbered.err.find("for a row") == numbered.err.rfind("for a row"));
  // With --out FILE all are read first.
  good(piped(folder, {"score", run, "--data", "-", "--sort", "--out", out}, rows));
  BOOST_TEST(slurp(out).size() > 600U);
  // However lines end, and the columns stand.
  const std::string one = good(piped(folder, {"score", run, "--data", "-"}, "a,n\n0.5,3\n")).out;
  for (const char* same : {"n,a\n3,0.5", "a,n\r0.5,3\r", "a,n\r\r0.5,3", "a,n\r\n0.5,3\r\n"}) {
    BOOST_TEST(good(piped(folder, {"score", run, "--data", "-"}, same)).out == one);
  }
}

// As of a file: how many rows are training rows; and of the first of them at once.
BOOST_AUTO_TEST_CASE(lines_that_were_trained_on_are_told) {
  const ScratchFolder folder;
  const std::string run = train(folder), own = gaussian(0, 2000), out = folder.file("out.csv");
  const auto count_told = [](const std::string& err) {
    const std::size_t at = err.rfind("note: ");
    return at == std::string::npos ? err : err.substr(at);
  };
  const std::string half = own + gaussian(2000, 2600).substr(4);  // without its header
  const std::string path = file(folder, "half.csv", half);
  const Outcome file_rows = good(flowcli(folder, {"score", run, "--data", path, "--out", out}));
  const Outcome lines = good(piped(folder, {"score", run, "--data", "-"}, half));
  BOOST_TEST(lines.out == slurp(out));
  std::string told = file_rows.err;  // with the name of the file
  told.replace(told.find(path), path.size(), "standard input");
  BOOST_TEST(count_told(lines.err) == told);
  BOOST_TEST(lines.err.starts_with("note: row "), lines.err);
  BOOST_TEST(std::count(lines.err.begin(), lines.err.end(), '\n') == 2, lines.err);
  // Without the data of the run nobody knows, and rows are scored all the same.
  std::filesystem::remove(folder.file("own.csv"));
  BOOST_TEST(good(piped(folder, {"score", run, "--data", "-"}, half)).out == lines.out);
}

BOOST_AUTO_TEST_CASE(a_row_is_answered_before_the_next_one_comes) {
  const ScratchFolder folder;
  const std::string run = train(folder);
  int in[2], out[2];
  BOOST_TEST_REQUIRE((pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0));
  const Child child(folder, {"score", run, "--data", "-", "--flag", "0.05"}, "", [&] {
    dup2(in[0], STDIN_FILENO);
    dup2(out[1], STDOUT_FILENO);
  });
  close(in[0]);
  close(out[1]);
  const auto send = [&](const std::string& text) {
    BOOST_TEST_REQUIRE(write(in[1], text.data(), text.size()) == std::ssize(text));
  };
  send("a,n\n0.5,3\n");
  BOOST_TEST(line_from(out[0]) == "row,nats,bits_per_dim,p_value,flag,file_row\n");
  BOOST_TEST(line_from(out[0]).starts_with("0,-"));
  send("0.5,");  // half a line waits for its end
  send("3\n");
  BOOST_TEST(line_from(out[0]).starts_with("1,-"));
  send("100,3\n-100,3\n");
  const std::string third = line_from(out[0]), fourth = line_from(out[0]);
  BOOST_TEST((third.starts_with("2,-") && third.find(",1,") != std::string::npos), third);
  BOOST_TEST((fourth.starts_with("3,-") && fourth.find(",1,") != std::string::npos), fourth);
  close(in[1]);
  BOOST_TEST(child.wait() == 0);
  close(out[0]);
}

BOOST_AUTO_TEST_CASE(a_bad_line_comes_after_what_is_good) {
  const ScratchFolder folder;
  const std::string run = train(folder);
  struct Row {
    std::string text, says;
    int good;
  };
  const Row rows[] = {
      {"a,n\n1,2\n3,4\n5,x\n7,8\n", "line 4, column 2 ('n'): 'x' is not a number", 2},
      {"a,n\n1,2\n\n3\n", "line 4: 1 columns, the lines before have 2", 1},
      {"a,n\n1,2\n3,4.5\n", "line 3: the model takes whole numbers in column 'n', not 4.5", 1},
      {"a,n\nnan,2\n", "line 2, column 1 ('a'): the number is missing", 0},
      {"a,m\n1,2\n", "there is no column 'n', which the model was trained on", 0},
      {"1,2,3\n", "3 columns", 0},
      {"a,n\n", "holds no rows of numbers", 0},
      {"", "holds no rows of numbers", 0},
  };
  for (const Row& row : rows) {
    const Outcome outcome = piped(folder, {"score", run, "--data", "-"}, row.text);
    BOOST_TEST(outcome.status == 1, row.text);
    BOOST_TEST(outcome.err.find(row.says) != std::string::npos, outcome.err);
    BOOST_TEST(std::count(outcome.err.begin(), outcome.err.end(), '\n') == 1, outcome.err);
    const auto lines = std::count(outcome.out.begin(), outcome.out.end(), '\n');
    BOOST_TEST(lines == (row.good == 0 ? 0 : row.good + 1));
  }
}

BOOST_AUTO_TEST_SUITE_END()
