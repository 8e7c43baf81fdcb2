#include "cli/run_folder.h"

#include <sys/stat.h>

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <sstream>

#include "cli/settings.h"
#include "data/npy.h"
#include "data/png.h"
#include "data/svg.h"
#include "flows/presets.h"
#include "nn/safetensors.h"
#include "tensor/backend.h"
#include "tensor/files.h"

namespace nf::cli {

namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t kMaxLogBytes = 1ULL << 30;

bool holds_run(const std::string& path) { return fs::exists(path + "/config.json"); }

std::string default_path(const flows::Config& config) {
  const std::string data = fs::path(config.data).filename().string();
  const std::string base = "runs/" + config.model + "-" + (data.empty() ? "data" : data);
  std::string path = base;
  for (int i = 2; fs::exists(path); ++i) path = str(base, "-", i);
  return path;
}

void make_folder(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  NF_CHECK(!error, "[train] cannot make the folder ", path, ": ", error.message(),
           "; choose another with --out");
}

double number_at(const nlohmann::json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_number() ? found->get<double>()
                                                   : std::numeric_limits<double>::quiet_NaN();
}

}  // namespace

RunFolder RunFolder::create(const std::string& path, const flows::Config& config, bool overwrite) {
  RunFolder run;
  run.path_ = path.empty() ? default_path(config) : path;
  if (holds_run(run.path_)) {
    NF_CHECK(overwrite, "[train] ", run.path_,
             " already holds a run; continue it with 'flowcli "
             "resume ",
             run.path_, "', choose another --out, or give --overwrite");
    for (const char* name : {"log.jsonl", "best.safetensors", "last.safetensors",
                             "state.safetensors", "curve.svg", "samples"}) {
      fs::remove_all(run.file(name));
    }
  }
  make_folder(run.file("samples"));
  run.save_config(config);
  return run;
}

RunFolder RunFolder::open(const std::string& path) {
  NF_CHECK(holds_run(path), "[run] ", path,
           " is not a run folder: it has no config.json; 'flowcli "
           "train' makes one");
  RunFolder run;
  run.path_ = path;
  const ConfigFile file = read_config(run.file("config.json"));
  run.config_ = file.on(flows::preset(file.preset));
  return run;
}

void RunFolder::save_config(const flows::Config& config) {
  config_ = config;
  atomic_write(file("config.json"), flows::to_json(config).dump(2) + "\n");
}

void RunFolder::append_log(const flows::EpochReport& r) const {
  const Json line = {{"epoch", r.epoch},
                     {"step", r.step},
                     {"seconds", number(std::round(r.seconds * 1000) / 1000)},
                     {"train_nats", number(r.train_nats)},
                     {"valid_nats", number(r.valid_nats)},
                     {"valid_bits_per_dim", number(r.valid_bits_per_dim)},
                     {"lr", number(r.lr)},
                     {"grad_norm", number(r.grad_norm)}};
  std::FILE* out = std::fopen(file("log.jsonl").c_str(), "a");
  NF_CHECK(out, "[train] cannot write ", file("log.jsonl"));
  const std::string text = line.dump() + "\n";
  const bool written = std::fwrite(text.data(), 1, text.size(), out) == text.size();
  NF_CHECK(std::fclose(out) == 0 && written, "[train] cannot write ", file("log.jsonl"),
           "; is the disk full?");
}

std::vector<flows::EpochReport> RunFolder::read_log() const {
  std::vector<flows::EpochReport> reports;
  if (!fs::exists(file("log.jsonl"))) return reports;
  std::istringstream lines(read_file(file("log.jsonl"), kMaxLogBytes));
  for (std::string line; std::getline(lines, line);) {
    const auto json = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!json.is_object()) continue;
    reports.push_back({.epoch = static_cast<std::int64_t>(number_at(json, "epoch")),
                       .step = static_cast<std::int64_t>(number_at(json, "step")),
                       .seconds = number_at(json, "seconds"),
                       .train_nats = number_at(json, "train_nats"),
                       .valid_nats = number_at(json, "valid_nats"),
                       .valid_bits_per_dim = number_at(json, "valid_bits_per_dim"),
                       .lr = number_at(json, "lr"),
                       .grad_norm = number_at(json, "grad_norm")});
  }
  return reports;
}

void RunFolder::truncate_log(std::int64_t step) const {
  if (!fs::exists(file("log.jsonl"))) return;
  std::istringstream lines(read_file(file("log.jsonl"), kMaxLogBytes));
  std::string kept;
  for (std::string line; std::getline(lines, line);) {
    const auto json = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (json.is_object() && number_at(json, "step") <= static_cast<double>(step))
      kept += line + "\n";
  }
  atomic_write(file("log.jsonl"), kept);
}

std::string RunFolder::curve() const {
  data::Series train{"train", {}, {}}, valid{"validation", {}, {}};
  for (const flows::EpochReport& r : read_log()) {
    const double epoch = static_cast<double>(r.epoch);
    train.x.push_back(epoch);
    train.y.push_back(r.train_nats);
    valid.x.push_back(epoch);
    valid.y.push_back(r.valid_nats);
  }
  return data::curve_svg({config_.model + " on " + fs::path(config_.data).filename().string(),
                          "epoch", "log-likelihood, nats"},
                         {train, valid});
}

void RunFolder::write_curve() const { atomic_write(file("curve.svg"), curve()); }

// --- models -------------------------------------------------------------------------------------

data::Dataset load_data(const flows::Config& config) {
  return data::load(config.data, {.seed = static_cast<std::uint64_t>(config.seed),
                                  .train = config.train,
                                  .valid = config.valid,
                                  .test = config.test});
}

data::Dataset peek_data(const flows::Config& config) {
  return data::load(config.data, {.train = 1, .valid = 1, .test = 1});
}

flows::DataShape shape_of(const data::Dataset& data) {
  return {.dims = data.dims,
          .discrete = data.discrete,
          .unit_scale = std::isfinite(data.entropy),  // built in
          .columns = data.columns,
          .family = data.family};
}

std::string set_precision(Device device, const std::string& precision) {
  if (device == Device::CPU) return name_of(Precision::F32);
  Precision wanted = Precision::TF32;
  for (const Precision p : {Precision::F32, Precision::TF32, Precision::BF16}) {
    if (precision == name_of(p)) wanted = p;
  }
  backend_for(device).set_precision(wanted);
  return name_of(wanted);
}

std::shared_ptr<flows::Density> make_density(const flows::Config& config, const data::Dataset& data,
                                             Device device) {
  auto density = flows::make_density(config, shape_of(data));
  density->to(device);
  return density;
}

TrainedModel load_model(const std::string& path, const std::string& which, Device device) {
  TrainedModel model{RunFolder::open(path), {}, nullptr, {}};
  const RunFolder& run = model.run;
  std::string weights = run.file(which + ".safetensors");
  if (which == "best" && !fs::exists(weights)) weights = run.file("last.safetensors");
  NF_CHECK(fs::exists(weights), "[run] ", path,
           " has no weights yet; train it further with "
           "'flowcli resume ",
           path, "'");
  model.shape = peek_data(run.config());
  model.precision = set_precision(device, run.config().precision);
  model.density = make_density(run.config(), model.shape, device);
  model.density->load_state(nn::load_safetensors(weights).tensors);
  model.density->eval();
  return model;
}

data::Dataset load_data_for(const TrainedModel& model, const std::string& source) {
  flows::Config config = model.run.config();
  if (!source.empty()) config.data = source;
  data::Dataset data = load_data(config);
  NF_CHECK(data.dims == model.density->dims() && data.discrete == model.shape.discrete,
           "[data] the model is for ", model.density->dims(), "-dimensional ",
           model.shape.discrete ? "pixels" : "real numbers", ", ", config.data, " has ", data.dims,
           "-dimensional ", data.discrete ? "pixels" : "real numbers");
  return data;
}

const Tensor& samples_of(const data::Dataset& data, const std::string& split) {
  const data::Split& part = split == "train"   ? data.train
                            : split == "valid" ? data.valid
                                               : data.test;
  NF_CHECK(part.size() > 0, "[data] ", data.name, " has no ", split,
           " samples; choose another --split");
  return part.x;
}

std::string samples_png(const Tensor& samples, const data::Dataset& shape, const Tensor& like,
                        std::int64_t columns) {
  if (shape.images()) {
    const Tensor pixels = samples.to(Device::CPU).to(DType::U8);
    return data::grid_png(pixels.reshape({-1, shape.channels, shape.height, shape.width}),
                          {.columns = columns});
  }
  NF_CHECK(shape.dims == 2, "[sample] data of ", shape.dims,
           " dimensions has no picture; write the samples with --out FILE.npy");
  return data::scatter_png(samples.to(Device::CPU), 512,
                           like.defined() ? std::optional(data::bounds_of(like)) : std::nullopt);
}

void write_samples_png(const std::string& path, const Tensor& samples, const data::Dataset& shape,
                       const Tensor& like, std::int64_t columns) {
  atomic_write(path, samples_png(samples, shape, like, columns));
}

void write_samples(const std::string& path, const Tensor& samples, const data::Dataset& shape,
                   std::int64_t columns) {
  if (!path.ends_with(".npy")) return write_samples_png(path, samples, shape, {}, columns);
  data::write_npy(path, samples.to(shape.discrete ? DType::U8 : DType::F32));
}

}  // namespace nf::cli
