// flowcli on mixed tables, with the model tabular: categories, missing cells, any columns given any
// others.
#include <boost/test/unit_test.hpp>
#include <cmath>

#include "cli_runs.h"
#include "data/csv.h"
#include "tensor/random.h"

using namespace nf::test;

BOOST_AUTO_TEST_SUITE(cli_tabular)

namespace {

using Words = std::vector<std::string>;

/// People: an age, a sex that the height follows, a colour that the share follows, children; with
/// `gaps` every 9th age and every 7th colour is missing.
std::string people(int n, bool gaps, int first = 0) {
  std::string text = "age,sex,height,colour,share,children\n";
  const char* const colours[] = {"red", "green", "light blue"};
  for (int k = 0; k < n; ++k) {
    const int i = first + k;
    const double u = i * 37 % 101 / 101.0, v = i * 53 % 97 / 97.0, w = i * 29 % 89 / 89.0;
    const bool f = i * 13 % 7 < 3;
    const int colour = i * 5 % 11 % 3;
    text +=
        nf::str(gaps && i % 9 == 0 ? "" : nf::str(20 + 50 * u), ",", f ? "f" : "m", ",",
                (f ? 165 : 178) + 12 * (v - 0.5), ",", gaps && i % 7 == 0 ? "NA" : colours[colour],
                ",", 0.01 + 0.3 * colour + 0.3 * w, ",", i * 11 % 4, "\n");
  }
  return text;
}

/// Trained long enough to be better than a Gaussian, which would take the network's place.
struct Table {
  explicit Table(bool gaps = true, const Words& more = {}, const std::string& epochs = "10") {
    write(data, people(300, gaps));
    trained = train(more, epochs);
    BOOST_TEST_REQUIRE(trained.status == 0, trained.err);
  }
  Outcome train(const Words& more, const std::string& epochs = "10") const {
    Words call = {
        "train",       "tabular",      "--data", data,           "--out", run,
        "--overwrite", "--threads",    "1",      "--epochs",     epochs,  "--hidden-units",
        "16",          "--components", "3",      "--batch-size", "20",    "--lr",
        "2e-2"};
    call.insert(call.end(), more.begin(), more.end());
    return flowcli(folder, call);
  }
  Outcome call(const std::string& command, const Words& more = {}) const {
    Words words = {command, run, "--threads", "1"};
    words.insert(words.end(), more.begin(), more.end());
    return flowcli(folder, words);
  }
  Outcome good(const std::string& command, const Words& more = {}) const {
    Outcome outcome = call(command, more);
    BOOST_TEST_REQUIRE(outcome.status == 0, outcome.err);
    return outcome;
  }
  std::string file(const std::string& name, const std::string& text) const {
    write(folder.file(name), text);
    return folder.file(name);
  }

  ScratchFolder folder;
  const std::string data = folder.file("people.csv"), run = folder.file("run");
  Outcome trained;
};

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

Words cells_of(const std::string& line) {
  Words cells(1);
  for (const char c : line) {
    if (c == ',') {
      cells.emplace_back();
    } else {
      cells.back() += c;
    }
  }
  return cells;
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_mixed_table_goes_through_every_command) {
  const Table t;
  BOOST_TEST(contains(t.trained.err, "category of 3: green, light blue, red (guessed)"),
             t.trained.err);
  BOOST_TEST(contains(t.trained.err, "missing"), t.trained.err);
  BOOST_TEST(contains(t.trained.err, "a Gaussian of the same columns reaches"), t.trained.err);
  const auto config = config_of(t.run)["data"];
  BOOST_TEST(config["types"] == "children=integer,sex=category,colour=category");
  BOOST_TEST(config["missing"] == "model");
  BOOST_CHECK((config["categories"] == nlohmann::json{nlohmann::json::array(),
                                                      {"f", "m"},
                                                      nlohmann::json::array(),
                                                      {"green", "light blue", "red"},
                                                      nlohmann::json::array(),
                                                      nlohmann::json::array()}));
  for (const char* command : {"check", "report", "inspect"}) t.good(command);
  const auto eval = t.good("eval", {"--json"}).json();
  BOOST_TEST(eval["nats"].is_number());
  BOOST_TEST(eval["gaussian_nats"].is_number());
  BOOST_TEST(eval["bound"] == false);
  expect_failure(t.call("encode", {"--quiet"}), {"has no latents"});
  const auto drawn = lines_of(t.good("sample", {"-n", "60", "--out", "-"}).out);
  BOOST_TEST(drawn[0] == "age,sex,height,colour,share,children");
  BOOST_TEST(drawn.size() == 61U);
  for (std::size_t i = 1; i < drawn.size(); ++i) {
    const Words cells = cells_of(drawn[i]);
    BOOST_TEST((cells[1] == "f" || cells[1] == "m"));
    BOOST_TEST((cells[3] == "red" || cells[3] == "green" || cells[3] == "light blue"));
    BOOST_TEST(!contains(cells[5], "."));
  }
  // What is drawn is a table that can be scored, and trained on.
  t.good("sample", {"-n", "60", "--out", t.folder.file("drawn.csv")});
  t.good("score", {"--data", t.folder.file("drawn.csv")});
}

BOOST_AUTO_TEST_CASE(rows_have_the_same_score_in_a_file_alone_and_line_by_line) {
  const Table t;
  const std::string rows = people(20, true, 400);
  const auto all = t.good("score", {"--data", t.file("new.csv", rows), "--out", "-"});
  const std::string filter = t.folder.file("new.csv");
  const Outcome lines = flowcli(t.folder, {"score", t.run, "--data", "-", "--threads", "1"}, "",
                                [&] { dup2(open(filter.c_str(), O_RDONLY), STDIN_FILENO); });
  BOOST_TEST(lines.out == all.out);
  // Columns in another order, without one, which is then no row of the model.
  expect_failure(t.call("score", {"--data", t.file("few.csv", "age,sex\n30,f\n"), "--quiet"}),
                 {"there is no column"});
}

BOOST_AUTO_TEST_CASE(any_columns_are_given_any_others) {
  const Table t(true, {}, "90");
  const auto lines = lines_of(
      t.good("sample", {"--given", "sex=m,colour=light blue", "-n", "40", "--out", "-"}).out);
  BOOST_TEST(lines.size() == 41U);
  double height = 0;
  for (std::size_t i = 1; i < lines.size(); ++i) {
    const Words cells = cells_of(lines[i]);
    BOOST_TEST((cells[1] == "m" && cells[3] == "light blue"));
    height += std::stod(cells[2]) / 40;
  }
  BOOST_TEST(height > 174);  // those of f are 165 +- 6
  const std::string rows = t.file("rows.csv", "sex,age\nf,33.5\nm,\n");
  const auto of_rows =
      lines_of(t.good("sample", {"--given-file", rows, "-n", "3", "--out", "-"}).out);
  BOOST_TEST(of_rows[0] == "given_row,age,sex,height,colour,share,children");
  BOOST_TEST(of_rows.size() == 7U);
  BOOST_TEST(of_rows[1].starts_with("0,33.5,f,"));
  BOOST_TEST(of_rows[6].starts_with("1,"));
  const auto quantiles =
      lines_of(t.good("sample", {"--given-file", rows, "--quantiles", ".1,.9", "--out", "-"}).out);
  BOOST_TEST(contains(quantiles[0], "height_q0.1,height_q0.9"));
  BOOST_TEST(!contains(quantiles[0], "sex"));
  for (const auto& [given, says] : std::vector<std::pair<std::string, std::string>>{
           {"sex=x", "'x' is none of its values, which are f, m"},
           {"agee=3", "no column 'agee'; did you mean 'age'"},
           {"age=3,age=4", "age stands twice"},
           {"age", "'age' is not COLUMN=VALUE"},
           {"age=old", "'old' is no finite number"},
           {"children=1.5", "whole numbers, not 1.5"}}) {
    expect_failure(t.call("sample", {"--given", given, "--quiet"}), {says}, 2);
  }
}

BOOST_AUTO_TEST_CASE(missing_cells_are_filled_in) {
  const Table t;
  const std::string rows = people(30, true, 500);
  const auto before = lines_of(rows);
  const std::string path = t.file("gaps.csv", rows);
  const auto count = t.good("impute", {"--data", path, "--json"}).json();
  BOOST_TEST(count["rows"] == 30);
  BOOST_TEST(count["cells"] == 7);
  const auto whole = lines_of(slurp(t.run + "/imputed.csv"));
  BOOST_TEST_REQUIRE(whole.size() == 31U);
  for (std::size_t i = 1; i < whole.size(); ++i) {
    const Words now = cells_of(whole[i]), then = cells_of(before[i]);
    for (std::size_t j = 0; j < now.size(); ++j) {
      const bool gap = then[j].empty() || then[j] == "NA";
      BOOST_TEST((gap ? !now[j].empty() && now[j] != "NA"
                      : now[j] == then[j] || std::stod(now[j]) == std::stod(then[j])),
                 now[j] << " for " << then[j]);
    }
  }
  const auto many = lines_of(t.good("impute", {"--data", path, "-n", "3", "--out", "-"}).out);
  BOOST_TEST(many[0] == "row,age,sex,height,colour,share,children");
  BOOST_TEST(many.size() == 91U);
  BOOST_TEST(many[4].starts_with("1,"));
  const auto median = lines_of(t.good("impute", {"--data", path, "--median", "--out", "-"}).out);
  BOOST_TEST(median.size() == 31U);
  expect_failure(t.call("impute", {"--data", t.file("x.csv", "age,sex\nold,f\n"), "--quiet"}),
                 {"'old' is not a number"});
}

// As samples are that lost their names, and those of a run that never had any.
BOOST_AUTO_TEST_CASE(tables_without_names_are_taken_by_position) {
  const Table t;
  t.good("sample", {"-n", "20", "--out", t.folder.file("named.csv")});
  const std::string named = slurp(t.folder.file("named.csv"));
  const std::string bare = t.file("bare.csv", named.substr(named.find('\n') + 1));
  const std::string with =
      t.good("score", {"--data", t.folder.file("named.csv"), "--out", "-"}).out;
  for (const char* command : {"score", "eval", "calibrate"}) {
    Words more = {"--data", bare};
    if (command == std::string("score")) more.insert(more.end(), {"--out", "-"});
    const Outcome told = t.good(command, more);
    BOOST_TEST(told.err.find("by position") != std::string::npos, told.err);
    if (command == std::string("score")) BOOST_TEST(told.out == with);
  }
  std::string other = named;
  other.replace(other.find("age"), 3, "Age");
  expect_failure(t.call("score", {"--data", t.file("other.csv", other)}),
                 {"other.csv", "no column 'age'", "which the model was trained on"});
  std::string rows = people(300, false);
  rows = rows.substr(rows.find('\n') + 1);
  write(t.data, rows);
  BOOST_TEST_REQUIRE(t.train({}).status == 0);
  t.good("sample", {"-n", "20", "--out", t.folder.file("named.csv")});
  t.good("score", {"--data", t.folder.file("named.csv")});
}

// A cell beyond its bound, or between whole numbers, would be known as something else.
BOOST_AUTO_TEST_CASE(known_cells_of_a_file_are_what_their_columns_hold) {
  const Table t(true, {"--types", "share=bounded:0:1,children=integer"});
  const std::string bound = t.file("bound.csv", "age,share\n30,0.5\n40,1\n"),
                    half = t.file("half.csv", "age,children\n30,2.5\n");
  for (const Words& call : {Words{"impute", "--data"},
                            {"sample", "--given-file"},
                            {"sample", "-n", "50", "--quantiles", ".1,.9", "--given-file"}}) {
    Words more(call.begin() + 1, call.end());
    more.push_back(bound);
    expect_failure(t.call(call[0], more), {bound, "line 3: column 'share' lies", "not at 1"});
    more.back() = half;
    expect_failure(t.call(call[0], more), {"line 2: column 'children' holds whole numbers"});
  }
}

BOOST_AUTO_TEST_CASE(a_table_without_a_complete_row_has_no_baselines) {
  const Table t;
  std::string text = "a,b\n";
  for (int i = 0; i < 200; ++i)
    text +=
        nf::str(i % 2 ? "" : nf::str(i * 37 % 101), ",", i % 2 ? nf::str(i * 53 % 97) : "", "\n");
  write(t.data, text);
  const Outcome trained = t.train({});
  BOOST_TEST_REQUIRE(trained.status == 0, trained.err);
  BOOST_TEST(
      trained.err.find("no baselines: each training row lacks a number") != std::string::npos,
      trained.err);
  t.good("eval");
}

// After an epoch the network knows nothing of b, which is a + 1/2 or a - 1/2.
BOOST_AUTO_TEST_CASE(a_network_that_is_worse_than_a_gaussian_is_replaced) {
  const Table t;
  std::string text = "a,b,kind\n";
  nf::Generator gen(4);
  const auto noise = nf::normal(gen, {300, 2}, nf::DType::F64).to_vector<double>();
  for (std::size_t i = 0; i < noise.size(); i += 2) {
    text += nf::str(
        noise[i], ",",
        i % 20 == 0 ? "" : nf::str(noise[i] + (i % 8 < 4 ? 0.5 : -0.5) + 0.1 * noise[i + 1]), ",",
        i % 3 == 0 ? "x" : "y", "\n");
  }
  write(t.data, text);
  const Outcome trained = t.train({}, "1");
  BOOST_TEST_REQUIRE(trained.status == 0, trained.err);
  BOOST_TEST(contains(trained.err, "the best weights are those of the Gaussian"), trained.err);
  BOOST_TEST(!contains(trained.err, "WARNING"), trained.err);
  // Cells are there or not, so no fit is better than the other but for rounding.
  const auto eval = t.good("eval", {"--json"}).json();
  BOOST_TEST(std::abs(eval["gaussian_difference"].get<double>()) < 1e-3);
  BOOST_TEST(eval["independent_difference"].get<double>() > 0.3);
  t.good("score", {"--flag", "0.05", "--why"});
  t.good("report");
  const auto drawn =
      lines_of(t.good("sample", {"--given", "a=1,kind=x", "-n", "3", "--out", "-"}).out);
  for (std::size_t i = 1; i < drawn.size(); ++i) {
    const Words cells = cells_of(drawn[i]);
    BOOST_TEST((cells[0] == "1" && cells[2] == "x"), drawn[i]);
    BOOST_TEST(std::abs(std::stod(cells[1]) - 1) < 3, drawn[i]);
  }
  expect_failure(t.call("impute", {"--data", t.file("bad.csv", "a,b,kind\n1,,z\n"), "--quiet"}),
                 {"'z'"});
  // The network goes on from where it was; when it is better, it is taken.
  const Outcome more = t.call("resume", {"--epochs", "60"});
  BOOST_TEST_REQUIRE(more.status == 0, more.err);
  BOOST_TEST(contains(more.err, "nats better"), more.err);
  BOOST_TEST(t.good("eval", {"--json"}).json()["gaussian_difference"].get<double>() > 1e-2);
}

BOOST_AUTO_TEST_CASE(columns_say_why_a_row_is_unusual) {
  const Table t(false, {}, "30");
  const std::string rows = t.file("odd.csv",
                                  "age,sex,height,colour,share,children\n"
                                  "40,f,166,red,0.7,1\n"     // as others
                                  "40,f,199,red,0.7,1\n"     // too tall
                                  "40,m,178,green,0.95,1\n"  // not green's share
                                  "40,m,178,red,0.7,9\n");
  const auto lines = lines_of(t.good("score", {"--data", rows, "--why", "--out", "-"}).out);
  BOOST_TEST(lines[0] == "row,nats,bits_per_dim,file_row,why");
  BOOST_TEST(contains(lines[2], "height"), lines[2]);
  BOOST_TEST(contains(lines[4], "children"), lines[4]);
  const Outcome told = t.good("score", {"--data", rows, "--why", "--out", t.folder.file("s.csv")});
  BOOST_TEST(contains(told.out, "beside 30 held-out rows 3.2 % of ordinary ones do"), told.out);
  const std::string out = t.folder.file("s.npy");
  expect_failure(t.call("score", {"--why", "--out", out, "--quiet"}), {"names of columns"}, 2);
}

BOOST_AUTO_TEST_CASE(a_resumed_training_is_one_without_a_break) {
  const Table whole(true, {"--schedule", "constant"}, "4");
  const Table parts(true, {"--schedule", "constant"}, "2");
  expect_ok(flowcli(parts.folder, resume(parts.run, {"--epochs", "4"})));
  BOOST_TEST((slurp(whole.run + "/last.safetensors") == slurp(parts.run + "/last.safetensors")));
}

BOOST_AUTO_TEST_CASE(wrong_cells_are_told_in_one_line) {
  const Table t;
  const std::string head = "age,sex,height,colour,share,children\n";
  for (const auto& [row, says] : std::vector<std::pair<std::string, std::string>>{
           {"40,f,170,purple,0.5,1", "line 2, column 4 ('colour'): 'purple' is none of the values"},
           {"old,f,170,red,0.5,1", "column 1 ('age'): 'old' is not a number"},
           {"40,f,170,red,0.5,1.5", "'children'"}}) {
    expect_failure(t.call("score", {"--data", t.file("bad.csv", head + row + "\n"), "--quiet"}),
                   {says});
  }
  const std::pair<std::string, std::string> tables[] = {
      {"a,b\n1,x\n2,x\n3,x\n4,x\n5,x\n6,x\n", "'b' has the one value 'x'"},
      {"a,b\n1,2\n2,x\n3,4\n4,5\n5,6\n6,7\n", "'x' is not a number"},
      {"a,b\n1,2024-01-01\n2,2024-01-02\n3,2024-01-03\n4,2024-01-04\n", "date or time"},
  };
  for (const auto& [text, says] : tables) {
    write(t.data, text);
    expect_failure(t.train({"--quiet"}), {says});
  }
  std::string many = "a,b\n", names = "a,b\n";
  for (int i = 0; i < 600; ++i) many += nf::str(i * 7 % 101, ",t", i % 300, "\n");
  for (int i = 0; i < 60; ++i) names += nf::str(i * 7 % 101, ",t", i, "\n");
  write(t.data, many);
  expect_failure(t.train({"--quiet"}), {"more than 256 different texts"});
  write(t.data, names);
  expect_failure(t.train({"--quiet"}), {"60 different texts in 60 rows", "--drop b"});
  // Without its default, and of other models: as they ever were.
  write(t.data, people(60, true));
  expect_failure(t.train({"--missing", "refuse", "--quiet"}), {"the number is missing"});
  expect_failure(flowcli(t.folder, {"train", "maf", "--data", t.data, "--quiet", "--drop",
                                    "age,sex,colour", "--missing", "model"}),
                 {"only tabular"}, 2);
  expect_failure(flowcli(t.folder, {"train", "maf", "--data", t.data, "--quiet", "--types",
                                    "colour=category"}),
                 {"but in the model tabular"}, 2);
}

BOOST_AUTO_TEST_CASE(numbers_may_be_categories_and_bounds_hold) {
  const Table t(false, {"--types", "children=category,share=bounded:0:1"});
  const auto config = config_of(t.run)["data"];
  BOOST_CHECK((config["categories"][5] == nlohmann::json{"0", "1", "2", "3"}));
  for (const std::string& line : lines_of(t.good("sample", {"-n", "200", "--out", "-"}).out)) {
    if (line.starts_with("age")) continue;
    const double share = std::stod(cells_of(line)[4]);
    BOOST_TEST((share > 0 && share < 1));
  }
  expect_failure(t.call("sample", {"--given", "share=1.5", "--quiet"}), {"between 0 and 1"}, 2);
}

BOOST_AUTO_TEST_CASE(a_damaged_list_of_categories_is_told) {
  const Table t;
  const auto config = config_of(t.run);
  const auto list = [](std::size_t n) {
    nlohmann::json names = nlohmann::json::array();
    for (std::size_t i = 0; i < n; ++i) names.push_back(nf::str("v", i));
    return names;
  };
  const auto none = nlohmann::json::array();
  const nlohmann::json damaged[] = {
      "red",
      nlohmann::json{list(2)},
      nlohmann::json::array({none, list(1), none, list(3), none, none}),
      nlohmann::json::array({none, list(300), none, list(3), none, none}),
      nlohmann::json::array({none, {"f", "f"}, none, list(3), none, none}),
      nlohmann::json::array({none, list(2), none, list(4), none, none}),
      nlohmann::json::array({none, list(2), none, none, none, none}),
      nlohmann::json::array({list(2), list(2), none, list(3), none, none}),
      nlohmann::json::array()};
  for (const auto& categories : damaged) {
    auto other = config;
    other["data"]["categories"] = categories;
    write(t.run + "/config.json", other.dump());
    expect_failure(t.call("sample", {"-n", "3", "--out", "-", "--quiet"}), {});
  }
}

BOOST_AUTO_TEST_CASE(densities_in_the_plane_and_labels_work_too) {
  const ScratchFolder folder;
  const std::string run = folder.file("run");
  expect_ok(flowcli(folder, {"train", "tabular", "--data", "moons", "--train", "300", "--valid",
                             "100", "--test", "100", "--steps", "20", "--hidden-units", "8",
                             "--out", run, "--threads", "1", "--quiet"}));
  for (const char* command : {"eval", "check", "report", "sample"}) {
    expect_ok(flowcli(folder, {command, run, "--threads", "1"}));
  }
  write(folder.file("t.csv"), people(200, false));
  expect_ok(flowcli(folder, {"train", "tabular", "--data", folder.file("t.csv"), "--label", "sex",
                             "--given", "label", "--epochs", "3", "--hidden-units", "8", "--out",
                             run, "--overwrite", "--threads", "1", "--quiet"}));
  expect_ok(flowcli(folder, {"classify", run, "--threads", "1"}));
  expect_ok(flowcli(folder, {"sample", run, "--given", "f", "-n", "5", "--out", "-"}));
}

BOOST_AUTO_TEST_SUITE_END()
