// The commands of flowcli, in the order of --help: a command is one line here and a file
// cli/NAME.cpp (or one with its relatives) with `void add_NAME(CLI::App& app)`.
#include "cli/cli.h"

// clang-format off
#define NF_COMMANDS(X) \
  X(train)             \
  X(resume)            \
  X(fit_target)        \
  X(sweep)             \
  X(eval)              \
  X(compare)           \
  X(check)             \
  X(calibrate)         \
  X(infer)             \
  X(sample)            \
  X(impute)            \
  X(score)             \
  X(classify)          \
  X(encode)            \
  X(decode)            \
  X(interpolate)       \
  X(spectrum)          \
  X(manifold)          \
  X(inpaint)           \
  X(compress_latents)  \
  X(attributes)        \
  X(inspect)           \
  X(bench)             \
  X(data)              \
  X(plot)              \
  X(report)            \
  X(doctor)            \
  X(completion)
// clang-format on

namespace nf::cli {

#define NF_DECLARE(name) void add_##name(CLI::App& app);
NF_COMMANDS(NF_DECLARE)
#undef NF_DECLARE

void add_commands(CLI::App& app) {
#define NF_ADD(name) add_##name(app);
  NF_COMMANDS(NF_ADD)
#undef NF_ADD
}

}  // namespace nf::cli
