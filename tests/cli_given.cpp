// flowcli on conditional models: --given at train and sample, rows that bring what is given.
#include <boost/test/unit_test.hpp>

#include "cli_runs.h"
#include "file_makers.h"
#include "tensor/text.h"

using namespace nf::test;

BOOST_AUTO_TEST_SUITE(cli_given)

namespace {

using Arguments = std::vector<std::string>;

/// y near the sum of a and b; columns a, y, z, b.
std::string table(const ScratchFolder& folder, const std::string& header = "a,y,z,b\n") {
  std::string text = header;
  for (int i = 0; i < 200; ++i) {
    const double a = i % 17 / 8.0, b = i % 23 / 11.0, noise = (i * 37 % 101 - 50) / 500.0;
    text +=
        nf::str(a, ",", a + b + noise, ",", noise - a * 0.5 + (i * 13 % 7) / 70.0, ",", b, "\n");
  }
  write(folder.file("table.csv"), text);
  return folder.file("table.csv");
}

Outcome train(const ScratchFolder& folder, const Arguments& more) {
  Arguments all = {"train", "realnvp-2d",     "--out", folder.file("run"), "--couplings",
                   "2",     "--hidden-units", "8",     "--quiet",          "--threads",
                   "1",     "--epochs",       "2"};
  all.insert(all.end(), more.begin(), more.end());
  return flowcli(folder, all);
}

nlohmann::json json_of(const Outcome& outcome) {
  expect_ok(outcome);
  return nlohmann::json::parse(outcome.out);
}

}  // namespace

BOOST_AUTO_TEST_CASE(rows_bring_what_is_given_by_name) {
  const ScratchFolder folder;
  const std::string data = table(folder), run = folder.file("run");
  expect_ok(train(folder, {"--data", data, "--given", "b,a"}));
  const auto config = config_of(run);
  BOOST_TEST(config["data"]["given"] == "b,a");
  BOOST_TEST(config["data"]["columns"] == (std::vector<std::string>{"y", "z"}));
  BOOST_TEST(json_of(flowcli(folder, {"eval", run, "--json"}))["dims"] == 2);

  // The same rows with their columns in another order have the same scores.
  write(folder.file("few.csv"), "a,y,z,b\n0.5,1.5,0.1,1\n1,2,-0.2,0.3\n");
  write(folder.file("turned.csv"), "z,b,y,a\n0.1,1,1.5,0.5\n-0.2,0.3,2,1\n");
  const auto score = [&](const std::string& file, const std::string& in = "") {
    const Outcome outcome = flowcli(folder, {"score", run, "--data", file, "--out", "-"});
    expect_ok(outcome);
    return outcome.out + in;
  };
  BOOST_TEST(score(folder.file("few.csv")) == score(folder.file("turned.csv")));
  write(folder.file("other.csv"), "a,y,z,b\n0.5,1.5,0.1,0.9\n1,2,-0.2,0.3\n");
  BOOST_TEST(score(folder.file("few.csv")) != score(folder.file("other.csv")));

  write(folder.file("less.csv"), "a,y,z\n0.5,1.5,0.1\n");
  expect_failure(flowcli(folder, {"eval", run, "--data", folder.file("less.csv")}),
                 {"[given]", "no column 'b'"});
  for (const char* command : {"check", "report"}) expect_ok(flowcli(folder, {command, run}));
  std::filesystem::rename(data, folder.file("moved.csv"));
  expect_ok(flowcli(folder, {"report", run, "--out", folder.file("gone.html")}));
  BOOST_TEST(slurp(folder.file("gone.html")).find("none are there") != std::string::npos);
  expect_ok(flowcli(folder, {"plot", run, "--given", "a=1,b=1"}));
}

BOOST_AUTO_TEST_CASE(samples_have_what_was_given_and_latents_come_back) {
  const ScratchFolder folder;
  const std::string data = table(folder), run = folder.file("run");
  expect_ok(train(folder, {"--data", data, "--given", "a,b"}));
  const Outcome some =
      flowcli(folder, {"sample", run, "--given", "b=0.5,a=1.25", "-n", "3", "--out", "-"});
  expect_ok(some);
  const auto lines = lines_of(some.out);
  BOOST_TEST_REQUIRE(lines.size() == 4);
  BOOST_TEST(lines[0] == "y,z,a,b");
  for (std::size_t i = 1; i < 4; ++i) BOOST_TEST(lines[i].ends_with(",1.25,0.5"), lines[i]);
  write(folder.file("given.csv"), "b,other,a\n0.5,7,1\n0.25,7,2\n");
  const Outcome each = flowcli(folder, {"sample", run, "--given-file", folder.file("given.csv"),
                                        "-n", "2", "--out", folder.file("s.csv")});
  expect_ok(each);
  const auto drawn = lines_of(slurp(folder.file("s.csv")));
  BOOST_TEST_REQUIRE(drawn.size() == 5);
  BOOST_TEST(drawn[0] == "given_row,y,z,a,b");
  BOOST_TEST((drawn[2].starts_with("0,") && drawn[2].ends_with(",1,0.5")), drawn[2]);
  BOOST_TEST((drawn[3].starts_with("1,") && drawn[3].ends_with(",2,0.25")), drawn[3]);
  expect_ok(flowcli(folder, {"eval", run, "--data", folder.file("s.csv")}));
  BOOST_TEST(lines_of(flowcli(folder, {"sample", run, "-n", "7", "--out", "-"}).out).size() == 8);

  const std::string z = folder.file("z.csv"), back = folder.file("back.csv");
  expect_ok(flowcli(folder, {"encode", run, "--data", folder.file("s.csv"), "--out", z}));
  expect_ok(flowcli(folder, {"decode", run, z, "--given-file", z, "--out", back}));
  const auto again = lines_of(slurp(back));
  BOOST_TEST_REQUIRE(again.size() == drawn.size());
  BOOST_TEST(std::abs(std::stod(again[4]) - std::stod(drawn[4].substr(2))) < 1e-4);
  expect_failure(flowcli(folder, {"decode", run, z, "--out", back}),
                 {"[decode] the model is conditional", "--given a=..,b=..", "--given-file FILE"},
                 2);
}

BOOST_AUTO_TEST_CASE(columns_without_names_go_by_their_place) {
  const ScratchFolder folder;
  const std::string data = table(folder, ""), run = folder.file("run");
  expect_ok(train(folder, {"--data", data, "--given", "1,4"}));
  const Outcome some = flowcli(
      folder, {"sample", run, "--given", "1=0.5,4=1", "-n", "2", "--out", folder.file("s.csv")});
  expect_ok(some);
  const auto lines = lines_of(slurp(folder.file("s.csv")));
  BOOST_TEST_REQUIRE(lines.size() == 3);
  BOOST_TEST(lines[0] == "x1,x2,x3,x4");
  BOOST_TEST(lines[1].starts_with("0.5,") == true);
  BOOST_TEST(lines[1].ends_with(",1") == true);
  const Arguments same = {"sample", run, "--given", "x4=1,x1=0.5",
                          "-n",     "2", "--out",   folder.file("t.csv")};
  expect_ok(flowcli(folder, same));
  BOOST_TEST(slurp(folder.file("t.csv")) == slurp(folder.file("s.csv")));
  for (const char* rows : {"0.5,9,9,1\n", "x4,x1\n1,0.5\n", "0.5,1\n"}) {
    write(folder.file("given.csv"), rows);
    expect_ok(flowcli(folder, {"sample", run, "--given-file", folder.file("given.csv"), "-n", "2",
                               "--out", folder.file("t.csv")}));
    const auto drawn = lines_of(slurp(folder.file("t.csv")));
    BOOST_TEST_REQUIRE(drawn.size() == lines.size());
    BOOST_TEST(drawn[0] == "given_row," + lines[0], rows);
    for (std::size_t i = 1; i < lines.size(); ++i) BOOST_TEST(drawn[i] == "0," + lines[i], rows);
  }
  write(folder.file("wide.csv"), "a,b,c,d,e\n1,2,3,4,5\n");
  expect_failure(flowcli(folder, {"eval", run, "--data", folder.file("wide.csv")}),
                 {"has 3 columns beside what is given, the model was trained on 2"});
  expect_ok(flowcli(folder, {"eval", run, "--data", folder.file("s.csv")}));
  expect_ok(flowcli(folder, {"eval", run, "--data", data}));
}

// The other dimensions were lost.
BOOST_AUTO_TEST_CASE(rows_with_labels_have_all_their_columns) {
  const ScratchFolder folder;
  std::string numbers, labels;
  for (int i = 0; i < 200; ++i) {
    const float row[] = {static_cast<float>(i % 17) / 8, static_cast<float>(i % 23) / 11};
    numbers.append(reinterpret_cast<const char*>(row), sizeof row);
    labels += little(i % 2, 4);
  }
  const std::string data = folder.file("labels.npz"), run = folder.file("run");
  write(data, zip_file({{"x.npy", npy("<f4", "(200, 2)", numbers)},
                        {"y.npy", npy("<i4", "(200,)", labels)}}));
  expect_ok(train(folder, {"--data", data, "--given", "label"}));
  // A model of two labels is none for three, and none is so large.
  std::string more, large;
  for (int i = 0; i < 200; ++i) {
    more += little(i % 3, 4);
    large += little(i % 2, 4) + little(1, 4);
  }
  const std::string other = folder.file("other.npz"), from = folder.file("from");
  std::filesystem::copy(run, from, std::filesystem::copy_options::recursive);
  const auto with_labels = [&](const char* type, const std::string& values) {
    write(other, zip_file({{"x.npy", npy("<f4", "(200, 2)", numbers)},
                           {"y.npy", npy(type, "(200,)", values)}}));
    return train(folder, {"--data", other, "--given", "label", "--from", from});
  };
  expect_failure(with_labels("<i4", more),
                 {"[from]", "one of 2 labels", "has 3", "as many labels"});
  expect_failure(with_labels("<i8", large),
                 {"4294967296, which i32 cannot hold", "labels as 0, 1"});
  const std::string file = folder.file("s.csv"), z = folder.file("z.csv");
  expect_ok(flowcli(folder, {"encode", run, "--out", z}));
  for (const Arguments& command :
       {Arguments{"sample", run, "--given", "1", "-n", "3", "--out", file},
        Arguments{"decode", run, z, "--given", "1", "--out", file}}) {
    expect_ok(flowcli(folder, command));
    const auto lines = lines_of(slurp(file));
    BOOST_TEST(lines[0] == "x1,x2,label");
    BOOST_TEST(std::count(lines[1].begin(), lines[1].end(), ',') == 2, lines[1]);
    BOOST_TEST(lines[1].ends_with(",1"), lines[1]);
  }
}

// What is known is the entropy of both coordinates, which is no floor for one of them.
BOOST_AUTO_TEST_CASE(a_coordinate_given_the_other_has_no_known_entropy) {
  const ScratchFolder folder;
  const std::string run = folder.file("run");
  const Outcome trained = train(folder, {"--data", "moons", "--train", "500", "--valid", "100",
                                         "--test", "100", "--given", "1"});
  expect_ok(trained);
  BOOST_TEST(trained.err.find("entropy") == std::string::npos, trained.err);
  BOOST_TEST(config_of(run)["data"]["entropy"].is_null());
  BOOST_TEST(config_of(run)["model"]["preprocess"] == "none");  // it is built in all the same
  const Outcome evaluated = flowcli(folder, {"eval", run});
  expect_ok(evaluated);
  BOOST_TEST(evaluated.out.find("entropy of the data") == std::string::npos, evaluated.out);
  BOOST_TEST(!json_of(flowcli(folder, {"eval", run, "--json"})).contains("entropy"));
}

// A row is one of training when what is given with it is the same too.
BOOST_AUTO_TEST_CASE(a_row_with_something_else_given_was_not_trained_on) {
  const ScratchFolder folder;
  const std::string data = table(folder), run = folder.file("run"), other = folder.file("o.csv");
  expect_ok(train(folder, {"--data", data, "--given", "a,b"}));
  std::string text = "a,y,z,b\n";
  const auto lines = lines_of(slurp(data));
  for (std::size_t i = 1; i < lines.size(); ++i) text += "9" + lines[i] + "\n";  // of a
  const auto trained_on = [&] {
    write(other, text);
    const Outcome filter = flowcli(folder, {"score", run, "--data", "-"}, "",
                                   [&] { dup2(open(other.c_str(), O_RDONLY), STDIN_FILENO); });
    expect_ok(filter);
    const auto count = json_of(flowcli(folder, {"eval", run, "--data", other, "--json"}));
    BOOST_TEST((filter.err.find("training row") != std::string::npos) ==
               (count["trained_on"] != 0));
    return count["trained_on"].get<int>();
  };
  BOOST_TEST(trained_on() == 0);
  text += lines[1] + "\n" + lines[2] + "\n" + lines[3] + "\n" + lines[4] + "\n";
  const int some = trained_on();
  BOOST_TEST((some > 0 && some <= 4), some);
}

BOOST_AUTO_TEST_CASE(rows_on_standard_input_bring_what_is_given_beside_chosen_columns) {
  const ScratchFolder folder;
  const std::string data = table(folder), run = folder.file("run");
  expect_ok(train(folder, {"--data", data, "--columns", "y", "--given", "b,a"}));
  const Outcome filter = flowcli(folder, {"score", run, "--data", "-"}, "",
                                 [&] { dup2(open(data.c_str(), O_RDONLY), STDIN_FILENO); });
  expect_ok(filter);
  const Outcome file = flowcli(folder, {"score", run, "--data", data, "--out", "-"});
  expect_ok(file);
  BOOST_TEST(filter.out == file.out);
}

BOOST_AUTO_TEST_CASE(files_of_what_is_given_may_hold_other_things) {
  const ScratchFolder folder;
  const std::string run = folder.file("run"), file = folder.file("given.csv");
  expect_ok(train(folder, {"--data", table(folder), "--given", "b,a"}));
  const auto sample = [&](const std::string& text, const std::string& n = "1") {
    write(file, text);
    return flowcli(folder, {"sample", run, "--given-file", "csv:" + file, "-n", n, "--out", "-"});
  };
  const std::string drawn = sample("b,a\n0.5,1\n0.25,2\n").out;
  BOOST_TEST(lines_of(drawn).size() == 3);
  BOOST_TEST(sample("day,a,b,town\n2024-01-31,1,0.5,Rome\n,2,0.25,\n").out == drawn);
  const Outcome bare = sample("0.5,1\n0.25,2\n");
  BOOST_TEST(bare.out == drawn);
  BOOST_TEST(bare.err.find("by position, as b, a") != std::string::npos, bare.err);
  expect_failure(sample("a,b,a\n1,2,3\n"), {"two columns are named 'a'"});
  expect_failure(sample("a,c\n1,2\n"), {"[given]", "no column 'b', which the model is given"});
  const Outcome text = sample("a,b\n1,2\n1,Rome\n");
  expect_failure(text, {"line 3, column 2 ('b'): 'Rome' is not a number"});
  BOOST_TEST(text.err.find("--columns") == std::string::npos, text.err);
  std::string many = "a,b\n";
  for (int i = 0; i < 2000; ++i) many += "1,2\n";
  expect_failure(sample(many, "10000000"), {"10000000 samples for each of 2000 rows", "smaller -n"},
                 2);
}

BOOST_AUTO_TEST_CASE(names_and_numbers_are_read_as_in_csv) {
  const ScratchFolder folder;
  const std::string run = folder.file("run"), data = table(folder, "\"a,1\",y,z,b\n");
  expect_ok(train(folder, {"--data", data, "--given", "\"a,1\", b"}));
  const auto sample = [&](const std::string& given) {
    return flowcli(folder, {"sample", run, "--given", given, "-n", "2", "--out", "-"});
  };
  const std::string drawn = sample("\"a,1\"=0.5,b=2").out;
  BOOST_TEST(drawn.starts_with("y,z,\"a,1\",b\n"), drawn);
  BOOST_TEST(sample(" \"a,1\" = +0.5 , b = 2.0").out == drawn);
  expect_ok(flowcli(folder, {"eval", run, "--data", data}));
  expect_ok(train(folder, {"--data", data, "--given", "b", "--overwrite"}));
  const std::string one = sample("0.5").out;
  for (const char* same : {"+0.5", " 0.5", "b=.5", "b = 0.5"}) BOOST_TEST(sample(same).out == one);
  expect_failure(sample("0,5"), {"'0,5' is 2 values", "with a point"}, 2);
  // Only in the training rows is something to take.
  expect_ok(train(folder, {"--data", data, "--given", "b", "--test", "0", "--overwrite"}));
  expect_failure(sample("0,5"), {"'0,5' is 2 values"}, 2);
  expect_failure(flowcli(folder, {"sample", run, "-n", "2", "--out", "-"}),
                 {"no test rows", "--given NAME=VALUE or --given-file"}, 2);
}

BOOST_AUTO_TEST_CASE(what_is_wrong_is_one_line) {
  const ScratchFolder folder;
  const std::string data = table(folder), run = folder.file("run");
  struct Case {
    Arguments arguments;
    std::vector<std::string> says;
  };
  const Case trainings[] = {
      {{"--data", data, "--given", "d"}, {"[given]", "no column 'd'"}},
      {{"--data", data, "--given", "a,y,z,b"}, {"is left to be modelled"}},
      {{"--data", data, "--columns", "y,z", "--given", "d"}, {"[given]", "no column 'd'"}},
      {{"--data", data, "--given", "a", "--types", "a=integer"},
       {"[types] column 'a' is given, not modelled"}},
      {{"--data", data, "--given", "a,b", "--split-by", "a"},
       {"[given] 'a' is the column of split_by"}},
      {{"--data", data, "--given", "label"}, {"has no labels"}},
      {{"--data", "moons", "--given", "label"}, {"'moons' has no labels"}},
      {{"--data", "glyphs", "--given", "a"}, {"images", "give label"}},
      {{"--data", data, "--embedding", "3"}, {"[embedding]", "no label is given"}},
      {{"--data", data, "--conditional-prior", "false"}, {"nothing is given"}},
  };
  for (const Case& c : trainings) {
    expect_failure(train(folder, c.arguments), c.says, 2);
    BOOST_TEST(!std::filesystem::exists(run));
  }
  expect_ok(train(folder, {"--data", data, "--given", "a,b"}));
  const std::string other = folder.file("other.csv");
  write(other, "b,y,z\n1,2,3\n");
  const char* const lacks = "has no column 'a', which the model is given";
  for (const char* out : {"-", "s.csv"}) {
    expect_failure(flowcli(folder, {"score", run, "--data", other, "--out", out}), {lacks});
  }
  expect_failure(flowcli(folder, {"score", run, "--data", "-"}, "",
                         [&] { dup2(open(other.c_str(), O_RDONLY), STDIN_FILENO); }),
                 {"'standard input' ", lacks});
  expect_failure(train(folder, {"--data", data, "--columns", "y,z", "--given", "a", "--valid-data",
                                other, "--overwrite"}),
                 {"other.csv", lacks}, 2);
  write(other, "a,a,y\n1,2,3\n2,3,4\n3,4,6\n");
  expect_failure(train(folder, {"--data", other, "--given", "a", "--overwrite"}),
                 {"two columns are named 'a'"});
  const Case samples[] = {
      {{"--given", "a=1"}, {"b is missing", "a, b"}},
      {{"--given", "a=1,b=x"}, {"b: 'x' is no number"}},
      {{"--given", "a=1,b=nan"}, {"'nan' is no finite number of 32 bits"}},
      {{"--given", "a=1,b=1e300"}, {"b: '1e300' is no finite number of 32 bits"}},
      {{"--given", "a=1,b=3.41e38"}, {"'3.41e38' is no finite number"}},
      {{"--given", "a=1,c=2"}, {"not given 'c'"}},
      {{"--given", "a=1,a=2,b=1"}, {"a stands twice"}},
      {{"--given", "1"}, {"'1' is not NAME=VALUE"}},
      {{"--given", "all"}, {"all is for labels"}},
  };
  for (const Case& c : samples) {
    Arguments all = {"sample", run, "-n", "2", "--out", folder.file("s.npy")};
    all.insert(all.end(), c.arguments.begin(), c.arguments.end());
    expect_failure(flowcli(folder, all), c.says, 2);
  }
  expect_failure(flowcli(folder, {"plot", run, "--given", "a=1e300,b=1"}), {"no finite number"}, 2);
  expect_ok(train(folder, {"--data", data, "--overwrite"}));
  expect_failure(flowcli(folder, {"sample", run, "--given", "a=1", "--out", folder.file("s.npy")}),
                 {"would change nothing", "no conditional model"}, 2);
}

BOOST_AUTO_TEST_CASE(labels_of_images_are_given_and_training_resumes_bit_for_bit) {
  const ScratchFolder folder;
  const auto run = [&](const std::string& name) { return folder.file(name); };
  const auto train_nice = [&](const std::string& name, const std::string& epochs) {
    return flowcli(
        folder, {"train",          "nice",    "--data",          "glyphs",    "--given",  "label",
                 "--train",        "60",      "--valid",         "20",        "--test",   "20",
                 "--hidden-units", "8",       "--hidden-layers", "1",         "--epochs", epochs,
                 "--out",          run(name), "--quiet",         "--threads", "1"});
  };
  expect_ok(train_nice("whole", "4"));
  expect_ok(train_nice("half", "2"));
  expect_ok(flowcli(folder, resume(run("half"), {"--epochs", "4"})));
  const auto weights = [&](const std::string& name) {
    return nf::nn::load_safetensors(run(name) + "/last.safetensors").tensors;
  };
  const auto whole = weights("whole");
  for (const auto& [name, tensor] : weights("half")) {
    BOOST_TEST(tensor.to(nf::DType::F64).to_vector<double>() ==
                   whole.at(name).to(nf::DType::F64).to_vector<double>(),
               name);
  }
  BOOST_TEST(whole.contains("conditional_prior.net.weight"));
  expect_ok(flowcli(folder, {"sample", run("whole"), "--out", folder.file("grid.png")}));
  expect_ok(flowcli(folder, {"sample", run("whole"), "--given", "label=3", "-n", "4", "--out",
                             folder.file("three.png")}));
  expect_failure(
      flowcli(folder, {"sample", run("whole"), "--given", "10", "--out", folder.file("ten.png")}),
      {"label 10 is none", "0 to 9"}, 2);
  expect_ok(flowcli(folder, {"sample", run("whole"), "-n", "20", "--out", folder.file("im.npy")}));
  expect_failure(
      flowcli(folder, {"eval", run("whole"), "--data", folder.file("im.npy")}),
      {"has no labels, which the model is given; give data with labels, pictures in folders"});
  const std::string labels = folder.file("labels.csv"), few = folder.file("few.npy");
  for (const char* label : {"10", "1.5", "-1"}) {
    write(labels, nf::str("label\n3\n\n", label, "\n"));
    expect_failure(flowcli(folder, {"sample", run("whole"), "--given-file", labels, "--out", few}),
                   {"labels.csv', line 4: label ", "none of the model's, which are 0 to 9"});
  }
  expect_failure(
      flowcli(folder, {"sample", run("whole"), "--given", "all", "-n", "7", "--out", few}),
      {"all is 10 labels", "give -n 10 or more"}, 2);
  const Outcome seven = flowcli(folder, {"sample", run("whole"), "-n", "7", "--out", few});
  expect_ok(seven);
  BOOST_TEST(seven.err.find("cannot be of all 10 labels") != std::string::npos, seven.err);
  for (const Arguments& command :
       {Arguments{"interpolate", run("whole"), "-n", "2"},
        Arguments{"manifold", run("whole"), "--given", "5", "--rows", "2", "--columns", "2"},
        Arguments{"inpaint", run("whole"), "-n", "10", "--steps", "2"},
        Arguments{"bench", "nice", "--data", "glyphs", "--set", "given=label", "--bench-steps", "1",
                  "--hidden-units", "8"},
        Arguments{"report", run("whole")}}) {
    const Outcome outcome = flowcli(folder, command);
    BOOST_TEST(outcome.status == 0, command[0] << ": " << outcome.err);
  }
}

// Another run on the same rows, to which another column is given.
BOOST_AUTO_TEST_CASE(files_of_what_else_was_given_are_not_taken) {
  const ScratchFolder folder;
  const std::string data = table(folder), run = folder.file("run"), other = folder.file("other");
  expect_ok(train(folder, {"--data", data, "--given", "b"}));
  std::filesystem::rename(run, other);
  expect_ok(train(folder, {"--data", data, "--given", "a"}));
  const auto take = [&](const char* name) {
    std::filesystem::copy_file(other + "/" + name, run + "/" + name,
                               std::filesystem::copy_options::overwrite_existing);
  };
  take("baselines.safetensors");
  const Outcome evaluated = flowcli(folder, {"eval", run, "--json"});
  BOOST_TEST(json_of(evaluated)["gaussian_nats"].is_null());
  BOOST_TEST(
      evaluated.err.find("is of another run, with given = 'b', not 'a'") != std::string::npos,
      evaluated.err);
  const auto best = [](const std::string& of) {
    return nf::nn::load_safetensors(of + "/heldout.safetensors").metadata.at("best_epoch");
  };
  BOOST_TEST_REQUIRE(best(run) == best(other));  // so that this does not tell them apart
  take("heldout.safetensors");
  expect_failure(flowcli(folder, {"score", run, "--flag", "0.1"}), {"is of other weights"});
  std::string config = slurp(run + "/config.json");
  const std::string given = "\"given\": \"a\"";
  BOOST_TEST_REQUIRE(config.find(given) != std::string::npos, config);
  config.replace(config.find(given), given.size(), "\"given\": \"b\"");
  write(run + "/config.json", config);
  expect_failure(flowcli(folder, {"eval", run}), {"'given' is 'b'", "'given_names' is 'a'"});
}

// What is another column worth? The rows that are modelled are the same.
BOOST_AUTO_TEST_CASE(runs_that_are_given_more_are_compared_on_the_same_rows) {
  const ScratchFolder folder;
  const std::string data = table(folder), run = folder.file("run");
  std::vector<std::string> runs;
  for (const char* given : {"", "a", "a,b"}) {
    Arguments more = {"--data", data, "--columns", "y,z"};
    if (*given) more.insert(more.end(), {"--given", given});
    expect_ok(train(folder, more));
    runs.push_back(nf::str(run, runs.size()));
    std::filesystem::rename(run, runs.back());
  }
  const auto json = json_of(flowcli(folder, {"compare", runs[0], runs[1], runs[2], "--json"}));
  for (const auto& row : json) {
    BOOST_TEST(std::abs(row["difference"].get<double>() - row["nats"].get<double>() +
                        json[0]["nats"].get<double>()) < 1e-9);
  }
  expect_ok(train(folder, {"--data", data, "--columns", "y,b"}));
  const Outcome other = flowcli(folder, {"compare", runs[0], run, "--json"});
  BOOST_TEST(json_of(other)[1]["difference"].is_null());
}

BOOST_AUTO_TEST_SUITE_END()
