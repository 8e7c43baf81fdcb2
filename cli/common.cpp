#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <sstream>

#include "cli/cli.h"
#include "cli/lines.h"
#include "cli/processes.h"
#include "cli/progress.h"
#include "comm/launcher.h"
#include "data/source.h"
#include "flows/models/model.h"
#include "tensor/backend.h"
#include "tensor/text.h"
#include "tensor/threads.h"

namespace nf::cli {

void Common::add_to(CLI::App& app) {
  app.add_option("--device", device, "Where to compute")
      ->check(one_of({"auto", "cpu", "cuda"}))
      ->capture_default_str();
  app.add_option("--threads", threads, "Threads (0: NF_NUM_THREADS, else all processors)")
      ->check(whole(0, 1024))
      ->capture_default_str();
  app.add_flag("--quiet", quiet, "No progress and notes");
  app.add_flag("--json", json, "Result as one JSON object on stdout");
}

Device Common::apply() const {
  set_num_threads(threads_of_process(threads));
  show_reading(silent());
  if (processes().size() > 1) choose_cuda_device(comm::rank_on_machine(processes()));
  if (device == "cuda") cuda_backend();  // throws when there is none
  return device == "cuda" || (device == "auto" && cuda_available()) ? Device::CUDA : Device::CPU;
}

std::string source_type() { return "SOURCE:{" + join(data::built_in_sources(), ",") + ",PATH}"; }

std::string choice_type(const std::vector<std::string>& names) {
  return "NAME:{" + join(names, ",") + "}";
}

std::string model_type() { return "NAME:{" + join(flows::preset_names(), ",") + ",PATH}"; }

namespace {

constexpr std::size_t kMostShown = 4000;  // bytes of a line; what comes from outside is shorter

// What people read: names from outside are made harmless, and a terminal gets lines that fit.
void print(std::FILE* file, const std::string& text) {
  std::string out;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) out += printable(line, kMostShown) + "\n";
  if (isatty(fileno(file))) {
    out = wrapped(out, static_cast<std::size_t>(std::max(20, terminal_width(fileno(file)) - 1)));
  }
  std::fputs(out.c_str(), file);
}

}  // namespace

void complain(const std::string& message) {
  std::fprintf(stderr, "flowcli: %s\n", printable(message, kMostShown).c_str());
}

bool Common::silent() const { return quiet || !processes().first(); }

void Common::note(const std::string& line) const {
  if (!silent()) print(stderr, line);
}

void Common::result(const Json& object, const std::string& text) const {
  if (!json) return print(stdout, text);
  const std::string line =
      object.dump(-1, ' ', /*ensure_ascii=*/false, nlohmann::json::error_handler_t::replace);
  std::fprintf(stdout, "%s\n", printable_json(line).c_str());
}

}  // namespace nf::cli
