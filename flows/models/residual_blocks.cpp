#include "flows/models/residual_blocks.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "data/setting_error.h"
#include "flows/flow_density.h"
#include "flows/layers/reshape.h"
#include "flows/layers/residual.h"
#include "flows/layers/scaling.h"
#include "flows/models/idle.h"
#include "flows/models/multi_scale.h"
#include "flows/models/table_training.h"

namespace nf::flows {

namespace {

enum class LogDetWay { Auto, Exact, Series, Roulette };

const Names<LogDetWay>& log_det_ways() {
  static const Names<LogDetWay> names("log_det", {{"auto", LogDetWay::Auto},
                                                  {"exact", LogDetWay::Exact},
                                                  {"series", LogDetWay::Series},
                                                  {"roulette", LogDetWay::Roulette}});
  return names;
}

// Up to here exact costs no more products with the Jacobian than an evaluation's estimate.
constexpr std::int64_t kAutoExact = 16;
constexpr std::int64_t kMostExact = 256;

const ResidualSettings& settings_of(const Config& config) { return config.of<ResidualSettings>(); }

// How often the sides of images are halved, with `levels` scales (0: as many as fit).
std::int64_t squeezes_of(const ResidualSettings& c, const DataShape& data) {
  const std::int64_t before_first = c.squeeze_first ? 0 : 1;
  if (c.levels == 0) return std::min(levels_of(0, data), 3 - before_first);
  const std::int64_t asked = c.levels - before_first;
  return asked == 0 ? 0 : levels_of(asked, data);
}

// (H, W, C) on each scale.
std::vector<Shape> scales_of(const ResidualSettings& c, const DataShape& data) {
  Shape image = image_of(data, "residual blocks");
  std::vector<Shape> all;
  if (!c.squeeze_first) all.push_back(image);
  for (std::int64_t i = 0; i < squeezes_of(c, data); ++i) {
    image = {image.dim(0) / 2, image.dim(1) / 2, 4 * image.dim(2)};
    all.push_back(image);
  }
  return all;
}

bool is_image(const DataShape& data) { return data.channels > 0; }

/// Adds blocks to a flow, each with a stream of its own for what it draws.
class Blocks {
 public:
  Blocks(const ResidualSettings& settings, std::uint64_t seed, Compose& flow)
      : settings_(settings),
        options_{.terms = static_cast<int>(settings.terms),
                 .terms_evaluated = static_cast<int>(settings.terms_evaluated)},
        seed_(seed),
        weights_(seed, Stream::kWeights),
        flow_(flow) {
    switch (log_det_ways().at(settings.log_det)) {
      case LogDetWay::Auto:
      case LogDetWay::Exact:
        break;
      case LogDetWay::Series:
        options_.log_det = ResidualLogDet::Series;
        break;
      case LogDetWay::Roulette:
        options_.log_det = ResidualLogDet::Roulette;
        break;
    }
  }

  void of_rows(const std::string& name, std::int64_t dims, std::int64_t count) {
    begin(dims);
    for (std::int64_t i = 0; i < count; ++i) {
      add(str(name, ".", i), dims,
          nn::lipschitz_mlp({.dims = dims,
                             .hidden_units = settings_.hidden_units,
                             .hidden_layers = static_cast<int>(settings_.hidden_layers),
                             .activation = settings_.activation,
                             .coefficient = settings_.coefficient,
                             .first_activation = of_images_},
                            weights_));
    }
  }

  void of_images(const std::string& name, const Shape& image) {
    of_images_ = true;
    begin(image.dim(2));
    for (std::int64_t i = 0; i < settings_.blocks; ++i) {
      add(str(name, ".", i), image.dim(2),
          nn::lipschitz_conv_net({.channels = image.dim(2),
                                  .height = image.dim(0),
                                  .width = image.dim(1),
                                  .hidden_channels = settings_.width,
                                  .activation = settings_.activation,
                                  .coefficient = settings_.coefficient,
                                  .first_activation = count_ > 0},
                                 weights_));
    }
  }

 private:
  // ActNorm before the first block of all, and after each.
  void begin(std::int64_t channels) {
    if (count_ == 0) flow_.add("norm", std::make_shared<ActNorm>(channels));
  }

  void add(const std::string& name, std::int64_t channels,
           const std::shared_ptr<nn::LipschitzNet>& net) {
    constexpr std::uint64_t kProbes = 0x70726F626573;  // "probes"
    const Generator probes(seed_, kProbes + count_++);
    flow_.add(name + ".block", std::make_shared<ResidualBlock>(net, options_, probes));
    flow_.add(name + ".norm", std::make_shared<ActNorm>(channels));
  }

  const ResidualSettings& settings_;
  ResidualOptions options_;
  std::uint64_t seed_, count_ = 0;
  bool of_images_ = false;
  Generator weights_;
  Compose& flow_;
};

// What a score's log-determinants are, for people.
std::string log_det_words(const ResidualSettings& c, const Compose& flow, std::int64_t dims) {
  const LogDetWay way = log_det_ways().at(c.log_det);
  if (way == LogDetWay::Auto || way == LogDetWay::Exact) return "; log-determinants are exact";
  if (way == LogDetWay::Roulette) {
    return str("; log-determinants are estimated at random, without bias (to term ",
               c.terms_evaluated + ResidualOptions::kMostRoulette, " of their series)");
  }
  double bias = 0;
  flow.for_each_module([&](const std::string&, const nn::Module& part) {
    if (const auto* block = dynamic_cast<const ResidualBlock*>(&part)) bias += block->bias_bound();
  });
  char most[32];
  std::snprintf(most, sizeof most, "%.2g", bias * static_cast<double>(dims));
  return str("; log-determinants are estimated at random, by ", c.terms_evaluated,
             " terms of their series: biased, by at most ", most, " nats (in training by ", c.terms,
             " terms)");
}

// Of all blocks, with the ActNorm behind each. `acts`: activations that have a parameter.
double rows_parameters(const ResidualSettings& c, double dims, double blocks, double acts) {
  const auto width = static_cast<double>(c.hidden_units);
  const auto depth = static_cast<double>(c.hidden_layers);
  const double net = (dims + 1) * width + (depth - 1) * (width + 1) * width + (width + 1) * dims;
  return blocks * (net + acts + 2 * dims);
}

double images_parameters(const ResidualSettings& c, double channels, double acts) {
  const auto width = static_cast<double>(c.width), blocks = static_cast<double>(c.blocks);
  const double net = (9 * channels + 1) * width + (width + 1) * width + (9 * width + 1) * channels;
  return blocks * (net + acts + 2 * channels);
}

}  // namespace

std::vector<Field> ResidualSettings::fields() {
  std::vector<Field> all = {
      {"blocks", "residual blocks, of images on each scale", &blocks, {}, 1, 1000},
      {"hidden_units", "width of the networks of rows", &hidden_units, {}, 1, 1e6},
      {"hidden_layers", "their hidden layers", &hidden_layers, {}, 1, 100},
      {"levels", "scales of images (0: as many as fit, at most 3)", &levels, {}, 0, 20},
      {"squeeze_first", "the first scale has half the image's side, not all of it", &squeeze_first},
      {"width", "channels within the networks of images", &width, {}, 1, 1e5},
      {"dense_blocks", "blocks of rows behind those of images", &dense_blocks, {}, 0, 1000},
      {"activation", "of the networks", &activation, nn::lipschitz_names()},
      {"coefficient",
       "bound of the norm of each linear map and convolution",
       &coefficient,
       {},
       1e-3,
       0.999},
      {"log_det",
       "exact: from the whole Jacobian; series, roulette: estimated, biased by what the series "
       "leaves out or not; auto: exact up to 16 dimensions",
       &log_det, log_det_ways().all()},
      {"terms", "of the series in training; roulette adds a random number", &terms, {}, 1, 1000},
      {"terms_evaluated", "the same for scores", &terms_evaluated, {}, 1, 10'000},
  };
  const std::vector<Field> more = Preprocessing::fields();
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

std::int64_t ResidualModel::side_step(const Config& config) const {
  const ResidualSettings& c = settings_of(config);
  return std::int64_t{1} << std::max<std::int64_t>(0, c.levels - (c.squeeze_first ? 0 : 1));
}

Config ResidualModel::resolved(const Config& config, const DataShape& data) const {
  Config full = config;
  ResidualSettings& c = residual_settings(full);
  c.preprocess =
      c.preprocess == "auto" && data.discrete ? "logit" : resolved_preprocess(c.preprocess, data);
  if (c.log_det == "auto" && data.dims > 0) {
    c.log_det = data.dims <= kAutoExact ? "exact" : estimate();
  }
  if (is_image(data)) c.levels = squeezes_of(c, data) + (c.squeeze_first ? 0 : 1);
  return full;
}

void ResidualModel::check(const Config& config, const DataShape& data) const {
  const ResidualSettings& c = settings_of(config);
  check_preprocessing(c, config.data, data);
  if (is_image(data)) squeezes_of(c, data);
  data::check_setting(c.log_det != "exact" || data.dims <= kMostExact, "log_det",
                      "[log_det] exact needs a product with the Jacobian for each of ", data.dims,
                      " dimensions; above ", kMostExact, " take series or roulette");
}

std::string ResidualModel::why_idle(const Config& full, const DataShape& data,
                                    const std::string& key) const {
  const Config whole = resolved(full, data);
  const ResidualSettings& c = settings_of(whole);
  const bool images = is_image(data);
  return first_idle(
      {
          {{"levels", "squeeze_first", "width", "dense_blocks"},
           !images,
           "the data are rows, not images"},
          {{"hidden_units", "hidden_layers"},
           images && c.dense_blocks == 0,
           "dense_blocks = 0: there are no networks of rows"},
          {{"terms", "terms_evaluated"}, c.log_det == "exact", "log_det is exact"},
          {{"alpha"}, !has_logit(c, data), str("preprocess = ", c.preprocess, " has no logit")},
      },
      key);
}

double ResidualModel::parameters(const Config& full, const DataShape& data) const {
  const ResidualSettings& c = settings_of(full);
  const auto dims = static_cast<double>(data.dims), depth = static_cast<double>(c.hidden_layers);
  const double learned = c.activation == "lipswish" ? 1 : 0;
  if (!is_image(data)) {
    return 2 * dims + rows_parameters(c, dims, static_cast<double>(c.blocks), depth * learned);
  }
  const std::vector<Shape> scales = scales_of(c, data);
  double count = 2 * static_cast<double>(scales[0].dim(2)) - learned;  // the first has none
  for (const Shape& image : scales) {
    count += images_parameters(c, static_cast<double>(image.dim(2)), 3 * learned);
  }
  return count +
         rows_parameters(c, dims, static_cast<double>(c.dense_blocks), (depth + 1) * learned);
}

std::shared_ptr<Density> ResidualModel::build(const Config& full, const DataShape& data) const {
  const ResidualSettings& c = settings_of(full);
  const auto seed = static_cast<std::uint64_t>(full.training.seed);
  auto flow = std::make_shared<Compose>();
  Convention convention =
      add_preprocessing(c, full.data, data, *flow, Generator(seed, Stream::kNoise));
  Blocks blocks(c, seed, *flow);
  if (!is_image(data)) {
    blocks.of_rows("rows", data.dims, c.blocks);
  } else {
    flow->add("image", std::make_shared<Unflatten>(image_of(data, name())));
    const std::vector<Shape> scales = scales_of(c, data);
    for (std::size_t i = 0; i < scales.size(); ++i) {
      if (i > 0 || c.squeeze_first) flow->add(str("squeezes.", i), std::make_shared<Squeeze>());
      blocks.of_images(str("scales.", i), scales[i]);
    }
    flow->add("row", std::make_shared<Flatten>(scales.back()));
    blocks.of_rows("dense", data.dims, c.dense_blocks);
  }
  convention.text += log_det_words(c, *flow, data.dims);
  return std::make_shared<FlowDensity>(flow, base_by_name("gaussian"), data.dims, convention);
}

nlohmann::ordered_json ResidualModel::described(const Config& full, const DataShape& data) const {
  const ResidualSettings& c = settings_of(full);
  nlohmann::ordered_json json = {{"dims", data.dims},
                                 {"levels", data.discrete ? data.levels : 0},
                                 {"preprocess", c.preprocess},
                                 {"alpha", c.alpha},
                                 {"blocks", c.blocks},
                                 {"hidden_units", c.hidden_units},
                                 {"hidden_layers", c.hidden_layers},
                                 {"activation", c.activation},
                                 {"coefficient", c.coefficient},
                                 {"log_det", c.log_det},
                                 {"terms_evaluated", c.terms_evaluated}};
  if (is_image(data)) {
    json["image"] = {data.height, data.width, data.channels};
    json["scales"] = c.levels;
    json["squeeze_first"] = c.squeeze_first;
    json["width"] = c.width;
    json["dense_blocks"] = c.dense_blocks;
  }
  return json;
}

// Of rows both models have the settings that were best on a checkerboard: after 2000 steps ELU lost
// 0.25 nats of it, LipSwish 0.17, and with a rate of 5e-3 0.30. Weights of maps whose norm is
// bounded only turn, so that rates may be high.
Config residual_preset(const std::string& name, const DataShape& data) {
  Config config(name, std::make_unique<ResidualSettings>());
  if (data.channels == 3) residual_settings(config).alpha = 0.05;
  TrainingSettings& training = config.training;
  training.beta2 = 0.99;
  training.eps = 1e-8;
  training.clip = 1;
  if (is_image(data)) {
    training.batch_size = 64;
    training.warmup = 1000;
    return config;
  }
  residual_settings(config).activation = "lipswish";
  residual_settings(config).coefficient = 0.98;
  config.data.source = "moons";
  config.output.sample_every = 0;
  config.output.samples = 20000;
  training.batch_size = 300;
  training.steps = 7000;
  training.lr = 4e-2;
  training.schedule = "cosine";
  training.warmup = 200;
  if (data.rows > 0 && !data.unit_scale) {
    adapt_to_rows(training, data.rows);
    training.lr = 1e-2;
  }
  return config;
}

}  // namespace nf::flows
