// flowcli doctor and --version: what they say of the build and the machine, and that a wrong number
// is found.
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <set>

#include "tests/cli_util.h"

using namespace nf::test;

namespace {

const std::vector<std::string> kTests = {"generator", "product", "gradient", "flow", "file"};

void expect_failure_of(const std::string& test, const Outcome& outcome) {
  BOOST_TEST(outcome.status == 1);
  BOOST_TEST(outcome.err.find("FAILED") != std::string::npos, outcome.err);
  BOOST_TEST(outcome.err.find(test) != std::string::npos, outcome.err);
  const auto json = outcome.json();
  BOOST_TEST(json["ok"] == false);
  BOOST_TEST(json[test]["ok"] == false);
  BOOST_TEST(!json[test]["detail"].get<std::string>().empty());
}

}  // namespace

BOOST_AUTO_TEST_SUITE(cli_doctor)

BOOST_AUTO_TEST_CASE(a_sound_machine_passes) {
  const ScratchFolder folder;
  const Outcome outcome = flowcli(folder, {"doctor", "--json", "--device", "cpu"});
  BOOST_TEST_REQUIRE(outcome.status == 0, outcome.err);
  const auto json = outcome.json();
  BOOST_TEST(json["ok"] == true);
  for (const std::string& test : kTests) BOOST_TEST(json[test]["ok"] == true, test);
  // The compiler was not allowed what this processor, which runs the test, does not have.
  const auto executes = json["executes"].get<std::vector<std::string>>();
  for (const auto& set : json["compiled_for"]) {
    BOOST_TEST(std::count(executes.begin(), executes.end(), set.get<std::string>()) == 1, set);
  }
  BOOST_TEST(json["threads"].get<int>() >= 1);
  BOOST_TEST(!json["blas_kernels"].get<std::string>().empty());
}

BOOST_AUTO_TEST_CASE(lines_and_json_have_the_same_keys) {
  const ScratchFolder folder;
  const auto json = flowcli(folder, {"doctor", "--json"}).json();
  const Outcome text = flowcli(folder, {"doctor"});
  std::set<std::string> keys, words;
  for (const auto& [key, value] : json.items()) keys.insert(key);
  std::istringstream lines(text.out);
  for (std::string line; std::getline(lines, line);) words.insert(line.substr(0, line.find(' ')));
  BOOST_TEST(keys == words, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(what_is_wrong_is_named) {
  const ScratchFolder folder;
  expect_failure_of("file", flowcli(folder, {"doctor", "--json"}, "write-rename:1:fail"));
  // An OpenBLAS that does not compute: the Jacobians' determinants are LAPACK's, the products only
  // where they are asked for.
  const auto fake = [] { setenv("LD_LIBRARY_PATH", NF_FAKE_OPENBLAS, 1); };
  const std::vector<std::string> words = {"doctor", "--json", "--device", "cpu"};
  expect_failure_of("flow", flowcli(folder, words, "", fake));
  expect_failure_of("product", flowcli(folder, words, "", [&] {
                      fake();
                      setenv("NF_MATMUL", "openblas", 1);
                    }));
}

BOOST_AUTO_TEST_CASE(version_tells_of_the_build) {
  const ScratchFolder folder;
  const auto tell_libraries = [] { setenv("LD_DEBUG", "files", 1); };
  const Outcome version = flowcli(folder, {"--version"}, "", tell_libraries);
  BOOST_TEST_REQUIRE(version.status == 0);
  const auto doctor = flowcli(folder, {"doctor", "--json"}).json();
  BOOST_TEST(version.out.starts_with("flowcli " + doctor["version"].get<std::string>() + "\n"));
  for (const char* key : {"compiler", "flags"}) {
    BOOST_TEST(version.out.find(doctor[key].get<std::string>()) != std::string::npos, key);
  }
  BOOST_TEST(version.out.find("\nCUDA ") != std::string::npos);
  // It opens no OpenBLAS, which the loader would tell, as it does of doctor.
  BOOST_TEST(version.err.find("openblas") == std::string::npos);
  const Outcome opening = flowcli(folder, {"doctor"}, "", tell_libraries);
  BOOST_TEST(opening.err.find("openblas") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()
