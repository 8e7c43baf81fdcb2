// flowcli infer: posteriors that are known, simulators that fail in every way, and what goes on.
#include <cmath>

#include "cli_runs.h"
#include "tensor/random.h"

using namespace nf::test;

BOOST_AUTO_TEST_SUITE(cli_infer)

namespace {

using Words = std::vector<std::string>;

void write_program(const std::string& path, const std::string& body) {
  write(path, "#!/bin/sh\n" + body + "\n");
  std::filesystem::permissions(path, std::filesystem::perms::owner_all);
}

/// a and b: normal, or uniform in (-1, 1).
void write_prior(const std::string& path, std::int64_t rows, nf::Distribution kind) {
  nf::Generator gen(3);
  const auto draws = nf::random(kind, gen, {rows, 2}, nf::DType::F64).to_vector<double>();
  const auto moved = [&](double x) { return kind == nf::Distribution::Uniform ? 2 * x - 1 : x; };
  std::ofstream out(path);
  out.precision(12);
  out << "a,b\n";
  for (std::size_t i = 0; i < draws.size(); i += 2) {
    out << moved(draws[i]) << "," << moved(draws[i + 1]) << "\n";
  }
}

// x = a + b + e, y = a - b / 2 + f with normal e and f of this deviation.
std::string linear(const std::string& deviation) {
  return "exec awk -F, -v d=" + deviation + R"awk( '
BEGIN { srand(ENVIRON["FLOWCLI_SEED"] + 0) }
{ size = d * sqrt(-2 * log(1 - rand())); angle = 6.283185307 * rand()
  printf "%.9g,%.9g\n", $1 + $2 + size * cos(angle), $1 - $2 / 2 + size * sin(angle) }')awk";
}

/// A folder with prior.csv (a, b), x.csv (x, y) and the program sim.
struct Case {
  explicit Case(const std::string& program, std::int64_t rows = 200,
                nf::Distribution kind = nf::Distribution::Normal) {
    write_prior(folder.file("prior.csv"), rows, kind);
    write(folder.file("x.csv"), "x,y\n1,0.5\n");
    write_program(folder.file("sim"), program);
  }
  Words call(const Words& more) const {
    Words all = {"infer",
                 "--simulator",
                 folder.file("sim"),
                 "--prior",
                 folder.file("prior.csv"),
                 "--observed",
                 folder.file("x.csv"),
                 "--out",
                 folder.file("run"),
                 "--model",
                 "maf",
                 "--set",
                 "layers=2",
                 "--set",
                 "hidden_units=16",
                 "--threads",
                 "1",
                 "--json"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  std::string kept() const { return slurp(folder.file("run/simulations.csv")); }

  ScratchFolder folder;
};

const Words kHardlyTrained = {"--set", "steps=2", "-n", "100"};

Words with(const Words& more) {
  Words all = kHardlyTrained;
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

double value(const nlohmann::json& told, std::size_t parameter, const char* key) {
  return told["posterior"][0]["parameters"][parameter][key].get<double>();
}

/// Not ended, nor waiting to be looked after.
bool is_running(const std::string& pid) {
  const char state = state_of(std::stoi(pid));
  return state != '\0' && state != 'Z';
}

}  // namespace

// The posterior is Gaussian: its precision is I + A'A / 0.25 = [9 2; 2 6], its mean for x = (1,
// 0.5) that precision's inverse times A'x / 0.25 = (6, 3).
BOOST_AUTO_TEST_CASE(a_linear_gaussian_has_its_exact_posterior) {
  const Case it(linear("0.5"), 3000);
  const Words call = it.call({"--set", "epochs=25", "--workers", "2"});
  const Outcome done = flowcli(it.folder, call);
  expect_ok(done);
  const nlohmann::json told = done.json();
  BOOST_TEST(std::abs(value(told, 0, "mean") - 0.6) < 0.06, done.out);
  BOOST_TEST(std::abs(value(told, 1, "mean") - 0.3) < 0.06, done.out);
  BOOST_TEST(std::abs(value(told, 0, "deviation") - std::sqrt(0.12)) < 0.04, done.out);
  BOOST_TEST(std::abs(value(told, 1, "deviation") - std::sqrt(0.18)) < 0.04, done.out);
  BOOST_TEST(told["posterior"][0]["parameters"][0]["quantiles"]["0.5"].get<double>() ==
                 value(told, 0, "mean"),
             boost::test_tools::tolerance(0.2));
  BOOST_TEST(told["simulations"] == 3000);
  BOOST_TEST(told["failed"] == 0);
  BOOST_TEST(told["calibration"]["calibrated"] == true, done.out);
  const Words draws = lines_of(slurp(it.folder.file("run/posterior.csv")));
  BOOST_TEST(draws.size() == 10'001U);
  BOOST_TEST(draws[0] == "a,b");
  BOOST_TEST(config_of(it.folder.file("run"))["data"]["types"] == "");  // no bounds

  // It is a run like others, and another observation needs no simulation and no training.
  expect_ok(flowcli(it.folder, {"eval", it.folder.file("run")}));
  write_program(it.folder.file("sim"), "exit 1");
  write(it.folder.file("x.csv"), "x,y\n1,0.5\n-1,-0.5\n");
  const std::string state = slurp(it.folder.file("run/state.safetensors"));
  const Outcome more = flowcli(it.folder, call);
  expect_ok(more);
  BOOST_TEST(slurp(it.folder.file("run/state.safetensors")) == state);
  const nlohmann::json other = more.json()["posterior"][1]["parameters"][0];
  BOOST_TEST(std::abs(other["mean"].get<double>() + 0.6) < 0.06, more.out);
  const Words both = lines_of(slurp(it.folder.file("run/posterior.csv")));
  BOOST_TEST(both.size() == 20'001U);
  BOOST_TEST(both[0] == "given_row,a,b");
}

BOOST_AUTO_TEST_CASE(rounds_simulate_where_the_posterior_is) {
  const Case it(linear("0.1"), 4000, nf::Distribution::Uniform);
  const Words call =
      it.call({"--set", "steps=400", "--rounds", "2", "--simulations", "400", "--workers", "2"});
  const Outcome done = flowcli(it.folder, call);
  expect_ok(done);
  const nlohmann::json told = done.json();
  BOOST_TEST_REQUIRE(told["rounds"].size() == 2U);
  BOOST_TEST(told["rounds"][0]["acceptance"] == 1.0);
  BOOST_TEST(told["rounds"][1]["simulations"] == 400);
  BOOST_TEST(told["rounds"][1]["acceptance"].get<double>() < 0.95);
  const Words rows = lines_of(it.kept());
  BOOST_TEST_REQUIRE(rows.size() == 801U);
  const auto mean = [&](std::size_t first) {
    double sum = 0;
    for (std::size_t i = 0; i < 400; ++i) sum += std::atof(rows[first + i].c_str());
    return sum / 400;
  };
  BOOST_TEST(std::abs(mean(1)) < 0.1);
  BOOST_TEST(std::abs(mean(401) - 0.67) < 0.2);  // that of the posterior is 2/3
  // The prior is a box, and nothing lies outside.
  BOOST_TEST(config_of(it.folder.file("run"))["data"]["types"] == "a=bounded:-1:1,b=bounded:-1:1");
  for (const std::string& line : lines_of(slurp(it.folder.file("run/posterior.csv")))) {
    const double a = std::atof(line.c_str()), b = std::atof(line.c_str() + line.find(',') + 1);
    BOOST_TEST_REQUIRE((std::abs(a) <= 1 && std::abs(b) <= 1), line);
  }
  // A third round goes on from there; one of another observation, or fewer, would be of other rows.
  Words third = call;
  third[std::find(third.begin(), third.end(), "2") - third.begin()] = "3";
  const Outcome longer = flowcli(it.folder, third);
  expect_ok(longer);
  BOOST_TEST(longer.json()["rounds"].size() == 3U);
  BOOST_TEST(longer.json()["rounds"][1] == told["rounds"][1]);
  BOOST_TEST(it.kept().starts_with(rows[0] + "\n" + rows[1] + "\n"));
  third.push_back("--quiet");
  Words two = call;
  two.push_back("--quiet");
  expect_failure(flowcli(it.folder, two), {"has 3 rounds"}, 2);
  write(it.folder.file("x.csv"), "x,y\n-1,0.5\n");
  expect_failure(flowcli(it.folder, third), {"look at another observation"});
}

BOOST_AUTO_TEST_CASE(the_rows_do_not_depend_on_the_workers) {
  const Case it(linear("0.5"));
  std::string first;
  for (const char* workers : {"1", "3", "16"}) {
    std::filesystem::remove_all(it.folder.file("run"));
    expect_ok(flowcli(it.folder, it.call(with({"--workers", workers, "--lines", "7"}))));
    if (first.empty()) first = it.kept();
    BOOST_TEST(it.kept() == first);
  }
  BOOST_TEST(lines_of(first).size() == 201U);
}

BOOST_AUTO_TEST_CASE(what_a_bad_simulator_does_is_one_line) {
  struct Row {
    const char* program;
    std::vector<std::string> says;
    int kept;  // simulations
  };
  const Row rows[] = {
      {"read l; echo 1,2; kill -9 $$", {"simulation 2 (", "was ended by signal 9"}, 1},
      {"read l; echo 1,2; echo no memory >&2; exit 3",
       {"simulation 2 (", "ended with exit status 3 without an answer; it said: no memory"},
       1},
      {"read l; echo 1,2", {"simulation 2 (", "ended without an answer; it said nothing"}, 1},
      {"exec <&-; echo 1,2", {"simulation 2 (", "ended without an answer"}, 1},
      {"while read l; do echo 1,2; done; echo 1,2", {"more lines than it was given: '1,2'"}, 20},
      {"while read l; do echo 1,2; done; exit 4",
       {"ended with exit status 4 after its answers"},
       20},
      {"exec yes 1,2", {"more lines than it was given"}, 20},
      {"echo x,y; cat", {"simulation 1 (", "'x' is no number; a line of names is not wanted"}, 0},
      {"echo 1,2; echo 1,two; cat", {"simulation 2 (", "'two' is no number"}, 1},
      {"echo 1,2,3; cat", {"'1,2,3' has 3 columns, not 2 as the observed data"}, 0},
      {"echo 12; cat", {"'12' has 1 column, not 2"}, 0},
      {"echo; cat", {"has 1 column, not 2"}, 0},
      {"exec tr '\\0' 1 < /dev/zero", {"a line of more than 1048576 bytes"}, 0},
      {"exec no-such-program", {"ended with exit status 127", "no-such-program"}, 0},
  };
  for (const auto& [program, says, kept] : rows) {
    BOOST_TEST_CONTEXT(program) {
      const Case it(program);
      expect_failure(flowcli(it.folder, it.call({"--quiet", "--workers", "1", "--lines", "20"})),
                     says);
      const Words lines = lines_of(it.kept());
      BOOST_TEST_REQUIRE(lines.size() == 201U);
      const auto done = std::count_if(lines.begin(), lines.end(),
                                      [](const auto& l) { return !l.ends_with(",,"); });
      BOOST_TEST(done - 1 == kept);
    }
  }
}

// More than a pipe holds, and nobody reads it.
BOOST_AUTO_TEST_CASE(answers_without_reading_are_refused) {
  const Case it("exec <&-; yes 1,2 | head -4000", 4000);
  expect_failure(flowcli(it.folder, it.call({"--quiet", "--lines", "4000"})),
                 {"simulation 4000 (", "it answered without reading all lines"});
}

// Neither one that never answers, nor one that says very much instead, nor one that does not end.
BOOST_AUTO_TEST_CASE(what_takes_too_long_is_ended_by_a_timeout) {
  const std::pair<const char*, const char*> rows[] = {
      {"exec sleep 1000", "no answer within 0.2 s"},
      {"echo 1,2; yes why >&2", "no answer within 0.2 s (--timeout)"},
      {"while read l; do echo 1,2; done; sleep 1000", " within 0.2 s (--timeout)"},
  };
  for (const auto& [program, says] : rows) {
    const Case it(program);
    expect_failure(flowcli(it.folder, it.call({"--quiet", "--timeout", "0.2", "--workers", "2"})),
                   {says});
  }
}

BOOST_AUTO_TEST_CASE(a_signal_ends_all_that_was_started) {
  const Case it(R"(read line; echo 1,2
sleep 1000 & echo $! > "$0.pid.$$"; mv "$0.pid.$$" "$0.pid"; wait)");
  const Child child(it.folder, it.call({"--workers", "2", "--lines", "100"}));
  const std::string pid = it.folder.file("sim.pid");
  while (!std::filesystem::exists(pid)) usleep(1000);
  const std::string sleeper = lines_of(slurp(pid))[0];
  BOOST_TEST(is_running(sleeper));
  child.signal(SIGINT);
  BOOST_TEST(child.wait() == 130);
  for (int i = 0; i < 10'000 && is_running(sleeper); ++i) usleep(1000);
  BOOST_TEST(!is_running(sleeper));
  BOOST_TEST(child.err().find("interrupted; ") != std::string::npos, child.err());
  BOOST_TEST(child.err().find("the same command goes on with them") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_second_call_goes_on) {
  // Fails at the line of which the file says so, and notes each that it answers.
  const Case it(R"sh(while read line; do
  if [ "$line" = "$(cat "$0.bad")" ]; then echo ill >&2; exit 1; fi
  echo "$line" >> "$0.log"; echo "$line"
done)sh");
  write(it.folder.file("sim.bad"), "-");
  const Words call = it.call(with({"--workers", "1", "--lines", "50", "--quiet"}));
  Words lines = [&] {  // what it will be asked, from a run of its own
    Words other = call;
    other[std::find(other.begin(), other.end(), "--out") - other.begin() + 1] =
        it.folder.file("other");
    expect_ok(flowcli(it.folder, other));
    return lines_of(slurp(it.folder.file("sim.log")));
  }();
  BOOST_TEST_REQUIRE(lines.size() == 200U);
  std::filesystem::remove(it.folder.file("sim.log"));
  write(it.folder.file("sim.bad"), lines[70]);
  expect_failure(flowcli(it.folder, call),
                 {"simulation 71 (" + lines[70], "it said: ill", "70 of 200 simulations are in"});
  // What a killed process leaves: answers in a journal, of which the last is cut off.
  write(it.folder.file("run/simulations.journal"), "70,5,6\n71,3");
  write(it.folder.file("sim.bad"), "-");
  expect_ok(flowcli(it.folder, call));
  lines.erase(lines.begin() + 70);
  BOOST_TEST(lines_of(slurp(it.folder.file("sim.log"))) == lines, boost::test_tools::per_element());
  BOOST_TEST(lines_of(it.kept())[71].ends_with(",5,6"));
  BOOST_TEST(!std::filesystem::exists(it.folder.file("run/simulations.journal")));

  Words other_seed = call;
  other_seed.insert(other_seed.end(), {"--seed", "9"});
  expect_failure(flowcli(it.folder, other_seed), {"are of another seed"});
  write(it.folder.file("run/simulations.csv"), "a,b,x,y\n1,2,3,4\n");
  expect_failure(flowcli(it.folder, call), {"has 1 rows of 200"});
  write(it.folder.file("run/infer.json"), "{");
  expect_failure(flowcli(it.folder, call), {"infer.json' is damaged"});
}

BOOST_AUTO_TEST_CASE(more_simulations_are_added) {
  const Case it("exec cat");
  expect_ok(flowcli(it.folder, it.call(with({"--simulations", "100"}))));
  const std::string before = it.kept();
  const Outcome more = flowcli(it.folder, it.call(with({"--simulations", "150"})));
  expect_ok(more);
  BOOST_TEST(it.kept().starts_with(before));
  BOOST_TEST(more.json()["simulations"] == 150);
  BOOST_TEST(config_of(it.folder.file("run"))["data"]["parts"]["train"]["count"] == 120);
}

BOOST_AUTO_TEST_CASE(failed_simulations_are_told_and_left_out) {
  const Case it(
      R"(exec awk -F, '{ if (NR % 5 == 1) print "nan,nan"; else if (NR % 5 == 2) print "1 inf"
    else print $1 " \t" $2 }')");
  const Outcome done = flowcli(it.folder, it.call(with({"--lines", "10"})));
  expect_ok(done);
  BOOST_TEST(done.json()["failed"] == 80);
  BOOST_TEST(done.err.find("80 of 200 simulations failed") != std::string::npos, done.err);
  BOOST_TEST(config_of(it.folder.file("run"))["data"]["skipped"] == 80);
  const Case all("while read l; do echo nan,1; done");
  expect_failure(flowcli(all.folder, all.call({"--quiet"})), {"0 usable simulations are too few"});
}

BOOST_AUTO_TEST_CASE(data_beyond_all_simulations_are_told) {
  const Case it("exec cat");
  write(it.folder.file("x.csv"), "x,y\n0,100\n");
  const Outcome done = flowcli(it.folder, it.call(kHardlyTrained));
  expect_ok(done);
  BOOST_TEST(done.err.find("observed y = 100 is beyond all simulations") != std::string::npos,
             done.err);
}

BOOST_AUTO_TEST_CASE(a_run_of_something_else_is_not_replaced) {
  const Case it("exec cat");
  const std::string run = it.folder.file("run");
  expect_ok(flowcli(
      it.folder,
      {"train",     "realnvp-2d", "--data",      "moons", "--train",        "50", "--valid", "10",
       "--test",    "10",         "--couplings", "2",     "--hidden-units", "4",  "--steps", "2",
       "--threads", "1",          "--out",       run,     "--quiet"}));
  const std::string weights = slurp(run + "/last.safetensors");
  Words call = it.call({"--quiet"});
  expect_failure(flowcli(it.folder, call), {"has a config.json but no infer.json"});
  BOOST_CHECK(slurp(run + "/last.safetensors") == weights);
}

// Killed in its training, with other settings than the call after it.
BOOST_AUTO_TEST_CASE(a_call_that_was_killed_leaves_no_weights_of_its_settings_to_another) {
  const Case it("exec cat");
  expect_ok(flowcli(it.folder, it.call(kHardlyTrained)));
  const std::string weights = slurp(it.folder.file("run/last.safetensors"));
  const Outcome killed =
      flowcli(it.folder, it.call({"--set", "steps=4000", "-n", "100"}), "log-append:1:kill");
  BOOST_TEST(killed.status != 0);
  const Outcome again = flowcli(it.folder, it.call(kHardlyTrained));
  expect_ok(again);
  BOOST_TEST(again.err.find("simulations are there from before") != std::string::npos, again.err);
  BOOST_CHECK(slurp(it.folder.file("run/last.safetensors")) == weights);
}

BOOST_AUTO_TEST_CASE(what_cannot_be_asked_is_one_line) {
  const Case it("exec cat");
  const auto fails = [&](const Words& more, const std::string& says, int status) {
    Words call = it.call(more);
    call.push_back("--quiet");
    expect_failure(flowcli(it.folder, call), {says}, status);
  };
  fails({"--simulations", "201"}, "has 200 draws, too few for 201 simulations", 1);
  fails({"--set", "given=a"}, "--set given is decided by the simulations", 2);
  fails({"--set", "leyers=2"}, "leyers", 2);
  fails({"--quantiles", "5"}, "'5' is no number between 0 and 1", 2);
  write(it.folder.file("x.csv"), "x,a\n1,0.5\n");
  fails({}, "the name 'a' stands twice", 1);
  write(it.folder.file("x.csv"), "x,y\n1,0.5\n2,3\n");
  fails({"--rounds", "2"}, "has 2 rows; leave out --rounds", 2);
  write(it.folder.file("prior.csv"), "1,2\n3,4\n");
  fails({}, "has no line of names above its numbers", 1);
  BOOST_TEST(!std::filesystem::exists(it.folder.file("run")));
  std::filesystem::permissions(it.folder.file("sim"), std::filesystem::perms::owner_read);
  fails({}, "is not executable; say chmod +x", 1);
  std::filesystem::remove(it.folder.file("sim"));
  fails({}, "No such file", 1);
}

BOOST_AUTO_TEST_SUITE_END()
