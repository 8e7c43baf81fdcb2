// flowcli: normalizing flows from the command line. Each command has a file of its own.
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <new>

#include "cli/cli.h"
#include "flows/train/fit.h"

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

// --help and --version end here too: CLI11 throws for them.
int usage(const CLI::App& app, const CLI::ParseError& error) {
  if (error.get_exit_code() != 0) {
    nf::cli::complain(nf::cli::usage_message(app, error));
    return nf::cli::kUsage;
  }
  app.exit(error);
  if (std::cout.flush()) return nf::cli::kDone;
  nf::cli::complain("[write] standard output cannot be written");
  return nf::cli::kFailed;
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGXFSZ, SIG_IGN);  // a write beyond the limit fails, and is told, as on a full disk
  CLI::App app{"flowcli: train, evaluate and sample normalizing flows", "flowcli"};
  app.formatter(nf::cli::help_format());
  app.footer(kExamples);
  app.set_version_flag("--version", "flowcli 0.1.0");
  app.require_subcommand(1);
  int status = nf::cli::kDone;
  nf::cli::add_train(app, status);
  nf::cli::add_resume(app, status);
  nf::cli::add_eval(app);
  nf::cli::add_check(app);
  nf::cli::add_sample(app);
  nf::cli::add_score(app);
  nf::cli::add_encode(app);
  nf::cli::add_decode(app);
  nf::cli::add_interpolate(app);
  nf::cli::add_spectrum(app);
  nf::cli::add_manifold(app);
  nf::cli::add_inpaint(app, status);
  nf::cli::add_inspect(app);
  nf::cli::add_bench(app);
  nf::cli::add_data(app);
  nf::cli::add_plot(app);
  nf::cli::add_report(app);
  nf::cli::add_completion(app);
  nf::cli::forbid_empty_values(app);
  try {
    nf::cli::check_command(app, argc, argv);
    app.parse(argc, argv);
    // What did not reach its destination is no result.
    NF_CHECK(std::fflush(stdout) == 0 && !std::ferror(stdout),
             "[write] standard output: ", std::strerror(errno));
  } catch (const CLI::ParseError& error) {
    return usage(app, error);
  } catch (const nf::cli::UsageError& error) {
    nf::cli::complain(error.what());
    return nf::cli::kUsage;
  } catch (const nf::flows::Diverged& error) {
    nf::cli::complain(error.what());
    return nf::cli::kDiverged;
  } catch (const std::bad_alloc&) {
    nf::cli::complain("out of memory; try a smaller --batch-size or fewer samples");
    return nf::cli::kFailed;
  } catch (const std::filesystem::filesystem_error& error) {
    nf::cli::complain(nf::str("[file] '", error.path1().string(), "': ", error.code().message()));
    return nf::cli::kFailed;
  } catch (const std::exception& error) {
    nf::cli::complain(error.what());
    return nf::cli::kFailed;
  }
  return status;
}
