// flowcli's help and shell completion: examples name options that exist, and completion knows every
// command and option.
#include <boost/test/unit_test.hpp>
#include <map>

#include "cli_util.h"
#include "tests/picture_makers.h"

using namespace nf::test;

BOOST_AUTO_TEST_SUITE(cli_help)

namespace {

std::vector<std::string> words_of(const std::string& line) {
  std::istringstream in(line);
  std::vector<std::string> words;
  for (std::string word; in >> word;) words.push_back(word);
  return words;
}

/// Asked once for each command: with the sanitizers a process takes long to start.
std::string help_of(const ScratchFolder& folder, std::vector<std::string> command) {
  static std::map<std::vector<std::string>, std::string> known;
  command.push_back("--help");
  const auto [help, is_new] = known.try_emplace(command);
  if (is_new) {
    const Outcome outcome = flowcli(folder, command);
    BOOST_TEST(outcome.status == 0, outcome.err);
    help->second = outcome.out;
  }
  return help->second;
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
    line = line.substr(2, line.find("  ", 2) - 2);                 // explanations behind
    examples.push_back(words_of(line.substr(0, line.find('|'))));  // the first of a pipe
  }
  return examples;
}

/// All examples, in the order of the commands.
std::vector<std::vector<std::string>> all_examples(const ScratchFolder& folder) {
  const std::string main_help = help_of(folder, {});
  auto examples = examples_in(main_help);
  for (const std::string& command : subcommands_in(main_help)) {
    const auto own = examples_in(help_of(folder, {command}));
    BOOST_TEST(!own.empty(), command << " --help has no example");
    examples.insert(examples.end(), own.begin(), own.end());
  }
  std::erase_if(examples, [](const auto& example) { return example[1] == "COMMAND"; });
  return examples;
}

/// Options that make a command small, given instead of or beside those of the example. A budget
/// goes: how many steps it buys is the machine's affair.
const std::map<std::string, std::vector<std::string>> kSmaller = {
    {"train",
     {"--train=40", "--valid=20", "--test=30", "--epochs=2", "--couplings=2", "--hidden-units=4",
      "--overwrite"}},
    {"sweep", {"--train=40", "--valid=20", "--test=30", "--steps=4"}},
    {"calibrate", {"-n=10", "--draws=20"}},
    {"infer", {"-n=100", "--model=maf", "--set=steps=2"}},
    {"inpaint", {"--steps=3"}},
    {"fit-target", {"--steps=3"}},
    {"bench", {"--bench-steps=2", "--hidden-units=4"}},
    {"sample", {"-n=100"}},
    {"plot", {"--size=64"}},
};

std::vector<std::string> smaller(const std::vector<std::string>& example) {
  std::vector<std::string> call(example.begin() + 1, example.end());
  const auto found = kSmaller.find(call[0]);
  if (found == kSmaller.end()) return call;
  const auto budget = std::find(call.begin(), call.end(), "--budget");
  if (budget != call.end()) call.erase(budget, budget + 2);
  const bool couples = call.size() < 2 || (call[1] != "tabular" && call[1] != "vae");
  const bool folds = std::find(call.begin(), call.end(), "--folds") != call.end();
  for (const std::string& option : found->second) {
    const std::string name = option.substr(0, option.find('='));
    if ((!couples && name == "--couplings") || (folds && name == "--test")) continue;
    const auto at = std::find(call.begin(), call.end(), name);
    if (at != call.end()) call.erase(at, at + 2);
    call.push_back(name);
    if (name != option) call.push_back(option.substr(name.size() + 1));
  }
  return call;
}

class WorkingFolder {
 public:
  explicit WorkingFolder(const std::string& path) : before_(std::filesystem::current_path()) {
    std::filesystem::current_path(path);
  }
  ~WorkingFolder() { std::filesystem::current_path(before_); }

 private:
  std::filesystem::path before_;
};

/// What the examples speak of, in the working folder.
void make_what_examples_need(const ScratchFolder& folder) {
  for (const char* name : {"path/to/cifar-10-batches-bin", "path/to/photos", "runs"}) {
    std::filesystem::create_directories(name);
  }
  std::filesystem::copy_file(TARGETS "right.so", "libmine.so");
  for (const char* batch : {"data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4",
                            "data_batch_5", "test_batch"}) {
    std::ofstream("path/to/cifar-10-batches-bin/" + std::string(batch) + ".bin")
        << cifar_file({"\1", "\2"});
  }
  std::ofstream attributes("path/to/photos/attributes.csv");
  attributes << "file,smile,young\n";
  for (int i = 0; i < 100; ++i) {
    attributes << i << ".png," << i % 2 << "," << i % 3 << "\n";
    std::string rows;
    for (int p = 0; p < 9 * 8; ++p) rows += static_cast<char>(i * 31 + p * 17);
    std::ofstream("path/to/photos/" + std::to_string(i) + ".png") << png_file(9, 8, kGray, 8, rows);
  }
  attributes.close();
  for (const char* name : {"table.csv", "new.csv"}) {
    std::ofstream table(name);
    for (int i = 0; i < 90; ++i) table << i % 7 << "," << i % 11 + 0.5 << "," << i * i % 13 << "\n";
  }
  {
    std::ofstream people("people.csv");
    people << "age,sex,height\n";
    for (int i = 0; i < 90; ++i) {
      people << (i % 9 == 0 ? "" : std::to_string(20 + i * 7 % 31)) << ","
             << "fm"[i % 2] << "," << 160.5 + i * 13 % 29 << "\n";
    }
  }
  {
    std::ofstream prior("p.csv");
    prior << "a,b\n";
    for (int i = 0; i < 90; ++i) prior << i * 13 % 29 + 0.5 << "," << i * i % 13 << "\n";
  }
  std::ofstream("x.csv") << "x,y\n7.5,3\n";
  std::ofstream("sim") << "exec cat\n";
  std::filesystem::permissions("sim", std::filesystem::perms::owner_all);
  std::ofstream("rows.csv") << "x3\n5\n7\n";
  std::ofstream("my-model.json") << R"({"model": "realnvp-2d", "data": "moons"})";
  const std::vector<std::vector<std::string>> first = {
      {"data", "make", "glyphs", "--out", "path/to/mnist", "--train", "100", "--test", "40"},
      {"train", "realnvp", "--data", "path/to/photos", "--images", "crop:8", "--given",
       "smile,young", "--levels", "2", "--width", "4", "--blocks", "0", "--steps", "3", "--out",
       "runs/faces"},
      {"flowcli", "train", "realnvp-2d", "--out", "runs/moons"},
      {"flowcli", "train", "realnvp-2d", "--data", "table.csv", "--out", "runs/table"},
      {"flowcli", "train", "tabular", "--data", "people.csv", "--out", "runs/people"},
      {"flowcli", "train", "nice", "--data", "glyphs", "--out", "runs/glyphs"},
      {"flowcli", "train", "nice", "--data", "glyphs", "--given", "label", "--out", "runs/digits"},
      {"flowcli", "train", "realnvp-2d", "--data", "table.csv", "--given", "3", "--out",
       "runs/regression"},
  };
  for (const auto& call : first) {
    const Outcome outcome = flowcli(folder, call[0] == "flowcli" ? smaller(call) : call);
    BOOST_TEST_REQUIRE(outcome.status == 0, outcome.err);
  }
}

bool contains(const std::vector<std::string>& all, const std::string& one) {
  return std::find(all.begin(), all.end(), one) != all.end();
}

}  // namespace

BOOST_AUTO_TEST_CASE(examples_name_commands_and_options_that_exist) {
  const ScratchFolder folder;
  const auto commands = subcommands_in(help_of(folder, {}));
  BOOST_TEST(commands.size() >= 10U);
  for (const auto& example : all_examples(folder)) {
    BOOST_TEST_REQUIRE(contains(commands, example[1]), example[1]);
    std::vector<std::string> command{example[1]};
    std::string help = help_of(folder, command);
    if (example.size() > 2 && contains(subcommands_in(help), example[2])) {
      command.push_back(example[2]);
      help = help_of(folder, command);
    }
    for (const std::string& word : example) {
      if (word[0] != '-' || word == "-") continue;
      BOOST_TEST(contains(options_in(help), word), example[1] << ' ' << word);
    }
  }
}

BOOST_AUTO_TEST_CASE(help_fits_and_tells_types_and_defaults) {
  const ScratchFolder folder;
  std::vector<std::vector<std::string>> commands = {{}, {"data", "make"}};
  for (const std::string& name : subcommands_in(help_of(folder, {}))) commands.push_back({name});
  for (const auto& command : commands) {
    std::istringstream lines(help_of(folder, command));
    for (std::string line; std::getline(lines, line);) BOOST_TEST(line.size() <= 80U, line);
  }
  const std::string train = help_of(folder, {"train"});
  for (const char* shown : {"--epochs N", "--lr X", "--scaling BOOL", "--optimizer NAME",
                            "[200; realnvp-2d 300 (tables:", "rmsprop-floor"}) {
    BOOST_TEST(train.find(shown) != std::string::npos, shown);
  }
  BOOST_TEST(help_of(folder, {"train", "vae"}).find("[40 (tables: by their") != std::string::npos);
  for (const std::string command : {"inspect", "bench"}) {  // --set has the rest
    const std::string help = help_of(folder, {command});
    BOOST_TEST(help.find("--couplings") != std::string::npos);
    BOOST_TEST(help.find("--weight-decay") == std::string::npos);
    BOOST_TEST(help.find("flowcli train --help") != std::string::npos);
  }
}

// An option is shown where the model has values for it; given all the same, it is told why not.
// Of all models together: glow's mixing has an LU form, which realnvp-2d's has not.
BOOST_AUTO_TEST_CASE(all_choices_of_a_setting_are_shown) {
  const ScratchFolder folder;
  const std::vector<std::string> all = words_of(help_of(folder, {"train"}));
  for (const char* choice : {"none,", "lu,", "spline", "tape,"}) {
    BOOST_TEST((std::find(all.begin(), all.end(), choice) != all.end()), choice);
  }
}

BOOST_AUTO_TEST_CASE(recipes_are_shown_of_models_that_have_some) {
  const ScratchFolder folder;
  const std::pair<std::vector<std::string>, bool> cases[] = {{{"train"}, true},
                                                             {{"train", "nice"}, true},
                                                             {{"bench", "nice"}, true},
                                                             {{"train", "nice-plus"}, false},
                                                             {{"inspect", "realnvp-2d"}, false}};
  for (const auto& [command, shown] : cases) {
    const bool is_shown = contains(options_in(help_of(folder, command)), "--recipe");
    BOOST_TEST(is_shown == shown, command.back());
  }
  const Outcome given = flowcli(folder, {"train", "nice-plus", "--recipe", "code", "--data",
                                         "glyphs", "--out", folder.file("run")});
  BOOST_TEST(given.status == 2);
  BOOST_TEST(given.err.find("only nice has recipes, the model is nice-plus") != std::string::npos,
             given.err);
}

// Every example of every --help, in order, with small models.
BOOST_AUTO_TEST_CASE(examples_work) {
  const ScratchFolder folder;
  const WorkingFolder inside(folder.file(""));
  make_what_examples_need(folder);
  for (const auto& example : all_examples(folder)) {
    const std::vector<std::string> call = smaller(example);
    std::string line;
    for (const std::string& word : call) line += " " + word;
    const Outcome outcome = flowcli(folder, call);
    const bool lacking =  // not every processor has them
        outcome.err.find("has no products of bf16 here") != std::string::npos;
    BOOST_TEST((outcome.status == 0 || lacking), line << ": " << outcome.err);
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
      {"train nice", "nice nice-plus"},
      {"train rub", "rubbish"},  // a configuration, perhaps
      {"train nice --data mo", "moons"},
      {"score runs --against gl", "glyphs"},
      {"inpaint runs --mask ri", "right"},
      {"train nice --optimizer adam", "adam adamw adamax"},
      {"train nice --set", "--set"},
      {"train nice --couplings ru", ""},  // a number is no file
      {"train nice --scaling t", "true"},
      {"train nice --set warm", "warmup="},
      {"train nice --set lr = ru", ""},  // a shell makes three words of lr=ru
      {"eval runs --weights = b", "best"},
      {"eval runs --weights =", "best last"},
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
