#include "cli/bench_processes.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "cli/processes.h"
#include "tensor/clock.h"

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

double sum_between_gpus_ms(Communicator& communicator, std::int64_t floats) {
  constexpr int kTimes = 10;
  Tensor buffer = Tensor::zeros({floats}, DType::F32, Device::CUDA);
  double start = 0;
  for (int i = -1; i < kTimes; ++i) {  // the first one makes connections
    communicator.sum({&buffer, 1});
    if (i >= 0) continue;
    communicator.wait();
    start = seconds_now();
  }
  communicator.wait();
  return 1e3 * (seconds_now() - start) / kTimes;
}

std::string add_communication(Json& json, double step_ms, const flows::Trainer::Communication& step,
                              double bytes, const Network& network, bool model) {
  const int size = processes().size();
  const double exchange_ms = 1e3 * step.exchanged, waiting_ms = 1e3 * step.waited;
  const double compute_ms = step_ms - waiting_ms;
  std::string text;
  char line[300];
  if (size > 1) {
    const double hidden = exchange_ms > 0 ? std::max(1 - waiting_ms / exchange_ms, 0.0) : 0;
    json["processes"] = size;
    json["compute_ms"] = compute_ms;
    json["communication_ms"] = exchange_ms;
    json["waiting_ms"] = waiting_ms;
    json["hidden_share"] = hidden;
    json["exchanged_mb"] = bytes / 1e6;
    std::snprintf(
        line, sizeof line,
        "  computing    %9.2f ms   %d processes\n"
        "  exchange     %9.2f ms   of %.1f MB, waiting for others included\n"
        "  not hidden   %9.2f ms   %.0f %% of a step; %.0f %% of the exchange is hidden\n",
        compute_ms, size, exchange_ms, bytes / 1e6, waiting_ms, 100 * waiting_ms / step_ms,
        100 * hidden);
    text += line;
  }
  if (!model) return text;
  const double beside_ms = 1e3 * step.beside;
  std::snprintf(line, sizeof line,
                "  a model, not measured: %g GB/s, %g us, as many samples for each; %.2f ms of\n"
                "  computing can hide exchanges\n"
                "    processes   exchange ms   efficiency   nothing hidden\n",
                network.gigabytes, network.microseconds, beside_ms);
  text += line;
  Json rows = Json::array();
  for (int p = 8; p <= 1024; p *= 2) {
    const double ms = 1e3 * reduction_seconds(network, bytes, p);
    const double efficiency = compute_ms / (compute_ms + std::max(ms - beside_ms, 0.0));
    const double none_hidden = compute_ms / (compute_ms + ms);
    rows.push_back({{"processes", p},
                    {"exchange_ms", ms},
                    {"efficiency", efficiency},
                    {"efficiency_none_hidden", none_hidden}});
    std::snprintf(line, sizeof line, "    %9d   %11.2f   %8.0f %%   %12.0f %%\n", p, ms,
                  100 * efficiency, 100 * none_hidden);
    text += line;
  }
  json["model_of_network"] = {{"gigabytes_per_second", network.gigabytes},
                              {"microseconds", network.microseconds},
                              {"hideable_ms", beside_ms},
                              {"rows", rows}};
  return text;
}

}  // namespace nf::cli
