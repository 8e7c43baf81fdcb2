#include <cstdio>

#include "cli/cli.h"
#include "data/source.h"
#include "flows/presets.h"
#include "tensor/backend.h"
#include "tensor/text.h"
#include "tensor/threads.h"

namespace nf::cli {

void Common::add_to(CLI::App& app) {
  app.add_option("--device", device, "Where to compute")
      ->check(CLI::IsMember({"auto", "cpu", "cuda"}))
      ->capture_default_str();
  app.add_option("--threads", threads, "Threads (0: NF_NUM_THREADS, else all processors)")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  app.add_flag("--quiet", quiet, "No progress and notes");
  app.add_flag("--json", json, "Result as one JSON object on stdout");
}

Device Common::apply() const {
  set_num_threads(threads);
  if (device == "cuda") cuda_backend();  // throws when there is none
  return device == "cuda" || (device == "auto" && cuda_available()) ? Device::CUDA : Device::CPU;
}

std::string source_type() { return "SOURCE:{" + join(data::built_in_sources(), ",") + ",PATH}"; }

std::string model_type() { return "NAME:{" + join(flows::preset_names(), ",") + ",PATH}"; }

void Common::note(const std::string& line) const {
  if (!quiet) std::fprintf(stderr, "%s\n", line.c_str());
}

void Common::result(const Json& object, const std::string& text) const {
  const std::string out = json ? object.dump() + "\n" : text;
  std::fputs(out.c_str(), stdout);
}

}  // namespace nf::cli
