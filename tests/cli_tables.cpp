// Tables as text: what sample, encode and decode write, and what is piped from one to another.
#include <boost/test/unit_test.hpp>
#include <fstream>

#include "data/csv.h"
#include "data/npy.h"
#include "tests/cli_util.h"

using namespace nf::test;

BOOST_AUTO_TEST_SUITE(cli_tables)

namespace {

using Words = std::vector<std::string>;

/// With text on its standard input.
Outcome piped(const ScratchFolder& folder, const Words& arguments, const std::string& text) {
  const std::string path = folder.file("stdin.txt");
  std::ofstream(path, std::ios::binary) << text;
  return flowcli(folder, arguments, "", [&] { dup2(open(path.c_str(), O_RDONLY), STDIN_FILENO); });
}

/// A table with a time, a name that needs quotes and a count, and a run on it.
std::string train_on_table(const ScratchFolder& folder, const Words& more = {}) {
  const std::string run = folder.file("run"), data = folder.file("own.csv");
  std::ofstream out(data);
  out << "time,\"a, \"\"b\"\"\",count\n";
  for (int i = 0; i < 200; ++i) {
    out << 1700000000 + 1000 * (i * 37 % 101) << "," << i * 53 % 97 / 10.0 + 0.05 << ","
        << 100000 * (i % 3) << "\n";
  }
  out.close();
  Words call = {"train",          "realnvp-2d", "--data",    data,
                "--out",          run,          "--types",   "count=integer,time=integer",
                "--hidden-units", "4",          "--steps",   "20",
                "--batch-size",   "50",         "--threads", "1"};
  call.insert(call.end(), more.begin(), more.end());
  const Outcome trained = flowcli(folder, call);
  BOOST_TEST_REQUIRE(trained.status == 0, trained.err);
  return run;
}

Outcome good(const Outcome& outcome) {
  BOOST_TEST_REQUIRE(outcome.status == 0, outcome.err);
  return outcome;
}

}  // namespace

BOOST_AUTO_TEST_CASE(samples_are_written_as_a_table) {
  const ScratchFolder folder;
  const std::string run = train_on_table(folder), csv = folder.file("s.csv"),
                    npy = folder.file("s.npy");
  for (const std::string& file : {csv, npy})
    good(flowcli(folder, {"sample", run, "-n", "40", "--out", file}));
  const nf::data::Table table = nf::data::read_csv(csv);
  BOOST_CHECK((table.columns == Words{"time", "a, \"b\"", "count"}));
  BOOST_CHECK(table.values.to_vector<double>() ==
              nf::data::read_npy(npy).to(nf::DType::F64).to_vector<double>());
  std::istringstream lines(slurp(csv));
  std::string line;
  std::getline(lines, line);
  BOOST_TEST(line == "time,\"a, \"\"b\"\"\",count");
  while (std::getline(lines, line)) {
    const std::string time = line.substr(0, line.find(',')),
                      count = line.substr(line.rfind(',') + 1);
    BOOST_TEST(time.find_first_not_of("-0123456789") == std::string::npos, line);
    BOOST_TEST(count.find_first_not_of("-0123456789") == std::string::npos, line);
  }
  // The same on standard output, and nothing else there.
  const Outcome out = good(flowcli(folder, {"sample", run, "-n", "40", "--out", "-"}));
  BOOST_TEST(out.out == slurp(csv));
  BOOST_TEST(out.err.find("wrote 40 samples to standard output") != std::string::npos, out.err);
  good(flowcli(folder, {"score", run, "--data", csv}));
  // Data of three columns have no picture.
  BOOST_TEST(good(flowcli(folder, {"sample", run, "-n", "3", "--json"})).json()["file"] ==
             run + "/samples/sample.csv");
}

BOOST_AUTO_TEST_CASE(latents_go_there_and_back_through_a_pipe) {
  const ScratchFolder folder;
  const std::string run = train_on_table(folder), csv = folder.file("z.csv"),
                    npy = folder.file("z.npy");
  for (const std::string& file : {csv, npy}) good(flowcli(folder, {"encode", run, "--out", file}));
  const nf::data::Table latents = nf::data::read_csv(csv);
  BOOST_CHECK((latents.columns == Words{"z1", "z2", "z3"}));
  BOOST_CHECK(latents.values.to(nf::DType::F32).to_vector<float>() ==
              nf::data::read_npy(npy).to_vector<float>());
  const Outcome encoded = good(flowcli(folder, {"encode", run, "--out", "-"}));
  BOOST_TEST(encoded.out == slurp(csv));
  const std::string decoded = good(flowcli(folder, {"decode", run, npy, "--out", "-"})).out;
  BOOST_TEST(decoded == good(piped(folder, {"decode", run, "-", "--out", "-"}, encoded.out)).out);
  // Told by name, or by position.
  const std::string mixed = "z3,z1,z2\n0.25,1,-0.5\n", plain = "1,-0.5,0.25\n";
  BOOST_TEST(good(piped(folder, {"decode", run, "-", "--out", "-"}, mixed)).out ==
             good(piped(folder, {"decode", run, "-", "--out", "-"}, plain)).out);
}

BOOST_AUTO_TEST_CASE(rows_come_from_standard_input) {
  const ScratchFolder folder;
  const std::string run = train_on_table(folder), rows = folder.file("rows.csv");
  const std::string text = slurp(folder.file("own.csv")).substr(0, 600);
  const std::string whole_lines = text.substr(0, text.rfind('\n') + 1);
  std::ofstream(rows) << whole_lines;
  const auto named = good(flowcli(folder, {"eval", run, "--data", rows, "--json"})).json();
  for (const char* split : {"all", "test"}) {  // "test" is looked for twice
    const auto json =
        good(piped(folder, {"eval", run, "--data", "-", "--split", split, "--json"}, whole_lines))
            .json();
    BOOST_TEST(json["data"] == "standard input");
    if (std::string(split) == "all") BOOST_TEST(json["nats"] == named["nats"]);
  }
  const auto encoded =
      good(piped(folder, {"encode", run, "--data", "-", "--json"}, whole_lines)).json();
  BOOST_TEST(encoded["file"] == run + "/latents-stdin.npy");
}

BOOST_AUTO_TEST_CASE(columns_without_names_are_numbered) {
  const ScratchFolder folder;
  const std::string run = folder.file("run");
  good(flowcli(folder, tiny_training(run, 1)));
  const Outcome sampled = good(flowcli(folder, {"sample", run, "-n", "5", "--out", "-"}));
  BOOST_TEST(sampled.out.starts_with("x1,x2\n"));
  good(piped(folder, {"eval", run, "--data", "-"}, sampled.out));
}

BOOST_AUTO_TEST_CASE(what_is_no_table_says_what_to_do) {
  const ScratchFolder folder;
  const std::string run = train_on_table(folder), digits = folder.file("digits");
  good(
      flowcli(folder, {"train",       "nice", "--data",         "glyphs", "--out",           digits,
                       "--couplings", "2",    "--hidden-units", "4",      "--hidden-layers", "1",
                       "--train",     "60",   "--valid",        "20",     "--test",          "20",
                       "--steps",     "2",    "--sample-every", "0"}));
  struct Row {
    Words call;
    std::string says;
    int status;
  };
  const Row rows[] = {
      {{"sample", digits, "--out", "-"}, "images are no table: give --out FILE.npy", 2},
      {{"sample", digits, "--out", "s.csv"}, "FILE.png for a picture", 2},
      {{"encode", digits, "--out", "z.csv"}, "images are no table", 2},
      {{"decode", digits, "z.npy", "--out", "x.csv"}, "images are no table", 2},
      {{"sample", run, "--out", "-", "--json"}, "both write to standard output", 2},
      {{"sample", run, "--out", "s.txt"}, ".png or .npy or .csv", 2},
      {{"sample", run, "--out", "s.png"}, "FILE.npy or FILE.csv", 2},
      {{"decode", run, folder.file("own.csv")}, "not called z1 to z3", 1},
      {{"decode", run, "-"}, "standard input' has 2 columns, the model has 3 latents", 1},
      {{"train", "realnvp-2d", "--data", "-"}, "write it to a file first", 2},
  };
  for (const Row& row : rows) {
    const Outcome outcome = piped(folder, row.call, "z1,z2\n1,2\n");
    BOOST_TEST(outcome.status == row.status, outcome.err);
    BOOST_TEST(outcome.err.find(row.says) != std::string::npos, outcome.err);
    BOOST_TEST(outcome.out == "");
  }
}

BOOST_AUTO_TEST_SUITE_END()
