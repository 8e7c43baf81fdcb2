// What columns of a table are: dropped, labels, types with bounds; and what follows for eval,
// score, sample and classify.
#include <boost/test/unit_test.hpp>
#include <cmath>

#include "cli_runs.h"
#include "data/csv.h"

using namespace nf::test;

BOOST_AUTO_TEST_SUITE(cli_columns)

namespace {

using Words = std::vector<std::string>;

/// 300 rows: an id, a town of three, a share in (0, 1) that follows the town, a count, a load.
std::string table(const ScratchFolder& folder) {
  std::string text = "id,town,share,count,load\n";
  const char* const towns[] = {"Bonn", "Köln", "Aachen"};
  for (int i = 0; i < 300; ++i) {
    const int town = i * 7 % 3;
    const double u = i * 37 % 101 / 101.0, v = i * 53 % 97 / 97.0;
    text += nf::str("r", i, ",", towns[town], ",", 0.005 + 0.3 * town + 0.3 * u, ",", i * 11 % 7,
                    ",", 10 * v + 3 * town, "\n");
  }
  write(folder.file("t.csv"), text);
  return folder.file("t.csv");
}

Outcome train(const ScratchFolder& folder, const std::string& data, const Words& more,
              const std::string& epochs = "8") {
  Words call = {
      "train",          "realnvp-2d", "--data",       data, "--out",    folder.file("run"),
      "--couplings",    "4",          "--batch-size", "50", "--epochs", epochs,
      "--hidden-units", "8",          "--threads",    "1"};
  call.insert(call.end(), more.begin(), more.end());
  return flowcli(folder, call);
}

Outcome good(const Outcome& outcome) {
  BOOST_TEST_REQUIRE(outcome.status == 0, outcome.err);
  return outcome;
}

/// The file as standard input.
std::function<void()> piped(const std::string& file) {
  return [file] { dup2(open(file.c_str(), O_RDONLY), STDIN_FILENO); };
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

BOOST_AUTO_TEST_CASE(columns_are_dropped_and_matched_by_name) {
  const ScratchFolder folder;
  const std::string data = table(folder), run = folder.file("run");
  const Outcome trained = good(train(folder, data, {"--drop", "id,town"}));
  BOOST_TEST(contains(trained.err, "read as CSV: columns between commas, a header"), trained.err);
  BOOST_TEST(contains(trained.err, "integer (guessed)"), trained.err);
  const auto config = config_of(run)["data"];
  BOOST_TEST(config["drop"] == "id,town");
  BOOST_TEST(config["types"] == "count=integer");
  BOOST_CHECK((config["columns"] == nlohmann::json{"share", "count", "load"}));
  // Another order, without what was dropped, with something new.
  write(folder.file("new.csv"), "load,colour,count,share\n1.5,red,2,0.25\n9,blue,3,0.5\n");
  write(folder.file("same.csv"), "share,count,load\n0.25,2,1.5\n0.5,3,9\n");
  const auto mixed =
      good(flowcli(folder, {"score", run, "--data", folder.file("new.csv"), "--out", "-"}));
  const auto plain =
      good(flowcli(folder, {"score", run, "--data", folder.file("same.csv"), "--out", "-"}));
  BOOST_TEST(mixed.out == plain.out);
  BOOST_TEST(contains(mixed.err, "the model does not know column 'colour', which is not looked at"),
             mixed.err);
  const std::string filter = folder.file("new.csv");
  const Outcome lines = good(flowcli(folder, {"score", run, "--data", "-"}, "", piped(filter)));
  BOOST_TEST(lines.out == mixed.out);
  for (const char* command : {"eval", "encode"}) {
    good(flowcli(folder, {command, run, "--data", folder.file("new.csv")}));
  }
  // The training file is known again, with the columns that were dropped.
  const Outcome own =
      good(flowcli(folder, {"eval", run, "--data", data, "--split", "test", "--json"}));
  BOOST_TEST(own.json()["count"] == 30);
  BOOST_TEST(!contains(own.err, "not looked at"), own.err);
  write(folder.file("few.csv"), "load,count\n1.5,2\n");
  expect_failure(flowcli(folder, {"score", run, "--data", folder.file("few.csv"), "--quiet"}),
                 {"there is no column 'share', which the model was trained on"});
}

BOOST_AUTO_TEST_CASE(a_text_column_gives_the_labels) {
  const ScratchFolder folder;
  const std::string data = table(folder), run = folder.file("run");
  good(train(folder, data, {"--drop", "id", "--types", "town=category", "--given", "town"}));
  const auto config = config_of(run)["data"];
  BOOST_TEST(config["label"] == "town");
  BOOST_TEST(config["given"] == "label");
  BOOST_CHECK((config["class_names"] == nlohmann::json{"Aachen", "Bonn", "Köln"}));
  const auto judged = good(flowcli(folder, {"classify", run, "--json"})).json();
  BOOST_TEST(judged["accuracy"].get<double>() > 0.8);  // share nearly tells the town
  const Words classes = lines_of(slurp(run + "/classes.csv"));
  BOOST_TEST(classes[0] == "row,label,predicted,p_Aachen,p_Bonn,p_Köln");
  BOOST_TEST((contains(classes[1], "Aachen") || contains(classes[1], "Bonn") ||
              contains(classes[1], "Köln")));
  // By name, as column or as label, and back from a file.
  const std::string drawn =
      good(flowcli(folder, {"sample", run, "--given", "town=Köln", "-n", "3", "--out", "-"})).out;
  BOOST_TEST(
      drawn ==
      good(flowcli(folder, {"sample", run, "--given", "Köln", "-n", "3", "--out", "-"})).out);
  BOOST_TEST(lines_of(drawn)[0] == "share,count,load,town");
  BOOST_TEST(lines_of(drawn)[3].ends_with(",Köln"), drawn);
  write(folder.file("wanted.csv"), "x,town\n?,Bonn\n?,Aachen\n");
  const Words asked =
      lines_of(good(flowcli(folder, {"sample", run, "--given-file", folder.file("wanted.csv"), "-n",
                                     "2", "--out", folder.file("s.csv")}))
                       .out.empty()
                   ? ""
                   : slurp(folder.file("s.csv")));
  BOOST_TEST_REQUIRE(asked.size() == 5U);
  BOOST_TEST((asked[1].starts_with("0,") && asked[1].ends_with(",Bonn")), asked[1]);
  BOOST_TEST((asked[4].starts_with("1,") && asked[4].ends_with(",Aachen")), asked[4]);
  good(flowcli(folder, {"eval", run, "--data", folder.file("s.csv")}));
  const std::string z = folder.file("z.csv");
  good(flowcli(folder, {"encode", run, "--data", folder.file("s.csv"), "--out", z}));
  good(flowcli(folder, {"decode", run, z, "--given-file", z, "--out", folder.file("back.csv")}));
  BOOST_TEST(lines_of(slurp(folder.file("back.csv")))[4].ends_with(",Aachen"));
  // Rows without the column are classified, but cannot be scored.
  write(folder.file("bare.csv"), "share,count,load\n0.25,2,1.5\n0.9,3,9\n");
  const auto bare =
      good(flowcli(folder, {"classify", run, "--data", folder.file("bare.csv"), "--json"})).json();
  BOOST_TEST(!bare.contains("accuracy"));
  expect_failure(flowcli(folder, {"score", run, "--data", folder.file("bare.csv"), "--quiet"}),
                 {"has no labels"});
  expect_failure(flowcli(folder, {"sample", run, "--given", "town=Kölln"}),
                 {"'Kölln' is no town of the model", "did you mean 'Köln'"}, 2);
  write(folder.file("other.csv"), "share,count,load,town\n0.25,2,1.5,Bern\n");
  expect_failure(flowcli(folder, {"score", run, "--data", folder.file("other.csv"), "--quiet"}),
                 {"line 2: 'Bern' is no label of the model", "Aachen, Bonn, Köln"});
}

// Without --given the label is kept out of the density, and may be missing later.
BOOST_AUTO_TEST_CASE(a_label_is_no_column_of_the_density) {
  const ScratchFolder folder;
  const std::string data = table(folder), run = folder.file("run");
  good(train(folder, data, {"--drop", "id", "--label", "town"}));
  BOOST_TEST(config_of(run)["data"]["classes"] == 3);
  BOOST_TEST(config_of(run)["data"]["dims"] == 3);
  write(folder.file("other.csv"), "share,count,load,town\n0.25,2,1.5,Bern\n");
  write(folder.file("bare.csv"), "share,count,load\n0.25,2,1.5\n");
  for (const char* file : {"other.csv", "bare.csv"})
    good(flowcli(folder, {"eval", run, "--data", folder.file(file)}));
  for (const auto& [more, says] : std::vector<std::pair<Words, std::string>>{
           {{"--drop", "id", "--types", "town=category"},
            "one category may be given, and nothing beside it, with --given town"},
           {{"--drop", "id", "--label", "twon"}, "no column 'twon'"},
           {{"--drop", "id", "--label", "town", "--given", "town"},
            "is the label column; say given label"},
           {{"--drop", "id,town,load", "--types", "share=bounded:0:0.5"},
            "which 135 of its numbers do not"},
           {{"--drop", "id,town", "--preprocess", "none", "--types", "share=bounded:0:1"},
            "bounds need preprocess = standard"},
           {{"--drop", "id,town", "--missing", "drop", "--set", "na=x,y", "--types", "q=real"},
            "no column 'q'"}}) {
    Words call = more;
    call.insert(call.end(), {"--overwrite", "--quiet"});
    expect_failure(train(folder, data, call), {says}, 2);
  }
}

BOOST_AUTO_TEST_CASE(a_bounded_column_has_no_density_and_no_samples_beyond_its_bounds) {
  const ScratchFolder folder;
  const std::string data = table(folder), run = folder.file("run");
  const Outcome trained = good(
      train(folder, data,
            {"--drop", "id,town", "--types", "share=bounded:0:1,load=bounded:-0.5:,count=real"}));
  BOOST_TEST(contains(trained.err, "between 0 and 1"), trained.err);
  BOOST_TEST(contains(trained.err, "above -0.5"), trained.err);
  BOOST_TEST(!contains(trained.err, "guessed"), trained.err);
  const auto evaluated = good(flowcli(folder, {"eval", run, "--json"})).json();
  BOOST_TEST(evaluated["bound"] == false);
  BOOST_TEST(
      evaluated["bits_per_row"].get<double>() == -evaluated["nats"].get<double>() / std::log(2.0),
      boost::test_tools::tolerance(1e-9));
  BOOST_TEST(evaluated["calibration"].size() == 3U);
  BOOST_TEST(evaluated["calibration"][0]["latent"] == "z1");
  BOOST_TEST(evaluated["calibration_p_value"].get<double>() <= 1);
  good(flowcli(folder,
               {"sample", run, "-n", "5000", "--temperature", "3", "--out", folder.file("s.csv")}));
  for (std::int64_t i = 0;
       const double value : nf::data::read_csv(folder.file("s.csv")).values.to_vector<double>()) {
    const std::int64_t column = i++ % 3;
    BOOST_REQUIRE(column != 0 || (value > 0 && value < 1));
    BOOST_REQUIRE(column != 2 || value > -0.5);
  }
  write(folder.file("out.csv"),
        "share,count,load\n0.25,2,1.5\n1,2,1.5\n1.5,2,1.5\n0.25,2,-0.5\n0.25,2,-3\n");
  const Words scores = lines_of(
      good(flowcli(folder, {"score", run, "--data", folder.file("out.csv"), "--out", "-"})).out);
  BOOST_TEST_REQUIRE(scores.size() == 6U);
  BOOST_TEST(!contains(scores[1], "inf"), scores[1]);
  for (std::size_t i = 2; i < 6; ++i) BOOST_TEST(contains(scores[i], ",-inf,inf,"), scores[i]);
  good(flowcli(folder, {"check", run}));
}

BOOST_AUTO_TEST_CASE(rows_that_lack_a_number_keep_their_place_in_the_file) {
  const ScratchFolder folder;
  std::string text = slurp(table(folder));
  const std::size_t at = text.find("r3,");
  const std::size_t end = text.find('\n', at);
  text.replace(at, end - at, "r3,Bonn,NA,1,2");
  const std::string data = folder.file("na.csv"), run = folder.file("run");
  write(data, text);
  expect_failure(train(folder, data, {"--drop", "id,town", "--quiet"}),
                 {"line 5, column 3 ('share'): the number is missing ('NA')", "--missing drop"});
  const Outcome trained = good(train(folder, data, {"--drop", "id,town", "--missing", "drop"}));
  BOOST_TEST(contains(trained.err, "1 of 300 rows lack a number and are left out"), trained.err);
  BOOST_TEST(config_of(run)["data"]["skipped"] == 1);
  const Words scores =
      lines_of(good(flowcli(folder, {"score", run, "--data", data, "--out", "-"})).out);
  BOOST_TEST_REQUIRE(scores.size() == 300U);
  BOOST_TEST(scores[3].ends_with(",2"), scores[3]);
  BOOST_TEST(scores[4].ends_with(",4"), scores[4]);
  const Outcome filter = good(flowcli(folder, {"score", run, "--data", "-"}, "", piped(data)));
  BOOST_TEST(lines_of(filter.out) == scores, boost::test_tools::per_element());
  BOOST_TEST(contains(filter.err, "1 of 300 rows of standard input lack a number"), filter.err);
}

BOOST_AUTO_TEST_CASE(quantiles_are_told_for_each_row_that_is_given) {
  const ScratchFolder folder;
  std::string text = "y,n,a\n";
  for (int i = 0; i < 400; ++i) {
    text += nf::str(i % 20 + (i * 37 % 101 - 50) / 50.0, ",", i * 7 % 5, ",", i % 20, ".0\n");
  }
  write(folder.file("y.csv"), text);
  const std::string run = folder.file("run");
  good(train(folder, folder.file("y.csv"), {"--given", "a"}, "30"));
  write(folder.file("rows.csv"), "a\n2\n17\n");
  const std::string file = folder.file("rows.csv");
  const std::string told = good(flowcli(folder, {"sample", run, "--given-file", file, "--quantiles",
                                                 ".1, 0.5,.9", "-n", "300", "--out", "-"}))
                               .out;
  const Words lines = lines_of(told);
  BOOST_TEST_REQUIRE(lines.size() == 3U);
  BOOST_TEST(lines[0] == "given_row,y_q0.1,y_q0.5,y_q0.9,n_q0.1,n_q0.5,n_q0.9,a");
  for (const auto& [line, a] : {std::pair{lines[1], 2.0}, {lines[2], 17.0}}) {
    double row = 0, low = 0, middle = 0, high = 0, counts[3] = {};
    BOOST_TEST(std::sscanf(line.c_str(), "%lf,%lf,%lf,%lf,%lf,%lf,%lf", &row, &low, &middle, &high,
                           &counts[0], &counts[1], &counts[2]) == 7);
    BOOST_TEST((low < middle && middle < high), line);
    BOOST_TEST(std::abs(middle - a) < 3, line);
    for (const double count : counts) BOOST_TEST(count == std::floor(count), line);
  }
  const Outcome again = flowcli(folder, {"sample", run, "--given-file", file, "--quantiles",
                                         ".1,.5,.9", "-n", "300", "--json"});
  BOOST_TEST(good(again).json()["samples_each"] == 300);
  BOOST_TEST(slurp(run + "/samples/quantiles.csv") == told);
  expect_failure(flowcli(folder, {"sample", run, "--given", "a=1", "--quantiles", "0.5,1"}),
                 {"'1' is no number between 0 and 1"}, 2);
  expect_failure(
      flowcli(folder, {"sample", run, "--given", "a=1", "--quantiles", "0.5", "--out", "q.npy"}),
      {".csv"}, 2);
}

BOOST_AUTO_TEST_CASE(columns_that_are_hard_to_learn_as_they_are_are_named) {
  const ScratchFolder folder;
  std::string text = "income,change,kind,count,size\n";
  for (int i = 0; i < 300; ++i) {
    const double u = (i * 37 % 301 + 0.5) / 301, t = std::tan(3.14159 * (u - 0.5));
    text += nf::str(std::exp(3 * std::log(u / (1 - u))), ",", t, ",", i % 2, ",", i % 3, ",",
                    10 + u, "\n");
  }
  write(folder.file("t.csv"), text);
  const auto told = [&](const std::string& model, const std::string& types) {
    std::string words =
        good(flowcli(folder, {"train", model, "--data", folder.file("t.csv"), "--types", types,
                              "--steps", "2", "--hidden-units", "8", "--threads", "1",
                              "--overwrite", "--out", folder.file("run")}))
            .err;
    std::replace(words.begin(), words.end(), '\n', ' ');
    for (std::size_t at; (at = words.find("  ")) != std::string::npos;) words.erase(at, 1);
    return words;
  };
  const std::string all = told("tabular", "count=integer");
  BOOST_TEST(contains(all, "note: column 'income', 'change' have values far beyond their"), all);
  BOOST_TEST(contains(all, "--types income=bounded:0: learns the logarithm"), all);
  BOOST_TEST(contains(all, "asinh"), all);
  BOOST_TEST(contains(all, "note: column 'kind' holds 0 and 1 alone"), all);
  BOOST_TEST(contains(all, "give --types kind=category"), all);
  const std::string less = told("tabular", "income=bounded:0:,kind=integer");
  BOOST_TEST(contains(less, "note: column 'change' has values far beyond its"), less);
  BOOST_TEST(!contains(less, "bounded:0: learns"), less);
  BOOST_TEST(!contains(less, "0 and 1 alone"), less);
  BOOST_TEST(!contains(told("maf", "income=bounded:0:,count=integer"), "0 and 1 alone"));
}

BOOST_AUTO_TEST_SUITE_END()
