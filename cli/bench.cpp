// flowcli bench: what a training step costs, and how near that is to the least it could cost.
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <map>
#include <memory>
#include <optional>

#include "cli/bench_processes.h"
#include "cli/cli.h"
#include "cli/lines.h"
#include "cli/processes.h"
#include "cli/settings.h"
#include "cli/step_profile.h"
#include "cli/train.h"
#include "cli/trained_model.h"
#include "tensor/backend.h"
#include "tensor/clock.h"
#include "tensor/cpu_kernels.h"
#include "tensor/machine.h"
#include "tensor/threads.h"

namespace nf::cli {

namespace {

double now_ms() { return 1000 * seconds_now(); }

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

/// Most memory that this process ever had resident, in MB (10^6 bytes).
double peak_resident_mb() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return std::stod(line.substr(6)) * 1024 / 1e6;
  }
  return 0;
}

data::Dataset random_data(std::int64_t rows, const data::Dataset& shape) {
  data::Dataset data = shape;
  Generator gen(1);
  const Tensor noise = uniform(gen, {rows, shape.dims});
  data.train = {.x = shape.discrete ? (noise * shape.levels).to(DType::U8) : noise};
  if (shape.given_classes > 0) {
    data.train.given = (uniform(gen, {rows, 1}) * shape.given_classes).to(DType::I32);
  } else if (!shape.given.empty()) {
    data.train.given = normal(gen, {rows, std::ssize(shape.given)}, DType::F64);
  }
  data.valid = data.test = {};
  return data;
}

/// Share of the taps of an odd kernel that lie within an axis of that size, padded to keep it.
double inside(std::int64_t kernel, std::int64_t size) {
  const std::int64_t reach = std::min(kernel / 2, size);
  return 1 - static_cast<double>(reach * (reach + 1)) / static_cast<double>(kernel * size);
}

/// The physical floor of a training step: its matrix products and convolutions, as sums of
/// products, at the speed of multiply-adds in registers, and one pass of Adam at the speed of an
/// update in place of as many numbers.
struct Floor {
  /// The best that were measured, in turns with the step.
  double peak_gflops = 0, update_gbs = 0, triad_gbs = 0;
  double flops = 0;
  std::int64_t numbers = 0;  ///< that Adam updates

  explicit Floor(flows::Density& density, std::int64_t batch) {
    bool first = true;
    std::map<std::string, Shape> kernels;  // (out, in, kh, kw) of convolutions, by their weights
    density.for_each_parameter([&](const std::string& name, Var& p) {
      numbers += p.numel();
      if (!name.ends_with(".weight")) return;
      if (p.rank() == 4) kernels.emplace(name, p.shape());
      if (p.rank() != 2) return;
      // The data needs no gradient, so the first coupling's first layer passes none on.
      flops += 2.0 * static_cast<double>(batch * p.numel()) * (first ? 2 : 3);
      first = false;
    });
    std::vector<nn::LayerInfo> rows;
    density.inspect({batch, density.dims()}, "", rows);
    for (const nn::LayerInfo& row : rows) {
      const auto kernel = kernels.find(row.name + ".weight");
      if (kernel == kernels.end()) continue;
      const Shape &weight = kernel->second, &out = row.out_shape;  // (N, H, W, C)
      flops +=
          3 * row.flops * inside(weight.dim(2), out.dim(1)) * inside(weight.dim(3), out.dim(2));
    }
  }
  void measure() {
    peak_gflops = std::max(peak_gflops, nf::peak_gflops());
    update_gbs = std::max(update_gbs, nf::update_gbs(numbers));
    triad_gbs = std::max(triad_gbs, nf::triad_gbs());
  }
  double products_ms() const { return flops / peak_gflops * 1e-6; }
  double adam_ms() const {
    // Read: the parameter, its gradient and two moments; written: all but the gradient.
    return 7.0 * sizeof(float) * static_cast<double>(numbers) / update_gbs * 1e-6;
  }
};

/// Keys for `json`, and lines.
std::string add_floor(Json& json, const Floor& least, double step_ms) {
  const double p = least.products_ms(), a = least.adam_ms();
  json["floor_ms"] = p + a;
  json["floor_products_ms"] = p;
  json["floor_adam_ms"] = a;
  json["peak_gflops"] = least.peak_gflops;
  json["update_gbs"] = least.update_gbs;
  json["triad_gbs"] = least.triad_gbs;
  json["ratio"] = step_ms / (p + a);
  char text[300];
  std::snprintf(
      text, sizeof text,
      "  floor        %9.2f ms   = products %.2f at %.0f GFLOP/s + Adam %.2f at %.1f GB/s\n"
      "  ratio        %9.3f\n",
      p + a, p, least.peak_gflops, a, least.update_gbs, step_ms / (p + a));
  return text;
}

/// Trains on random data until `steps` steps have been timed, after `warmup` untimed ones.
class Stepper {
 public:
  Stepper(flows::Density& density, const data::Dataset& data, const flows::FitOptions& options)
      : trainer_(density, data, options), device_(density.device()) {}

  void run(std::int64_t steps, std::vector<double>* times) {
    const bool behind = device_ != Device::CPU;  // the host: then single steps cannot be timed
    const std::int64_t all = steps;
    const double start = now_ms();
    double last = start;
    trainer_.run({.on_step = [&](const flows::StepReport&) {
      const double at = now_ms();
      if (times && !behind) times->push_back(at - last);
      last = at;
      return --steps > 0;
    }});
    backend_for(device_).synchronize();
    if (times && behind) times->push_back((now_ms() - start) / static_cast<double>(all));
  }
  /// Forgets exchanges so far.
  void begin_measuring() {
    before_ = trainer_.communication();
    steps_before_ = trainer_.step();
  }
  /// Of a step, in exchanges with other processes.
  flows::Trainer::Communication communication() const {
    const flows::Trainer::Communication& all = trainer_.communication();
    const auto steps = static_cast<double>(trainer_.step() - steps_before_);
    return {.exchanged = (all.exchanged - before_.exchanged) / steps,
            .waited = (all.waited - before_.waited) / steps,
            .beside = (all.beside - before_.beside) / steps};
  }

 private:
  flows::Trainer::Communication before_;
  std::int64_t steps_before_ = 0;
  flows::Trainer trainer_;
  Device device_;
};

struct BenchOptions {
  Common common;
  ProcessOptions processes;
  Network network;
  SettingOptions settings;
  std::string model;
  std::int64_t steps = 20;
  bool floor = false, no_graph = false, profile = false, cluster = false, no_overlap = false;
};

void bench(const BenchOptions& asked, Device device) {
  auto [config, shape] = asked.settings.configure(asked.model, peek_data);
  asked.settings.check_precision(config, device);
  const std::int64_t steps = asked.steps;
  const bool floor = asked.floor;
  NF_CHECK(!floor || device == Device::CPU,
           "[bench] --floor is that of the CPU; give --device cpu with it");
  const std::string precision = set_precision(device, config.training.precision, Need::Must);
  const auto density = make_density(config, shape, device);
  std::optional<Floor> least;
  const std::int64_t batch = config.training.batch_size, warmup = 4,
                     rounds = std::min<std::int64_t>(10, steps);
  if (floor) least.emplace(*density, batch);
  config.training.steps = 1'000'000'000;
  settle_shards(config);
  const data::Dataset data = random_data(batch * (steps + warmup + 1), shape);
  flows::FitOptions options = flows::fit_options(config);
  options.graph = !asked.no_graph;
  join_devices_of_processes(device, options.wire);
  options.group = &processes();
  if (asked.no_overlap) options.bucket = 0;
  options.communicator = communicator();
  Stepper stepper(*density, data, options);
  std::vector<double> times;
  stepper.run(warmup, nullptr);
  const double peak =  // before the floor allocates its own
      device == Device::CPU ? peak_resident_mb() : backend_for(device).peak_bytes() / 1e6;
  stepper.begin_measuring();
  // Interleaved, so that a change in the machine's speed meets both alike.
  for (std::int64_t round = 0; round < rounds; ++round) {
    if (least) least->measure();
    stepper.run(steps / rounds, &times);
  }
  const double step_ms = median(times);
  std::vector<nn::LayerInfo> rows;
  density->inspect({batch, shape.dims}, "", rows);
  double flops = 0;
  for (const nn::LayerInfo& row : rows) flops += row.flops;
  const double gflops = (least ? least->flops : 3 * flops) / step_ms / 1e6;
  Json json = {{"model", config.model},
               {"batch_size", batch},
               {"parameters", density->parameter_count()},
               {"device", name(device)},
               {"precision", precision},
               {"threads", num_threads()},
               {"step_ms", step_ms},
               {"samples_per_second", static_cast<double>(batch) / step_ms * 1000},
               {"gflops", gflops},
               {"peak_memory_mb", peak}};
  json.update(cpu_choices());
  const std::string where = device == Device::CPU ? str(num_threads(), " threads, ", cpu_kernels(),
                                                        " kernels, ", precision)
                                                  : str(name(device), ", ", precision);
  char text[512];
  std::snprintf(text, sizeof text,
                "%s, batch %lld, %lld parameters, %s\n"
                "  step         %9.2f ms   %.0f samples/s   %.1f GFLOP/s\n"
                "  peak memory  %9.1f MB\n",
                config.model.c_str(), static_cast<long long>(batch),
                static_cast<long long>(density->parameter_count()), where.c_str(), step_ms,
                static_cast<double>(batch) / step_ms * 1000, gflops, peak);
  std::string table = least ? add_floor(json, *least, step_ms) : "";
  const int each = options.wire == comm::Wire::BF16 ? 2 : sizeof(float);
  flows::Trainer::Communication communication = stepper.communication();
  if (Communicator* const gpus = communicator()) {
    communication.exchanged = communication.waited =
        1e-3 * sum_between_gpus_ms(*gpus, density->parameter_count());
    json["gradients_added_by"] = gpus->name();
  }
  table += add_communication(json, step_ms, communication,
                             static_cast<double>(density->parameter_count() * each), asked.network,
                             asked.cluster);
  if (asked.profile) {
    json["profile"] = profile_steps(*density, data, options, steps);
    table += "\n" + profile_text(json["profile"], output_width());
  }
  asked.common.result(json, text + table);
}

}  // namespace

void add_bench(CLI::App& app) {
  auto options = std::make_shared<BenchOptions>();
  CLI::App* command = app.add_subcommand("bench", "Time of a training step, on random data");
  command->add_option("MODEL", options->model, "A model or a configuration (.json)")
      ->required()
      ->type_name(model_type());
  command->add_option("--bench-steps", options->steps, "Steps to time")
      ->check(whole(1, 100000))
      ->capture_default_str();
  command->add_flag("--floor", options->floor,
                    "Also the physical floor, measured in the same run: the FLOPs of the matrix "
                    "products, and of convolutions as sums of products without their padding, at "
                    "the speed of multiply-adds in registers, plus one pass of Adam at the speed "
                    "of memory for just what it reads and writes");
  command->add_flag("--profile", options->profile,
                    "Also where the time of a step goes: a line for each layer, with its own time, "
                    "forward and backward, its share, the bytes that its operations read and "
                    "write, and the FLOP/s of its matrix products. Of as many steps more, none "
                    "recorded, and on a GPU with a wait after each layer");
  command->add_flag("--no-graph", options->no_graph, kNoGraphHelp);
  command->add_flag("--cluster", options->cluster,
                    "Also a model of 8 to 1024 processes, from the time that was measured and "
                    "a network that is said");
  command->add_flag("--no-overlap", options->no_overlap,
                    "Exchange gradients behind the computing, to see what hiding them gains");
  options->network.add_to(*command);
  options->processes.add_to(*command);
  options->common.add_to(*command);
  options->settings.add_to(*command, ShownSettings::OfModel);
  command->footer(
      "Examples:\n  flowcli bench nice --floor\n"
      "  flowcli bench nice --batch-size 1000 --threads 1 --json\n"
      "  flowcli bench nice --processes 2 --cluster\n  flowcli bench realnvp-2d --profile\n  "
      "flowcli bench nice --set precision=bf16\n");
  command->callback([options] {
    options->processes.start();
    in_all([&] {
      check_usage(!options->floor || processes().size() == 1,
                  "--floor is that of one process, and there are ", processes().size(),
                  "; leave --floor out");
    });
    bench(*options, options->common.apply());
  });
}

}  // namespace nf::cli
