// What the words of a command line may be, how --help shows them, and what is said of wrong ones.
#include <algorithm>
#include <charconv>
#include <cmath>

#include "cli/cli.h"
#include "cli/lines.h"
#include "cli/settings.h"
#include "tensor/text.h"

namespace nf::cli {

// --- values of options --------------------------------------------------------------------------

namespace {

/// The text as a number, all of it; NaN when it is none.
double parsed(const std::string& text) {
  double value = 0;
  const char* const end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, value);
  return error == std::errc() && at == end ? value : std::nan("");
}

std::string limits(const auto& lowest, const auto& highest) {
  using Limits = std::numeric_limits<std::decay_t<decltype(highest)>>;
  if (highest == Limits::max()) return str("of at least ", lowest);
  return str("from ", lowest, " to ", highest);
}

// Without a description CLI11 adds nothing to the name of the type.
CLI::Validator rule(std::function<std::string(const std::string&)> check,
                    const std::string& type = "") {
  return CLI::Validator([check](std::string& text) { return check(text); }, type);
}

}  // namespace

std::string shown_word(const std::string& word) {
  constexpr std::size_t kShown = 40;
  return "'" + printable(word.substr(0, kShown)) + (word.size() <= kShown ? "'" : "...'");
}

CLI::Validator whole(std::int64_t lowest, std::int64_t highest) {
  return rule([=](const std::string& text) {
    std::int64_t value = 0;
    const char* const end = text.data() + text.size();
    const auto [at, error] = std::from_chars(text.data(), end, value);
    const bool right = error == std::errc() && at == end && value >= lowest && value <= highest;
    if (right) return std::string();
    const bool too_large = error == std::errc::result_out_of_range;
    return str(shown_word(text), " is not a whole number ",
               too_large ? str("from ", lowest, " to ", highest) : limits(lowest, highest));
  });
}

CLI::Validator real(double lowest, double highest) {
  return rule([=](const std::string& text) {
    const double value = parsed(text);
    return value >= lowest && value <= highest && std::isfinite(value)
               ? std::string()
               : str(shown_word(text), " is not a finite number ", limits(lowest, highest));
  });
}

CLI::Validator one_of(const std::vector<std::string>& names) {
  return rule(
      [names](const std::string& text) {
        if (std::find(names.begin(), names.end(), text) != names.end()) return std::string();
        return str(shown_word(text), " is not one of ", join(names, ", "),
                   did_you_mean(text, names));
      },
      "{" + join(names, ",") + "}");
}

void add_seed(CLI::App& app, std::uint64_t& seed, const std::string& what) {
  app.add_option("--seed", seed, what)->check(whole(0))->capture_default_str();
}

void forbid_empty_values(CLI::App& app) {
  const auto filled = rule([](const std::string& text) {
    return std::string(text.empty() ? "'' is no value; leave the option out, or give it one" : "");
  });
  for (CLI::Option* option : app.get_options()) {
    if (option->get_items_expected_max() > 0) option->check(filled);
  }
  for (CLI::App* command : app.get_subcommands([](CLI::App*) { return true; })) {
    forbid_empty_values(*command);
  }
}

// --- --help -------------------------------------------------------------------------------------

namespace {

constexpr std::size_t kLeft = 28;  // columns of the names, two spaces before them included

/// "NAME" of "NAME:{a,b}", and what is in the braces: "a, b".
struct Type {
  std::string name, choices;
};

Type type_of(const CLI::Option& option) {
  const std::string text = option.get_type_name();
  const std::size_t open = text.find('{'), close = text.rfind('}');
  Type type{text.substr(0, std::min(text.find(':'), open)), ""};
  if (open != std::string::npos && close != std::string::npos && open < close) {
    std::istringstream names(text.substr(open + 1, close - open - 1));
    std::vector<std::string> all;
    for (std::string name; std::getline(names, name, ',');) {
      all.push_back(name == "PATH" ? "or a path" : name);
    }
    type.choices = join(all, ", ");
  }
  if (type.name == "INT" || type.name == "UINT") type.name = "N";
  if (type.name == "FLOAT") type.name = "X";
  if (type.name == "TEXT" && !type.choices.empty()) type.name = "NAME";
  return type;
}

/// `name` in the left column, `text` beside it, broken where it is too long.
std::string entry(const std::string& name, const std::string& text) {
  std::string left = "  " + name;
  if (left.size() + 2 > kLeft && !text.empty()) {
    left += "\n";
  } else {
    left.resize(std::max(kLeft, left.size()), ' ');
  }
  std::string right;
  std::istringstream lines(wrapped(text, kColumns - kLeft));
  for (std::string line; std::getline(lines, line);) {
    const std::size_t begin = std::min(line.find_first_not_of(' '), line.size());
    const bool beside = right.empty() && !left.ends_with('\n');
    right += (beside ? "" : std::string(kLeft, ' ')) + line.substr(begin) + "\n";
  }
  return left + (right.empty() ? "\n" : right);
}

/// The text under the options: prose as paragraphs that fit, examples as they are.
std::string footer(const std::string& text) {
  std::string out, paragraph;
  const auto end_paragraph = [&] {
    std::istringstream lines(wrapped(paragraph));
    for (std::string line; std::getline(lines, line);) {
      out += line.substr(std::min(line.find_first_not_of(' '), line.size())) + "\n";
    }
    paragraph.clear();
  };
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const bool prose = !line.empty() && line[0] != ' ' && line != "Examples:";
    if (!prose) end_paragraph();
    if (prose) {
      paragraph += (paragraph.empty() ? "" : " ") + line;
    } else {
      out += line + "\n";
    }
  }
  end_paragraph();
  return out;
}

class HelpFormat : public CLI::Formatter {
 public:
  std::string make_footer(const CLI::App* command) const override {
    return footer(command->get_footer());
  }
  std::string make_option(const CLI::Option* option, bool positional) const override {
    const Type type = type_of(*option);
    const bool flag = option->get_items_expected_max() == 0;
    std::string text = option->get_description();
    if (!type.choices.empty()) text += ": " + type.choices;
    if (const std::string value = option->get_default_str(); !flag && !value.empty()) {
      text += " [" + value + "]";
    }
    std::string name = make_option_name(option, positional);
    if (!flag && !positional) name += " " + type.name;
    return entry(name, text);
  }
  std::string make_subcommand(const CLI::App* command) const override {
    return entry(command->get_name(), command->get_description());
  }
};

}  // namespace

std::shared_ptr<CLI::FormatterBase> help_format() { return std::make_shared<HelpFormat>(); }

// --- wrong command lines ------------------------------------------------------------------------

namespace {

std::vector<std::string> names_of(const std::vector<const CLI::App*>& commands) {
  std::vector<std::string> names;
  for (const CLI::App* command : commands) names.push_back(command->get_name());
  return names;
}

/// Where reading stopped: the innermost command that was named.
const CLI::App& innermost(const CLI::App& app) {
  const CLI::App* at = &app;
  while (!at->get_subcommands().empty()) at = at->get_subcommands().back();
  return *at;
}

std::string path_of(const CLI::App& command) {
  const CLI::App* parent = command.get_parent();
  return parent ? path_of(*parent) + " " + command.get_name() : command.get_name();
}

std::string unknown_option(const CLI::App& command, const std::string& word) {
  std::vector<std::string> names;
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  const std::string name = word.substr(0, word.find('='));
  const bool takes_settings = command.get_option_no_throw("--set") != nullptr;
  const std::string whose = takes_settings ? whose_option(name) : "";
  if (!whose.empty()) return whose;
  return str(path_of(command), " has no option ", shown_word(name), did_you_mean(name, names));
}

std::string unexpected(const CLI::App& command, const std::vector<std::string>& words) {
  for (const std::string& word : words) {
    if (word.size() > 1 && word[0] == '-') return unknown_option(command, word);
  }
  return str("nothing is expected at ", shown_word(words.front()));
}

}  // namespace

void check_command(const CLI::App& app, int argc, const char* const* argv) {
  if (argc < 2 || argv[1][0] == '-') return;
  const auto names = names_of(app.get_subcommands([](const CLI::App*) { return true; }));
  const bool known = std::find(names.begin(), names.end(), argv[1]) != names.end();
  check_usage(known, "unknown command ", shown_word(argv[1]), did_you_mean(argv[1], names),
              " (see 'flowcli --help')");
}

std::string usage_message(const CLI::App& app, const CLI::ParseError& error) {
  const CLI::App& command = innermost(app);
  const std::vector<std::string> words = app.remaining(/*recurse=*/true);
  std::string message = error.what();
  if (!words.empty()) {
    message = unexpected(command, words);
  } else if (dynamic_cast<const CLI::ArgumentMismatch*>(&error)) {
    const bool repeated = message.find("At Most") != std::string::npos;
    message = message.substr(0, message.find(':')) +
              (repeated ? " is given more than once" : " needs a value");
  } else if (dynamic_cast<const CLI::RequiredError*>(&error) && &command == &app) {
    message = "a command is missing";
  }
  return str(message.substr(0, message.find('\n')), " (see '", path_of(command), " --help')");
}

}  // namespace nf::cli
