// flowcli: normalizing flows from the command line. Each command has a file of its own.
#include <cstdio>
#include <new>

#include "cli/cli.h"
#include "flows/fit.h"
#include "tensor/blas.h"

namespace {

constexpr const char* kExamples = R"(Examples:
  flowcli train nice --data glyphs --epochs 10      train on built-in digits
  flowcli train nice --data path/to/mnist --out runs/mnist
  flowcli train realnvp-2d --data moons             a 2-D density, about a minute
  flowcli resume runs/mnist                         go on where it stopped
  flowcli eval runs/mnist --split test --json       nats and bits/dim
  flowcli check runs/mnist                          is the trained model sound?
  flowcli sample runs/mnist -n 100 --out grid.png   draw samples
  flowcli COMMAND --help                            options of a command
)";

}  // namespace

int main(int argc, char** argv) {
  nf::ensure_best_blas_kernels(argv);
  CLI::App app{"flowcli: train, evaluate and sample normalizing flows", "flowcli"};
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
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? nf::cli::kDone : nf::cli::kUsage;
  } catch (const nf::flows::Diverged& error) {
    std::fprintf(stderr, "flowcli: %s\n", error.what());
    return nf::cli::kDiverged;
  } catch (const std::bad_alloc&) {
    std::fprintf(stderr, "flowcli: out of memory; try a smaller --batch-size\n");
    return nf::cli::kFailed;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "flowcli: %s\n", error.what());
    return nf::cli::kFailed;
  }
  return status;
}
