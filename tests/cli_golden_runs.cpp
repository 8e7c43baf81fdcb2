// Runs that an earlier flowcli made (tests/golden_runs/make.py) are opened by every command that
// reads one, without their data beside them, and give the numbers that they gave then.
#include <boost/test/unit_test.hpp>
#include <cmath>

#include "cli_util.h"

using namespace nf::test;
namespace fs = std::filesystem;

BOOST_AUTO_TEST_SUITE(cli_golden_runs)

namespace {

const std::string kGolden =
    fs::absolute(fs::path(__FILE__).parent_path() / "golden_runs").string() + "/";

void expect_close(const nlohmann::json& now, const nlohmann::json& then, const std::string& key) {
  const double a = now[key].get<double>(), b = then[key].get<double>();
  BOOST_TEST(std::abs(a - b) <= 1e-5 * std::max(1.0, std::abs(b)),
             key << ": " << a << " for " << b);
}

void every_command_opens(const std::string& name, const std::string& data,
                         const std::vector<std::vector<std::string>>& more) {
  const ScratchFolder folder;
  const std::string run = folder.file(name),
                    rows = folder.file("rows" + data.substr(data.find('.')));
  fs::copy(kGolden + name, run, fs::copy_options::recursive);
  fs::copy(kGolden + data, rows);
  const auto expected = nlohmann::json::parse(slurp(kGolden + "expected.json"))[name];
  const Outcome evaluated = flowcli(folder, {"eval", run, "--data", rows, "--json"});
  BOOST_TEST_REQUIRE(evaluated.status == 0, evaluated.err);
  const nlohmann::json now = evaluated.json();
  for (const char* key : {"nats", "bits_per_dim"}) expect_close(now, expected, key);
  for (const char* key : {"count", "dims", "status"}) BOOST_TEST((now[key] == expected[key]), key);

  const std::string z = folder.file("z.npy");
  std::vector<std::vector<std::string>> calls = {
      {"inspect", run},
      {"sample", run, "-n", "9", "--out", folder.file("s.npy")},
      {"encode", run, "--data", rows, "--out", z},
      {"decode", run, z, "--out", folder.file("d.npy")},
      {"score", run, "--data", rows, "--out", folder.file("s.csv")},
      {"interpolate", run, "--data", rows, "-n", "2", "--out", folder.file("i.npy")},
      {"check", run, "--data", rows, "--split", "train"},
      {"spectrum", run, "--out", folder.file("s.svg")},
      {"report", run, "--out", folder.file("r.html")}};
  for (const std::vector<std::string>& call : more) {
    calls.push_back({call[0], run});
    calls.back().insert(calls.back().end(), call.begin() + 1, call.end());
    calls.back().insert(calls.back().end(), {"--out", folder.file("m.png")});
    if (call[0] == "inpaint") calls.back().insert(calls.back().end(), {"--data", rows});
  }
  for (const auto& call : calls) {
    const Outcome outcome = flowcli(folder, call);
    BOOST_TEST(outcome.status == 0, call[0] << ": " << outcome.err);
  }
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_table) { every_command_opens("table", "table.csv", {}); }

BOOST_AUTO_TEST_CASE(pictures) {
  every_command_opens(
      "pixels", "pixels.npy",
      {{"manifold", "--rows", "2"}, {"inpaint", "-n", "2", "--steps", "2", "--mask", "left"}});
}

BOOST_AUTO_TEST_SUITE_END()
