#include "cli/flowcli.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <new>
#include <string_view>

#include "cli/cli.h"
#include "cli/processes.h"
#include "cli/settings.h"
#include "cli/version.h"
#include "flows/train/fit.h"
#include "tensor/environment.h"

namespace nf::cli {

namespace {

constexpr const char* kExamples = R"(Examples:
  flowcli train nice --data glyphs --epochs 10      train on built-in digits
  flowcli train nice --data path/to/mnist --out runs/mnist
  flowcli train realnvp-2d --data moons             a 2-D density
  flowcli resume runs/mnist                         go on where it stopped
  flowcli eval runs/mnist --split test --json       nats and bits/dim
  flowcli check runs/mnist                          is the trained model sound?
  flowcli sample runs/mnist -n 100 --out grid.png   draw samples
  flowcli COMMAND --help                            options of a command
)";

std::string environment_help() {
  std::string text = "Environment:\n";
  for (const EnvironmentVariable& v : environment_variables()) {
    text += str("  ", v.name, std::string(19 - std::string_view(v.name).size(), ' '), v.values,
                "\n", std::string(21, ' '), v.sets, "\n");
  }
  return text + "\n";
}

// --help and --version end here too: CLI11 throws for them.
int usage(const CLI::App& app, const CLI::ParseError& error) {
  if (error.get_exit_code() != 0) {
    throw UsageError(usage_message(app, error));
  }
  app.exit(error);
  if (std::cout.flush()) return kDone;
  complain("[write] standard output cannot be written");
  return kFailed;
}

// The callback of the command that was named runs within the parsing.
int run_command(CLI::App& app, int argc, const char* const* argv) {
  try {
    app.parse(argc, argv);
    return kDone;
  } catch (const Interrupted&) {
    return kInterrupted;
  }
}

int run_process(int argc, char** argv) {
  choose_model(argc, argv);
  CLI::App app{"flowcli: train, evaluate and sample normalizing flows", "flowcli"};
  app.formatter(help_format());
  app.footer(environment_help() + kExamples);
  app.set_version_flag("--version", version_text);
  app.require_subcommand(1);
  app.parse_complete_callback([] {  // before a command does anything
    check_environment();
    agree_on_command_line("");
  });
  add_commands(app);
  forbid_empty_values(app);
  try {
    check_command(app, argc, argv);
    check_command_of_processes(argc, argv);
    const int status = run_command(app, argc, argv);
    // What did not reach its destination is no result.
    NF_CHECK(std::fflush(stdout) == 0 && !std::ferror(stdout),
             "[write] standard output: ", std::strerror(errno));
    return status;
  } catch (const CLI::ParseError& error) {
    return usage(app, error);
  }
}

/// Of the error on its way: its message, which `told` gets, and the exit status.
int status_of_error(std::string& told) {
  try {
    throw;
  } catch (const UsageError& error) {
    told = error.what();
    return kUsage;
  } catch (const flows::Diverged& error) {
    mark_known_to_all();
    told = error.what();
    return kDiverged;
  } catch (const comm::Failed& error) {
    mark_known_to_all();
    told = error.what() + where_it_stands();
  } catch (const comm::Lost& error) {
    told = error.what() + where_it_stands();
  } catch (const std::bad_alloc&) {
    told = named_by_rank("out of memory; try a smaller --batch-size or fewer samples");
  } catch (const std::filesystem::filesystem_error& error) {
    told = named_by_rank(str("[file] '", error.path1().string(), "': ", error.code().message()));
  } catch (const std::exception& error) {
    told = named_by_rank(error.what());
  }
  return kFailed;
}

/// A command line that one process cannot read ends all, in one line.
void tell_of_command_line(const std::string& message) {
  try {
    agree_on_command_line(message);
  } catch (const std::exception&) {
    // Nobody is there to be told.
  }
}

/// Whether it is for a text alone, which every process may print for itself.
bool asks_for_help(int argc, char** argv) {
  return std::any_of(argv + 1, argv + argc, [](std::string_view word) {
    return word == "--help" || word == "-h" || word == "--version";
  });
}

}  // namespace

int run(int argc, char** argv) {
  std::signal(SIGXFSZ, SIG_IGN);  // a write beyond the limit fails, and is told, as on a full disk
  int status = kFailed;
  try {
    if (!asks_for_help(argc, argv)) join_processes();
    status = run_process(argc, argv);
  } catch (...) {
    std::string message;
    status = status_of_error(message);
    tell_of_command_line(message);
    complain_of_one(message);
  }
  return leave_processes(status);
}

}  // namespace nf::cli
