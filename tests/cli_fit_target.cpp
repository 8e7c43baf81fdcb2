// flowcli fit-target: its run is one as of train; libraries of users; what is refused.
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <csignal>
#include <map>

#include "cli_runs.h"

using namespace nf::test;

BOOST_AUTO_TEST_SUITE(cli_fit_target)

namespace {

using Arguments = std::vector<std::string>;

Arguments fit(const std::string& target, const std::string& run, const Arguments& more = {}) {
  Arguments all = {"fit-target", target,    "--out",  run,     "--threads",
                   "1",          "--quiet", "--json", "--set", "batch_size=20"};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

const std::map<std::string, Arguments> kSmall = {
    {"planar", {"--family", "planar", "--set", "layers=4", "--steps", "30"}},
    {"maf", {"--family", "maf", "--set", "layers=2", "--set", "hidden_units=8", "--steps", "30"}},
    {"nsf",
     {"--family", "nsf", "--set", "layers=2", "--set", "hidden_units=8", "--set", "components=4",
      "--steps", "30"}}};

}  // namespace

BOOST_AUTO_TEST_CASE(a_run_of_any_family_is_one_as_of_train) {
  const ScratchFolder folder;
  for (const auto& [family, options] : kSmall) {
    BOOST_TEST_CONTEXT(family) {
      const std::string run = folder.file(family);
      const Outcome outcome = flowcli(folder, fit("U1", run, options));
      expect_ok(outcome);
      const auto told = outcome.json();
      BOOST_TEST(told.at("target") == "U1");
      BOOST_TEST(told.at("steps") == 30);
      BOOST_TEST(told.at("kl_to_target").get<double>() > 0);
      const double outside = told.at("mass_outside_grid").get<double>();
      BOOST_TEST((outside >= 0 && outside < 0.1));
      BOOST_TEST(told.at("elbo").get<double>() < told.at("log_z_of_grid").get<double>());
      BOOST_TEST(slurp(run + "/target.png").size() > 500U);
      for (const char* command : {"sample", "plot", "inspect", "check", "report"}) {
        const Outcome used = flowcli(folder, {command, run, "--threads", "1", "--quiet"});
        BOOST_TEST(used.status == 0, command << ": " << used.err);
        BOOST_TEST(used.err.find("not there any more") == std::string::npos, used.err);
        if (command != std::string("check")) continue;
        BOOST_TEST(used.out.find("is not looked at here: flowcli eval") != std::string::npos);
        BOOST_TEST(used.out.find("Latents of the data") == std::string::npos, used.out);
      }
      write(folder.file("rows.csv"), "a,b\n1,2\n-0.5,0.25\n");
      expect_ok(flowcli(folder, {"encode", run, "--data", folder.file("rows.csv"), "--out",
                                 folder.file("z.csv"), "--threads", "1"}));
      const Outcome again = flowcli(folder, {"eval", run, "--threads", "1", "--json"});
      expect_ok(again);
      BOOST_TEST(again.json() == told);
      const auto kept = nlohmann::json::parse(slurp(run + "/target.json"));
      BOOST_TEST(kept.at("elbo") == told.at("elbo"));
      BOOST_TEST(slurp(run + "/log.jsonl").find("\"valid_bits_per_dim\":null") !=
                 std::string::npos);
      const std::string page = slurp(run + "/report.html");
      BOOST_TEST(page.find("KL to the target") != std::string::npos);
      BOOST_TEST(page.find("flowcli fit-target U1 --dims 2 --family " + family + " --steps 30") !=
                 std::string::npos);
      BOOST_TEST(page.find("--set preprocess") == std::string::npos);
      BOOST_TEST(page.find("--set layers=" + std::string(family == "planar" ? "4" : "2")) !=
                 std::string::npos);
      expect_failure(flowcli(folder, {"eval", run, "--importance", "2"}), {"fitted to a target"},
                     2);
    }
  }
}

// Killed in the save of its second epoch, in the middle of the annealing.
BOOST_AUTO_TEST_CASE(resume_goes_on_bit_for_bit) {
  const ScratchFolder folder;
  const Arguments options = {"--family", "planar",         "--set",   "layers=3",
                             "--set",    "batch_size=400", "--steps", "420"};
  const std::string whole = folder.file("whole"), parts = folder.file("parts");
  const Outcome first = flowcli(folder, fit("banana", whole, options));
  expect_ok(first);
  const Outcome killed = flowcli(folder, fit("banana", parts, options), "save-between:3:kill");
  BOOST_TEST(killed.status == -SIGKILL);
  const Outcome second = flowcli(folder, resume(parts, {"--json"}));
  expect_ok(second);
  BOOST_TEST(slurp(parts + "/best.safetensors") == slurp(whole + "/best.safetensors"));
  for (const char* key : {"elbo", "log_evidence", "pareto_k", "kl_to_target", "steps"}) {
    BOOST_TEST(second.json().at(key) == first.json().at(key), key);
  }
}

BOOST_AUTO_TEST_CASE(a_library_of_the_user_is_a_target) {
  const ScratchFolder folder;
  const Outcome outcome =
      flowcli(folder, fit(TARGETS "right.so", folder.file("run"),
                          {"--dims", "3", "--family", "maf", "--set", "layers=2", "--set",
                           "hidden_units=8", "--steps", "600", "--set", "batch_size=100"}));
  expect_ok(outcome);
  // ln of sqrt(2 pi)^3 / 4, which the program does not know.
  const double truth = 1.5 * std::log(2 * 3.14159265358979) - std::log(4.0);
  BOOST_TEST(std::abs(outcome.json().at("log_evidence").get<double>() - truth) < 0.02);
  BOOST_TEST(outcome.json().at("kl_to_target").is_null());
  expect_ok(flowcli(folder, {"sample", folder.file("run"), "--out", folder.file("x.csv")}));
}

BOOST_AUTO_TEST_CASE(libraries_with_a_fault_are_one_line) {
  const ScratchFolder folder;
  const std::pair<const char*, const char*> faults[] = {{"missing", "exports no log_density"},
                                                        {"not_finite", "must be finite"},
                                                        {"wrong", "gradient"},
                                                        {"silent", "not written"},
                                                        {"beyond", "writes more than"}};
  for (const auto& [kind, text] : faults) {
    const std::string run = folder.file(kind);
    expect_failure(flowcli(folder, fit(std::string(TARGETS) + kind + ".so", run, {"--dims", "2"})),
                   {text});
    BOOST_TEST(!std::filesystem::exists(run));
  }
  // The advice stands on the same line: what has a fault, or ends the program, is told as the rest.
  for (const auto& [kind, text] :
       {std::pair{"fault", "ended the program: a segmentation fault; mend the library"},
        {"deep", "a segmentation fault"},
        {"exits", "log_density of"},
        {"exits", "it called exit()"}}) {
    const std::string run = folder.file(kind);
    expect_failure(flowcli(folder, fit(std::string(TARGETS) + kind + ".so", run, {"--dims", "2"})),
                   {text});
    BOOST_TEST(!std::filesystem::exists(run));
  }
  expect_failure(
      flowcli(folder, fit(TARGETS "fault_later.so", folder.file("kept"), {"--dims", "2"})),
      {"a segmentation fault", "flowcli resume"});
  BOOST_TEST(std::filesystem::exists(folder.file("kept/state.safetensors")));
  const Outcome later =
      flowcli(folder, fit(TARGETS "later.so", folder.file("later"), {"--dims", "2"}));
  expect_failure(later, {"the log density of the target"}, 3);
}

BOOST_AUTO_TEST_CASE(a_library_that_has_changed_is_told) {
  const ScratchFolder folder;
  const std::string library = folder.file("mine.so"), run = folder.file("run");
  std::filesystem::copy_file(TARGETS "right.so", library);
  Arguments options = {"--dims", "2"};
  options.insert(options.end(), kSmall.at("planar").begin(), kSmall.at("planar").end());
  expect_ok(flowcli(folder, fit(library, run, options)));
  const auto resumed = [&](const char* end) {
    const Outcome outcome = flowcli(folder, {"resume", run, "--threads", "1", "--steps", end});
    expect_ok(outcome);
    return outcome.err;
  };
  BOOST_TEST(resumed("40").find("has changed") == std::string::npos);
  write(library, slurp(library) + "made anew");
  BOOST_TEST(resumed("50").find("mine.so has changed since the training") != std::string::npos);
  BOOST_TEST(resumed("60").find("mine.so has changed since the training") != std::string::npos);
  expect_ok(flowcli(folder, {"sample", run, "--out", folder.file("x.csv")}));
}

BOOST_AUTO_TEST_CASE(a_folder_of_a_targets_name_is_not_the_target) {
  const ScratchFolder folder;
  std::filesystem::create_directory(folder.file("U1"));
  const auto in_folder = [&] { BOOST_TEST_REQUIRE(chdir(folder.file("").c_str()) == 0); };
  const Outcome told = flowcli(
      folder,
      {"fit-target", "U1", "--out", "run", "--family", "nsf", "--steps", "60", "--threads", "1"},
      "", in_folder);
  expect_ok(told);
  // How far the evidence is from the grid depends on rounding; whether that is said does not.
  const std::size_t evidence = told.out.find("\nln Z") + 5,
                    spread = told.out.find("+-", evidence) + 2;
  const std::size_t grid = told.out.find("ln Z there") + 10;
  const double apart = std::stod(told.out.substr(evidence)) - std::stod(told.out.substr(grid));
  const double error = std::stod(told.out.substr(spread));
  const bool told_so = told.out.find("miss a part of the target") != std::string::npos;
  BOOST_TEST(told_so == (std::abs(apart) > 5 * std::max(error, 1e-3)), told.out);
  BOOST_TEST(told.out.find("outside the grid") != std::string::npos, told.out);
}

BOOST_AUTO_TEST_CASE(what_does_not_exist_is_refused) {
  const ScratchFolder folder;
  const std::string run = folder.file("run");
  expect_failure(flowcli(folder, fit("U9", run)), {"'U9'", "U1 U2"});
  expect_failure(flowcli(folder, fit("U1", run, {"--dims", "5"})), {"2 dimensions"});
  expect_failure(flowcli(folder, fit("U1", run, {"--set", "couplings=3"})), {"couplings"}, 2);
  expect_failure(flowcli(folder, fit("U1", run, {"--set", "data=moons"})), {"TARGET"}, 2);
  expect_failure(flowcli(folder, fit("U1", run, {"--set", "given=a"})), {"given", "no data"}, 2);
  expect_failure(flowcli(folder, fit("U1", run, {"--family", "maf", "--set", "norm=batch"})),
                 {"norm=batch"}, 2);
  expect_failure(flowcli(folder, {"train", "nsf", "--data", "target:2/U1", "--out", run}),
                 {"fit-target"}, 2);
  write(folder.file("text.so"), "no library");
  expect_failure(flowcli(folder, fit(folder.file("text.so"), run, {"--dims", "2"})),
                 {"shared library"});
  BOOST_TEST(!std::filesystem::exists(run));
}

BOOST_AUTO_TEST_SUITE_END()
