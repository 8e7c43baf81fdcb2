// bench of several processes: what they say to each other, and a model of more of them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/cli.h"
#include "flows/train/fit.h"
#include "tensor/communicator.h"

namespace nf::cli {

/// A network, for the model: bytes a second in each direction, and seconds for a message.
struct Network {
  double gigabytes = 2.8;  ///< 25 GbE by TCP
  double microseconds = 30;

  void add_to(CLI::App& app);
};

/// Seconds to sum up `bytes` over P processes by recursive halving and doubling: 2 (P - 1) / P of
/// the bytes over the bandwidth, and 2 log2 P messages.
double reduction_seconds(const Network& network, double bytes, int processes);

/// Milliseconds of one sum of so many floats between the GPUs of all processes, by itself.
/// Collective.
double sum_between_gpus_ms(Communicator& communicator, std::int64_t floats);

/// Of a step of `step_ms` with such exchanges (a step's, in seconds) of `bytes`: keys for `json`,
/// and lines. With `model` also what 8 to 1024 processes would reach, each with as many samples as
/// this one: a model, no measurement.
std::string add_communication(Json& json, double step_ms, const flows::Trainer::Communication& step,
                              double bytes, const Network& network, bool model);

}  // namespace nf::cli
