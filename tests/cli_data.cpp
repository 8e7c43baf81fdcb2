// flowcli data, and training on files of a user: columns, types, layouts, parts.
#include <boost/test/unit_test.hpp>
#include <fstream>

#include "data/npy.h"
#include "tensor/ops.h"
#include "tests/cli_util.h"

using namespace nf::test;

namespace {

/// Rows: an id, a town, two reals, a count, a constant.
std::string mixed_table(const ScratchFolder& folder) {
  std::ofstream out(folder.file("mixed.csv"));
  out << "id,town,a,b,n,c\n";
  for (int i = 0; i < 200; ++i) {
    const double a = i * 37 % 101 / 10.0, b = i * 53 % 97 / 10.0 + 0.05;
    out << i << ",T" << i % 9 << "," << a << "," << b << "," << i % 4 << ",7\n";
  }
  return folder.file("mixed.csv");
}

std::vector<std::string> tiny(const std::string& data, const std::string& out,
                              const std::vector<std::string>& more) {
  std::vector<std::string> all = {
      "train",          "realnvp-2d", "--data",  data, "--out",        out,  "--couplings", "2",
      "--hidden-units", "4",          "--steps", "20", "--batch-size", "50", "--threads",   "1"};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(cli_data)

BOOST_AUTO_TEST_CASE(a_built_in_source_is_written_as_one_file) {
  const ScratchFolder folder;
  for (const char* ending : {".csv", ".npy", ".idx"}) {
    const std::string path = folder.file(std::string("moons") + ending);
    const Outcome made =
        flowcli(folder, {"data", "--json", "make", "moons", "--train", "50", "--out", path});
    BOOST_REQUIRE_EQUAL(made.status, 0);
    BOOST_TEST(made.json()["count"] == 50);
    const Outcome read = flowcli(folder, {"data", path, "--json"});
    BOOST_TEST(read.json()["train"] == 40);
    BOOST_TEST(read.json()["dims"] == 2);
  }
  const std::string images = folder.file("glyphs.npy");
  BOOST_REQUIRE_EQUAL(
      flowcli(folder, {"data", "make", "glyphs", "--train", "12", "--out", images}).status, 0);
  BOOST_CHECK(nf::data::read_npy(images).shape() == nf::Shape({12, 28, 28}));
  const Outcome refused = flowcli(folder, {"data", "make", "moons", "--out", folder.file("x")});
  BOOST_TEST(refused.status == 2);
  BOOST_TEST(contains(refused.err, ".csv, .npy or .idx"));
}

BOOST_AUTO_TEST_CASE(a_table_of_all_sorts_says_what_to_do) {
  const ScratchFolder folder;
  const std::string table = mixed_table(folder), run = folder.file("run");
  const Outcome whole = flowcli(folder, tiny(table, run, {}));
  BOOST_TEST(whole.status == 1);
  BOOST_TEST(contains(whole.err, "line 2, column 2 ('town'): 'T0' is not a number"));
  const Outcome constant = flowcli(folder, tiny(table, run, {"--columns", "a,c"}));
  BOOST_TEST(constant.status == 1);
  BOOST_TEST(contains(constant.err, "column 'c'"));
  BOOST_TEST(!std::filesystem::exists(run));
  const Outcome counts = flowcli(folder, tiny(table, run, {"--columns", "a,b,n"}));
  BOOST_TEST(counts.status == 0);
  BOOST_TEST(contains(counts.err, "integer (guessed)"));

  const std::string config = folder.file("c.json"), nested = folder.file("nested");
  std::ofstream(config) << nlohmann::json(
      {{"model", {{"name", "realnvp-2d"}}}, {"data", {{"source", table}, {"columns", "a,b"}}}});
  const Outcome of_file =
      flowcli(folder, {"train", config, "--out", nested, "--steps", "2", "--hidden-units", "8"});
  BOOST_TEST(of_file.status == 0, of_file.err);
  BOOST_TEST(contains(slurp(nested + "/config.json"), "\"wanted_columns\": \"a,b\""));

  const std::string good = folder.file("good");
  const Outcome trained = flowcli(
      folder,
      tiny(table, good, {"--columns", "a,n", "--types", "n=integer", "--split-by", "town"}));
  BOOST_TEST_REQUIRE(trained.status == 0, trained.err);
  BOOST_TEST(!contains(trained.err, "whole numbers"));
  // The same file, with all its columns, is what the run was trained with.
  BOOST_TEST(flowcli(folder, {"eval", good}).status == 0);
  const Outcome scored = flowcli(
      folder, {"score", good, "--data", table, "--out", folder.file("scores.csv"), "--json"});
  BOOST_TEST_REQUIRE(scored.status == 0, scored.err);
  BOOST_TEST(scored.json()["count"] == 200);
  BOOST_TEST_REQUIRE(
      flowcli(folder, {"sample", good, "-n", "20", "--out", folder.file("s.npy")}).status == 0);
  const nf::Tensor samples = nf::data::read_npy(folder.file("s.npy"));
  BOOST_CHECK(samples.dtype() == nf::DType::F64);
  for (const double n : samples.narrow(1, 1, 1).to_vector<double>()) {
    BOOST_CHECK_EQUAL(n, std::floor(n));
  }
}

BOOST_AUTO_TEST_CASE(pictures_that_cannot_be_drawn_do_not_end_a_training) {
  const ScratchFolder folder;
  nf::Generator gen(1);
  for (const std::int64_t channels : {1, 2, 4}) {
    const std::string path = folder.file("images.npy"), run = folder.file("run");
    nf::data::write_npy(path, (nf::uniform(gen, {40, channels, 6, 5}) * 256.0F).to(nf::DType::U8));
    const Outcome unclear = flowcli(folder, tiny(path, run, {"--overwrite"}));
    BOOST_TEST(unclear.status == (channels == 2 ? 1 : 0), unclear.err);
    if (channels != 2) continue;
    BOOST_TEST(contains(unclear.err, "have --layout"));
    const Outcome told = flowcli(folder, tiny(path, run, {"--overwrite", "--layout", "first"}));
    BOOST_TEST(told.status == 0, told.err);
    BOOST_TEST(contains(told.err, "2 channels have no picture"));
  }
}

BOOST_AUTO_TEST_CASE(what_does_not_apply_to_the_data_is_wrong_usage) {
  const ScratchFolder folder;
  const std::string table = mixed_table(folder), run = folder.file("run");
  struct Row {
    std::vector<std::string> more;
    const char* says;
  };
  const Row rows[] = {
      {{"--columns", "a,q"}, "no column 'q'"},
      {{"--columns", "a,b", "--split-by", "twon"}, "did you mean 'town'?"},
      {{"--columns", "a,b", "--types", "a=int"}, "'a=int' is not COLUMN=real, integer"},
      {{"--columns", "a,b", "--types", "a=integer"}, "not whole"},
      {{"--columns", "a,b", "--depths", "3,3,3"}, "3 numbers for 2 couplings"},
      {{"--columns", "a,b", "--preprocess", "cdf"}, "is for pixels"},
      {{"--columns", "a,b", "--set", "layout=first"}, "[layout] would change nothing"},
  };
  for (const Row& row : rows) {
    const Outcome outcome = flowcli(folder, tiny(table, run, row.more));
    BOOST_TEST(outcome.status == 2, outcome.err);
    BOOST_TEST(contains(outcome.err, row.says), outcome.err);
  }
  for (const Row& row : {rows[0], rows[1], rows[2]}) {
    std::vector<std::string> call = {"data", table};
    call.insert(call.end(), row.more.begin(), row.more.end());
    BOOST_TEST(flowcli(folder, call).status == 2);
  }
  BOOST_TEST(!std::filesystem::exists(run));
  // In a configuration file the same is a fault of the file.
  std::ofstream(folder.file("c.json")) << nlohmann::json(
      {{"model", "realnvp-2d"}, {"data", {{"source", table}, {"columns", "a,q"}}}});
  BOOST_TEST(flowcli(folder, {"train", folder.file("c.json"), "--out", run}).status == 1);

  BOOST_REQUIRE_EQUAL(flowcli(folder, tiny(table, run, {"--columns", "a,b,n"})).status, 0);
  const std::vector<std::string> calls[] = {{"plot", run},
                                            {"inpaint", run},
                                            {"inpaint", run, "--mask", "lefty"},
                                            {"sample", run, "--out", folder.file("x.png")}};
  for (const auto& call : calls) BOOST_TEST(flowcli(folder, call).status == 2, call[0]);
}

BOOST_AUTO_TEST_CASE(a_run_is_not_advised_on_types) {
  const ScratchFolder folder;
  const std::string table = mixed_table(folder), run = folder.file("run");
  const Outcome described = flowcli(folder, {"data", table, "--columns", "a,n"});
  BOOST_TEST(contains(described.out, "integer (guessed)"), described.out);
  const Outcome told = flowcli(folder, {"data", table, "--columns", "a,n", "--types", "n=integer"});
  BOOST_TEST_REQUIRE(told.status == 0, told.err);
  BOOST_TEST(!contains(told.out, "guessed"), told.out);
  BOOST_TEST(contains(told.out, "integer"), told.out);
  const Outcome trained = flowcli(folder, tiny(table, run, {"--columns", "a,n"}));
  BOOST_TEST_REQUIRE(trained.status == 0, trained.err);
  BOOST_TEST(contains(trained.err, "integer (guessed)"));
  BOOST_TEST(contains(slurp(run + "/config.json"), "\"types\": \"n=integer\""));
  const std::vector<std::string> calls[] = {
      {"eval", run}, {"eval", run, "--data", table}, {"score", run}};
  for (const auto& call : calls) {
    const Outcome outcome = flowcli(folder, call);
    BOOST_TEST_REQUIRE(outcome.status == 0, outcome.err);
    BOOST_TEST(!contains(outcome.err, "guessed"), outcome.err);
  }
  // Where the model cannot take them for such, that is advised.
  const Outcome raw = flowcli(
      folder, tiny(table, run, {"--columns", "a,n", "--preprocess", "none", "--overwrite"}));
  BOOST_TEST(contains(raw.err, "whole numbers only in column 'n'"), raw.err);
  BOOST_TEST(!contains(raw.err, "guessed"), raw.err);
}

BOOST_AUTO_TEST_CASE(rows_have_the_name_and_number_of_their_file) {
  const ScratchFolder folder;
  const std::string own = folder.file("own.csv"), test = folder.file("test.csv"),
                    run = folder.file("run");
  std::ofstream(own) << slurp(mixed_table(folder));
  std::ofstream later(test);
  later << "a,b\n";
  for (int i = 0; i < 30; ++i) later << i * 7 % 11 + .5 << "," << i * 5 % 13 + .25 << "\n";
  later.close();
  BOOST_REQUIRE_EQUAL(
      flowcli(folder, tiny(own, run, {"--columns", "a,b", "--test-data", test})).status, 0);
  for (const std::vector<std::string>& more :
       {std::vector<std::string>{}, std::vector<std::string>{"--data", own, "--split", "test"}}) {
    std::vector<std::string> call = {"eval", run};
    call.insert(call.end(), more.begin(), more.end());
    const Outcome outcome = flowcli(folder, call);
    BOOST_TEST(outcome.out.starts_with(test + ", test split, 30 samples"), outcome.out);
  }
  // Its own validation rows are somewhere in the file: there they are as likely.
  const auto lowest = [&](const std::vector<std::string>& more) {
    std::vector<std::string> call = {"score", run, "--json"};
    call.insert(call.end(), more.begin(), more.end());
    return flowcli(folder, call).json()["lowest"];
  };
  for (const nlohmann::json& row : lowest({"--split", "valid"})) {
    const nlohmann::json there =
        lowest({"--data", own, "--indices", std::to_string(row["file_row"].get<int>())});
    BOOST_TEST(there[0]["nats"].get<double>() == row["nats"].get<double>(),
               boost::test_tools::tolerance(1e-5));
    BOOST_TEST(there[0]["file_row"] == row["file_row"]);
  }
  BOOST_TEST(contains(flowcli(folder, {"score", run, "--split", "valid"}).out, "row of the file"));
  // Another file is taken whole, the run's own never.
  std::ofstream(folder.file("six.csv")) << "a,b\n1,2\n2,3\n3,4\n4,5\n5,6\n6,8\n";
  const nlohmann::json against = flowcli(folder, {"score", run, "--against", folder.file("six.csv"),
                                                  "--against", own, "--json"})
                                     .json()["against"];
  BOOST_TEST(against[0]["count"] == 6);
  BOOST_TEST(against[1]["count"] == 30);
  BOOST_TEST(against[1]["source"] == test);
}

// Three of the rows differ in a column, and none of them is in the training part.
BOOST_AUTO_TEST_CASE(a_column_that_is_constant_in_training_only_is_trained_on) {
  const ScratchFolder folder;
  const std::string run = folder.file("run");
  std::ofstream out(folder.file("t.csv"));
  out << "time,a,flag\n";
  for (int i = 0; i < 200; ++i) {
    out << i << "," << i * 37 % 101 / 10.0 << "," << (i < 195 ? 0 : 1.5) << "\n";
  }
  out.close();
  const Outcome trained =
      flowcli(folder, tiny(folder.file("t.csv"), run, {"--split-by", "ordered:time"}));
  BOOST_TEST_REQUIRE(trained.status == 0, trained.err);
  BOOST_TEST(contains(trained.err, "column 'flag' is constant in the 160 training rows"));
  const Outcome outcome = flowcli(folder, {"eval", run, "--json"});
  BOOST_TEST_REQUIRE(outcome.status == 0, outcome.err);
  BOOST_TEST(outcome.json()["nats"].is_number());
  // Nothing simpler has a density there.
  const char* const why = "no baselines: a column is constant in the training rows";
  BOOST_TEST(contains(flowcli(folder, {"eval", run}).out, why));
  BOOST_TEST(flowcli(folder, {"report", run}).status == 0);
  BOOST_TEST(contains(slurp(run + "/report.html"), why));
  const Outcome raw = flowcli(folder, tiny(folder.file("t.csv"), folder.file("raw"),
                                           {"--split-by", "ordered:time", "--preprocess", "none"}));
  BOOST_TEST(contains(raw.err, "is constant in the 160 training rows"), raw.err);
  BOOST_TEST(!contains(raw.err, "its scale"), raw.err);
}

// Columns of a table have units of their own.
BOOST_AUTO_TEST_CASE(each_column_of_a_table_is_described) {
  const ScratchFolder folder;
  const std::string wide = folder.file("wide.csv"), one = folder.file("one.csv");
  std::ofstream out(wide);
  for (int j = 0; j < 40; ++j) out << (j > 0 ? "," : "") << "a column with a long name " << j;
  for (int i = 0; i < 30; ++i) {
    for (int j = 0; j < 40; ++j) out << (j > 0 ? "," : "\n") << 1000 * j + i * 7 % 5 + .5;
  }
  out.close();
  const Outcome told = flowcli(folder, {"data", wide});
  BOOST_TEST_REQUIRE(told.status == 0, told.err);
  std::istringstream lines(told.out);
  std::size_t count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    const bool path = contains(line, folder.file(""));
    BOOST_TEST((path || line.size() <= 80), line);
  }
  BOOST_TEST(count < 20U);
  BOOST_TEST(contains(told.out, "and 28 more"), told.out);
  BOOST_TEST(contains(told.out, "11000.5"), told.out);
  BOOST_TEST(!contains(told.out, "range ["), told.out);
  const auto columns = flowcli(folder, {"data", wide, "--json"}).json()["per_column"];
  BOOST_TEST_REQUIRE(columns.size() == 40U);
  BOOST_TEST(columns[3]["min"] == 3000.5);
  BOOST_TEST(columns[3]["max"] == 3004.5);
  BOOST_TEST(columns[3]["name"] == "a column with a long name 3");

  std::ofstream(one) << "x\n1.5\n2.5\n4\n3\n";
  const Outcome single = flowcli(folder, {"data", one});
  BOOST_TEST(contains(single.out, "#"), single.out);  // a histogram
  const Outcome drawn = flowcli(folder, {"data", one, "--out", folder.file("x.png")});
  BOOST_TEST(drawn.status == 2);
  BOOST_TEST(contains(drawn.err, "has one column, and a picture has two axes"), drawn.err);
  BOOST_TEST(contains(flowcli(folder, {"data", "moons"}).out, "range ["));
}

BOOST_AUTO_TEST_CASE(data_and_pictures_take_what_they_should) {
  const ScratchFolder folder;
  const Outcome made = flowcli(folder, {"data", "make", "moons", "--train", "9", "--json", "--out",
                                        folder.file("moons.csv")});
  BOOST_TEST_REQUIRE(made.status == 0, made.err);
  BOOST_TEST(made.json()["count"] == 9);
  nf::Generator gen(1);
  const std::string images = folder.file("images.npy"), run = folder.file("run");
  nf::data::write_npy(images, (nf::uniform(gen, {120, 6, 6}) * 256.0F).to(nf::DType::U8));
  const std::string small = folder.file("small.png"), large = folder.file("large.png");
  const auto draws = [&](std::vector<std::string> call) {
    std::vector<std::uintmax_t> sizes;
    for (const auto& [file, scale] : {std::pair{small, "1"}, std::pair{large, "20"}}) {
      std::vector<std::string> scaled = call;
      scaled.insert(scaled.end(), {"--scale", scale, call[0] == "score" ? "--png" : "--out", file});
      const Outcome outcome = flowcli(folder, scaled);
      BOOST_TEST_REQUIRE(outcome.status == 0, outcome.err);
      sizes.push_back(std::filesystem::file_size(file));
    }
    return sizes[0] < sizes[1];
  };
  BOOST_TEST(draws({"data", images}));
  BOOST_TEST(flowcli(folder, {"data", images, "--scale", "2"}).status == 2);
  BOOST_REQUIRE_EQUAL(flowcli(folder, tiny(images, run, {"--set", "clip=1"})).status, 0);
  BOOST_TEST(draws({"score", run}));
  BOOST_TEST(draws({"inpaint", run, "--steps", "2", "-n", "10"}));
  const Outcome one = flowcli(folder, {"interpolate", run, "-n", "2"});
  BOOST_TEST(contains(one.out, "wrote 1 line of"), one.out);
}

BOOST_AUTO_TEST_SUITE_END()
