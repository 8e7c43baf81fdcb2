// flowcli train --ensemble: members, their mixture in other commands, what goes on after a signal.
#include <boost/test/unit_test.hpp>
#include <cmath>

#include "c_runs.h"

using namespace nf::test;

BOOST_AUTO_TEST_SUITE(cli_ensemble)

namespace {

using Words = std::vector<std::string>;

struct Ensembles {
  Ensembles() {
    std::ofstream table(csv);
    table << "a,b\n";
    for (int i = 0; i < 200; ++i)
      table << i % 17 * 0.5 + i * 1e-3 << "," << i * i % 23 * 0.25 << "\n";
  }
  Words training(const Words& more) const {
    Words words = {"train",       "realnvp-2d", "--data",         csv, "--out",    run,
                   "--couplings", "2",          "--hidden-units", "4", "--epochs", "2",
                   "--threads",   "1"};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  ScratchFolder folder;
  const std::string csv = folder.file("table.csv"), run = folder.file("run");
};

std::vector<double> scores_of(const ScratchFolder& folder, const std::string& run) {
  const std::string out = folder.file("scores.csv");
  expect_ok(flowcli(folder, {"score", run, "--out", out, "--threads", "1"}));
  std::vector<double> scores;
  const Words lines = lines_of(slurp(out));
  for (std::size_t i = 1; i < lines.size(); ++i) {
    scores.push_back(std::stod(lines[i].substr(lines[i].find(',') + 1)));
  }
  return scores;
}

}  // namespace

BOOST_AUTO_TEST_CASE(members_are_runs_and_together_a_mixture) {
  const Ensembles e;
  const Outcome trained =
      flowcli(e.folder, e.training({"--ensemble", "3", "--json", "--seed", "5"}));
  expect_ok(trained);
  const auto told = trained.json();
  BOOST_TEST_REQUIRE(told["members"].size() == 3U);
  std::vector<std::vector<double>> members;
  for (int k = 1; k <= 3; ++k) {
    const std::string member = e.run + "/member-" + std::to_string(k);
    BOOST_TEST(told["members"][k - 1]["run"] == member);
    BOOST_TEST(config_of(member)["training"]["seed"] == 4 + k);
    members.push_back(scores_of(e.folder, member));
  }
  BOOST_TEST(members[0] != members[1]);
  // The same weights as a training by itself.
  const std::string alone = e.folder.file("alone");
  Words one = e.training({"--seed", "6", "--quiet"});
  one[5] = alone;
  expect_ok(flowcli(e.folder, one));
  BOOST_CHECK(slurp(alone + "/best.safetensors") == slurp(e.run + "/member-2/best.safetensors"));

  const std::vector<double> all = scores_of(e.folder, e.run);
  BOOST_TEST_REQUIRE(all.size() == members[0].size());
  for (std::size_t i = 0; i < all.size(); ++i) {
    double p = 0;
    for (const auto& member : members) p += std::exp(member[i]) / 3;
    BOOST_TEST(std::exp(all[i]) == p, boost::test_tools::tolerance(1e-2));
  }
  const auto eval = flowcli(e.folder, {"eval", e.run, "--json"}).json();
  BOOST_TEST_REQUIRE(eval["members"].size() == 3U);
  double mean = 0, squares = 0;
  for (const auto& member : eval["members"]) {
    mean += member["nats"].get<double>() / 3;
    squares += member["nats"].get<double>() * member["nats"].get<double>();
  }
  BOOST_TEST(eval["members_nats"].get<double>() == mean, boost::test_tools::tolerance(1e-9));
  BOOST_TEST(eval["members_nats_sd"].get<double>() == std::sqrt((squares - 3 * mean * mean) / 2),
             boost::test_tools::tolerance(1e-4));
  BOOST_TEST(eval["nats"].get<double>() > mean);  // Jensen
  BOOST_TEST(flowcli(e.folder, {"eval", e.run}).out.find("3 members: ") != std::string::npos);
  for (const Words& call : {Words{"sample", e.run, "-n", "20", "--out", e.folder.file("s.csv")},
                            {"check", e.run},
                            {"report", e.run},
                            {"inspect", e.run},
                            {"score", e.run, "--flag", "0.05", "--data", e.csv},
                            {"compare", e.run, alone}}) {
    const Outcome outcome = flowcli(e.folder, call);
    BOOST_TEST(outcome.status == 0, call[0] << ": " << outcome.err);
  }
  BOOST_TEST(lines_of(slurp(e.folder.file("s.csv"))).size() == 21U);
  expect_failure(flowcli(e.folder, {"encode", e.run}), {"latents"});
  const Handle model(e.run);
  std::vector<double> x = {1, 2}, nats(1);
  nf_array in = dense(x, 1, 2);
  nf::test::expect_ok(nf_log_prob(model, &in, nullptr, nats.data()));
  BOOST_TEST(std::isfinite(nats[0]));

  expect_failure(flowcli(e.folder, e.training({"--ensemble", "2"})), {"already holds an ensemble"});
  expect_ok(flowcli(e.folder, e.training({"--ensemble", "2", "--overwrite", "--quiet"})));
  BOOST_TEST(config_of(e.run + "/member-1")["training"]["seed"] == 1);
  BOOST_TEST(!std::filesystem::exists(e.run + "/member-3"));
}

BOOST_AUTO_TEST_CASE(an_ensemble_that_was_ended_goes_on) {
  const Ensembles whole, parts;
  expect_ok(flowcli(whole.folder, whole.training({"--ensemble", "2", "--quiet"})));
  // The first member is killed at the end of its first epoch.
  const Outcome killed =
      flowcli(parts.folder, parts.training({"--ensemble", "2"}), "log-append:1:kill");
  BOOST_TEST(killed.status == 1, killed.err);
  expect_failure(flowcli(parts.folder, {"eval", parts.run}), {"member-2", "flowcli resume"});
  expect_failure(flowcli(parts.folder, {"resume", parts.run, "--epochs", "5"}), {"one by one"}, 2);
  expect_ok(flowcli(parts.folder, {"resume", parts.run, "--quiet", "--threads", "1"}));
  for (const char* member : {"/member-1", "/member-2"}) {
    BOOST_CHECK(slurp(parts.run + member + "/best.safetensors") ==
                slurp(whole.run + member + "/best.safetensors"));
  }
  std::filesystem::remove_all(parts.run + "/member-2");
  std::filesystem::copy(parts.run + "/member-1", parts.run + "/member-2",
                        std::filesystem::copy_options::recursive);
  expect_failure(flowcli(parts.folder, {"score", parts.run, "--flag", "0.1"}), {"other weights"});
}

// A link leads to members of somebody else, and without its config.json an ensemble is one still.
BOOST_AUTO_TEST_CASE(an_ensemble_is_replaced_when_that_is_asked_for_and_nothing_else_is) {
  const Ensembles e, other;
  for (const Ensembles* one : {&e, &other}) {
    expect_ok(flowcli(one->folder, one->training({"--ensemble", "2", "--quiet"})));
  }
  std::filesystem::remove_all(e.run + "/member-2");
  std::filesystem::create_directory_symlink(other.run + "/member-2", e.run + "/member-2");
  const Words again = e.training({"--ensemble", "2", "--quiet", "--overwrite"});
  flowcli(e.folder, again);
  BOOST_TEST(std::filesystem::exists(other.run + "/member-2/best.safetensors"));
  std::filesystem::remove(other.run + "/config.json");
  expect_failure(flowcli(other.folder, other.training({"--ensemble", "2", "--quiet"})),
                 {"choose another --out, or give --overwrite"});
}

BOOST_AUTO_TEST_SUITE_END()
