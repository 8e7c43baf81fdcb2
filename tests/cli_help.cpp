// flowcli's help and shell completion: examples name options that exist, and completion knows every
// command and option.
#include <boost/test/unit_test.hpp>

#include "cli_util.h"

using namespace nf::test;

BOOST_AUTO_TEST_SUITE(cli_help)

namespace {

std::vector<std::string> words_of(const std::string& line) {
  std::istringstream in(line);
  std::vector<std::string> words;
  for (std::string word; in >> word;) words.push_back(word);
  return words;
}

std::string help_of(const ScratchFolder& folder, std::vector<std::string> command) {
  command.push_back("--help");
  const Outcome outcome = flowcli(folder, command);
  BOOST_TEST(outcome.status == 0, outcome.err);
  return outcome.out;
}

/// The names under "Subcommands:".
std::vector<std::string> subcommands_in(const std::string& help) {
  std::vector<std::string> names;
  std::istringstream lines(help);
  bool inside = false;
  for (std::string line; std::getline(lines, line);) {
    if (line == "Subcommands:") {
      inside = true;
    } else if (inside && line.starts_with("  ") && line.size() > 2 && line[2] != ' ') {
      names.push_back(words_of(line)[0]);
    } else if (inside && !line.starts_with("  ")) {
      inside = false;
    }
  }
  return names;
}

std::vector<std::string> options_in(const std::string& help) {
  std::vector<std::string> names;
  std::istringstream lines(help);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("  -")) continue;
    std::istringstream list(words_of(line)[0]);
    for (std::string name; std::getline(list, name, ',');) names.push_back(name);
  }
  return names;
}

std::vector<std::vector<std::string>> examples_in(const std::string& help) {
  std::vector<std::vector<std::string>> examples;
  std::istringstream lines(help.substr(std::min(help.find("Examples:"), help.size())));
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("  flowcli ")) continue;
    examples.push_back(words_of(line.substr(2, line.find("  ", 2) - 2)));  // explanations behind
  }
  return examples;
}

bool contains(const std::vector<std::string>& all, const std::string& one) {
  return std::find(all.begin(), all.end(), one) != all.end();
}

}  // namespace

BOOST_AUTO_TEST_CASE(examples_name_commands_and_options_that_exist) {
  const ScratchFolder folder;
  const std::string main_help = help_of(folder, {});
  const auto commands = subcommands_in(main_help);
  BOOST_TEST(commands.size() >= 10U);
  auto examples = examples_in(main_help);
  for (const std::string& command : commands) {
    const auto own = examples_in(help_of(folder, {command}));
    BOOST_TEST(!own.empty(), command << " --help has no example");
    examples.insert(examples.end(), own.begin(), own.end());
  }
  for (const auto& example : examples) {
    if (example[1] == "COMMAND") continue;
    BOOST_TEST_REQUIRE(contains(commands, example[1]), example[1]);
    std::vector<std::string> command{example[1]};
    std::string help = help_of(folder, command);
    if (example.size() > 2 && contains(subcommands_in(help), example[2])) {
      command.push_back(example[2]);
      help = help_of(folder, command);
    }
    for (const std::string& word : example) {
      if (word[0] == '-') BOOST_TEST(contains(options_in(help), word), example[1] << ' ' << word);
    }
  }
}

BOOST_AUTO_TEST_CASE(completion_knows_every_command_and_option) {
  const ScratchFolder folder;
  const auto commands = subcommands_in(help_of(folder, {}));
  for (const std::string shell : {"bash", "zsh"}) {
    const Outcome script = flowcli(folder, {"completion", shell});
    BOOST_TEST_REQUIRE(script.status == 0, script.err);
    for (const std::string& command : commands) {
      BOOST_TEST(script.out.find(command) != std::string::npos, shell << ' ' << command);
      for (const std::string& option : options_in(help_of(folder, {command}))) {
        BOOST_TEST(script.out.find(option) != std::string::npos, shell << ' ' << option);
      }
    }
  }
  BOOST_TEST(flowcli(folder, {"completion", "fish"}).status == 2);
}

BOOST_AUTO_TEST_CASE(bash_completes) {
  const ScratchFolder folder;
  std::ofstream(folder.file("script")) << flowcli(folder, {"completion", "bash"}).out;
  std::filesystem::create_directory(folder.file("runs"));
  std::ofstream(folder.file("rubbish")) << "no folder";
  struct Row {
    std::string typed;  ///< the last word is the one to be completed
    std::string offered;
  };
  const Row rows[] = {
      {"ev", "eval"},
      {"eval --spl", "--split"},
      {"eval --split t", "train test"},
      {"eval --split va", "valid"},
      {"completion z", "zsh"},
      {"eval ru", "runs"},  // a folder, not the file
      {"eval --data ru", "runs rubbish"},
      {"data ma", "make"},
      {"data make --te", "--test"},
      {"sample runs --temp", "--temperature"},
      {"check runs --jac", "--jacobians"},
      {"train nice --data mo --coupl", "--couplings --coupling"},
  };
  for (const Row& row : rows) {
    const std::string count = std::to_string(words_of(row.typed).size());
    const std::string command = "cd " + folder.file("") +
                                " && bash -c 'source ./script; COMP_WORDS=(" + "flowcli " +
                                row.typed + "); COMP_CWORD=" + count +
                                "; _flowcli; printf \"%s\\n\" \"${COMPREPLY[@]}\"' > offered";
    BOOST_TEST_REQUIRE(std::system(command.c_str()) == 0, row.typed);
    auto offered = words_of(slurp(folder.file("offered"))), expected = words_of(row.offered);
    std::sort(offered.begin(), offered.end());
    std::sort(expected.begin(), expected.end());
    BOOST_TEST(offered == expected, row.typed << ": " << slurp(folder.file("offered")));
  }
}

BOOST_AUTO_TEST_SUITE_END()
