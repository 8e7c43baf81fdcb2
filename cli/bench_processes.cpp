#include "cli/bench_processes.h"

#include <cmath>
#include <cstdio>

#include "cli/processes.h"

namespace nf::cli {

void Network::add_to(CLI::App& app) {
  app.add_option("--bandwidth", gigabytes, "Of the model of many processes: GB/s in each direction")
      ->check(real(1e-6, 1e6))
      ->capture_default_str();
  app.add_option("--latency", microseconds, "Of the model of many processes: microseconds")
      ->check(real(0, 1e9))
      ->capture_default_str();
}

double reduction_seconds(const Network& network, double bytes, int processes) {
  const double p = processes;
  return 2 * (p - 1) / p * bytes / (network.gigabytes * 1e9) +
         2 * std::log2(p) * network.microseconds * 1e-6;
}

std::string add_communication(Json& json, double step_ms, double communication_ms, double bytes,
                              const Network& network, bool model) {
  const int size = processes().size();
  const double compute_ms = step_ms - communication_ms;
  std::string text;
  char line[200];
  if (size > 1) {
    json["processes"] = size;
    json["compute_ms"] = compute_ms;
    json["communication_ms"] = communication_ms;
    json["communication_share"] = communication_ms / step_ms;
    json["exchanged_mb"] = bytes / 1e6;
    std::snprintf(line, sizeof line,
                  "  computing    %9.2f ms   %d processes\n"
                  "  exchange     %9.2f ms   %.0f %% of a step, of %.1f MB, waiting included\n",
                  compute_ms, size, communication_ms, 100 * communication_ms / step_ms,
                  bytes / 1e6);
    text += line;
  }
  if (!model) return text;
  std::snprintf(
      line, sizeof line,
      "  a model, not measured: %g GB/s, %g us, nothing hidden, as many samples for each\n"
      "    processes   exchange ms   efficiency\n",
      network.gigabytes, network.microseconds);
  text += line;
  json["model_of_network"] = {{"gigabytes_per_second", network.gigabytes},
                              {"microseconds", network.microseconds},
                              {"rows", Json::array()}};
  for (int p = 8; p <= 1024; p *= 2) {
    const double ms = 1e3 * reduction_seconds(network, bytes, p);
    const double efficiency = compute_ms / (compute_ms + ms);
    json["model_of_network"]["rows"].push_back(
        {{"processes", p}, {"exchange_ms", ms}, {"efficiency", efficiency}});
    std::snprintf(line, sizeof line, "    %9d   %11.2f   %9.0f %%\n", p, ms, 100 * efficiency);
    text += line;
  }
  return text;
}

}  // namespace nf::cli
