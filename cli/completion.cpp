// flowcli completion: a script for bash or zsh, made from the commands themselves.
#include <cstdio>
#include <memory>
#include <sstream>
#include <vector>

#include "cli/cli.h"
#include "cli/settings.h"
#include "tensor/text.h"

namespace nf::cli {

namespace {

/// One option or argument, as a shell sees it.
struct Word {
  std::vector<std::string> names = {};  ///< "-n", "--count"; none: an argument
  std::string argument;                 ///< of an argument: "RUN"
  std::string help;
  bool takes_value;
  std::vector<std::string> choices;  ///< of the value, where they are few
  bool files = false;                ///< or a file
  bool many = false;                 ///< an argument that may be given again and again
};

struct Command {
  std::string path;  ///< "data make"; empty: flowcli itself
  std::string help;
  std::vector<std::string> subcommands = {};
  std::vector<Word> words = {};
};

// "lr=", "epochs=", ...: what --set takes.
std::vector<std::string> settings() {
  std::vector<std::string> out;
  for (const flows::Field& field : all_fields()) out.push_back(field.key + "=");
  return out;
}

// The choices are in the name of the type: "NAME:{train,valid,test}". PATH among them stands for
// any file.
std::vector<std::string> choices_of(const CLI::Option& option) {
  const std::string type = option.get_type_name();
  if (type == "KEY=VALUE") return settings();
  const std::size_t open = type.find('{'), close = type.find('}');
  std::vector<std::string> out;
  if (open == std::string::npos || close == std::string::npos || close < open) return out;
  std::istringstream list(type.substr(open + 1, close - open - 1));
  for (std::string word; std::getline(list, word, ',');) out.push_back(word);
  return out;
}

bool is_number(const CLI::Option& option) {
  const std::string type = option.get_type_name();
  return type == "N" || type == "X" || type == "INT" || type == "UINT" || type == "FLOAT";
}

Word word_of(const CLI::Option& option) {
  Word word{.argument = option.get_positional() ? option.get_name(true, false) : "",
            .help = option.get_description(),
            .takes_value = option.get_items_expected_max() > 0,
            .choices = choices_of(option)};
  word.many = option.get_positional() && option.get_items_expected_max() > 1;
  word.files = std::erase(word.choices, "PATH") > 0 || (word.choices.empty() && !is_number(option));
  for (const std::string& name : option.get_snames()) word.names.push_back("-" + name);
  for (const std::string& name : option.get_lnames()) word.names.push_back("--" + name);
  return word;
}

// Depth first, each command before its subcommands.
void collect(const CLI::App& app, const std::string& path, std::vector<Command>& out) {
  Command command{.path = path, .help = app.get_description()};
  const auto subcommands = app.get_subcommands([](const CLI::App*) { return true; });
  for (const CLI::App* sub : subcommands) command.subcommands.push_back(sub->get_name());
  for (const CLI::Option* option : app.get_options()) command.words.push_back(word_of(*option));
  out.push_back(command);
  for (const CLI::App* sub : subcommands) {
    collect(*sub, path.empty() ? sub->get_name() : path + " " + sub->get_name(), out);
  }
}

bool is_folder(const std::string& argument) { return argument == "RUN"; }

// --- bash ---------------------------------------------------------------------------------------

// For one command: what may be typed next, and after which option which values.
std::string bash_case(const Command& command) {
  std::vector<std::string> next = command.subcommands;
  std::string values, files;
  for (const Word& word : command.words) {
    next.insert(next.end(), word.names.begin(), word.names.end());
    if (word.names.empty()) {
      next.insert(next.end(), word.choices.begin(), word.choices.end());
      if (word.files) files = is_folder(word.argument) ? "-d" : "-f";
    } else if (word.takes_value) {
      values += "        " + join(word.names, "|") + ") ";
      values += str("files=", word.files ? "-f" : "", " next='", join(word.choices, " "), "' ;;\n");
    }
  }
  return "    '" + command.path + "')\n      next='" + join(next, " ") + "' files=" + files +
         "\n      case $previous in\n" + values + "      esac ;;\n";
}

std::string bash_script(const std::vector<Command>& commands) {
  std::vector<std::string> paths;
  std::string cases;
  for (const Command& command : commands) {
    if (!command.path.empty()) paths.push_back("'" + command.path + "'");
    cases += bash_case(command);
  }
  return "# flowcli completion for bash: source <(flowcli completion bash)\n"
         "_flowcli() {\n"
         "  local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}\n"
         "  local path= next= files= i\n"
         "  # --option=VALUE comes as three words.\n"
         "  if [[ $word == = ]]; then\n"
         "    word=\n"
         "  elif [[ $previous == = ]]; then\n"
         "    previous=${COMP_WORDS[COMP_CWORD-2]}\n"
         "    [[ $previous == -* ]] || return 0\n"
         "  fi\n"
         "  for ((i = 1; i < COMP_CWORD; ++i)); do\n"
         "    case \"${path:+$path }${COMP_WORDS[i]}\" in\n"
         "      " +
         join(paths, "|") +
         ") path=\"${path:+$path }${COMP_WORDS[i]}\" ;;\n"
         "    esac\n"
         "  done\n"
         "  case $path in\n" +
         cases +
         "  esac\n"
         "  COMPREPLY=($(compgen -W \"$next\" -- \"$word\"))\n"
         "  [[ ${COMPREPLY-} != *= ]] || compopt -o nospace 2>/dev/null\n"
         "  if [[ -n $files && $word != -* && -n $path ]]; then\n"
         "    compopt -o filenames 2>/dev/null\n"
         "    COMPREPLY+=($(compgen $files -- \"$word\"))\n"
         "  fi\n"
         "}\n"
         "complete -F _flowcli flowcli\n";
}

// --- zsh ----------------------------------------------------------------------------------------

// In a specification of _arguments, inside single quotes.
std::string zsh_escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '\'') {
      out += "'\\''";
    } else if (c == '[' || c == ']' || c == ':' || c == '\\') {
      out += std::string("\\") + c;
    } else {
      out += c;
    }
  }
  return out;
}

std::string zsh_value(const Word& word) {
  const std::string names = join(word.choices, " ");
  if (!word.files) return "(" + names + ")";
  const char* const files = is_folder(word.argument) ? "_files -/" : "_files";
  return names.empty() ? files : str("{compadd -- ", names, "; ", files, "}");
}

std::string zsh_function(const Command& command) {
  std::string name = "_flowcli", specs;
  for (const char c : command.path.empty() ? "" : " " + command.path) name += c == ' ' ? '_' : c;
  for (const Word& word : command.words) {
    if (word.names.empty()) {
      specs += str(" \\\n    '", word.many ? "*" : "", ":") + word.argument + ":" +
               zsh_value(word) + "'";
      continue;
    }
    for (const std::string& option : word.names) {
      const bool takes_equals = word.takes_value && option.starts_with("--");
      specs +=
          " \\\n    '*" + option + (takes_equals ? "=" : "") + "[" + zsh_escaped(word.help) + "]";
      if (word.takes_value) specs += ":value:" + zsh_value(word);
      specs += "'";
    }
  }
  std::string out = name + "() {\n";
  if (command.subcommands.empty()) return out + "  _arguments -s" + specs + "\n}\n";
  // A word that is a subcommand hands over; anything else is an option or argument of this one.
  out += "  local at=1\n  while (( at < CURRENT )); do\n    (( at++ ))\n    case ${words[at]} in\n";
  for (const std::string& sub : command.subcommands) {
    out += "      " + sub + ") (( at < CURRENT )) && { shift $(( at - 1 )) words; " +
           "(( CURRENT -= at - 1 )); " + name + "_" + sub + "; return; } ;;\n";
  }
  return out + "    esac\n  done\n  local -a commands=(" + join(command.subcommands, " ") +
         ")\n  compadd -a commands\n  _arguments -s" + specs + "\n}\n";
}

std::string zsh_script(const std::vector<Command>& commands) {
  std::string out = "# flowcli completion for zsh: source <(flowcli completion zsh)\n";
  for (const Command& command : commands) out += zsh_function(command);
  return out + "compdef _flowcli flowcli\n";
}

}  // namespace

void add_completion(CLI::App& app) {
  auto shell = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand("completion", "Print a completion script for a shell");
  command->add_option("SHELL", *shell, "Which shell")->required()->check(one_of({"bash", "zsh"}));
  command->footer(
      "Put the line into ~/.bashrc, or into ~/.zshrc after compinit:\n"
      "  source <(flowcli completion bash)\n\n"
      "Examples:\n  flowcli completion bash\n  flowcli completion zsh\n");
  command->callback([shell, &app] {
    std::vector<Command> commands;
    collect(app, "", commands);
    const std::string script = *shell == "bash" ? bash_script(commands) : zsh_script(commands);
    std::fputs(script.c_str(), stdout);
  });
}

}  // namespace nf::cli
