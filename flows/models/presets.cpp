#include "flows/models/presets.h"

#include <algorithm>

#include "flows/models/kinds.h"
#include "tensor/error.h"
#include "tensor/text.h"

namespace nf::flows {

namespace {

bool images_of(const DataShape& data, std::int64_t channels, std::int64_t side) {
  return data.channels == channels && data.height == side && data.width == side;
}
bool like_faces(const DataShape& data) { return images_of(data, 1, 48); }  // Toronto's, gray
bool like_cifar(const DataShape& data) { return images_of(data, 3, 32); }  // and SVHN

// Section 5.1. MNIST's are the defaults of Config. CIFAR-10 is told on [-1,1].
Config nice_of_paper(const DataShape& data) {
  Config config;
  if (like_faces(data)) {
    config.hidden_layers = 4;
    config.hidden_units = 5000;
    config.prior = "gaussian";
    config.whitening = "triangular";  // "approximate whitening", appendix B
  }
  if (like_cifar(data)) {
    config.hidden_layers = 4;
    config.hidden_units = 2000;
    config.whitening = "zca";
    if (data.family != "svhn") config.preprocess = "symmetric";
  }
  return config;
}

// No whitening anywhere; the optimizer is a root-mean-square one with a floor, its rate falling
// by 1.0005 per step to a tenth. (Its momentum is 0 for five epochs before it is 1/2.)
Config nice_of_code(const DataShape& data) {
  Config config;
  config.recipe = "code";
  config.init = "uniform";
  config.init_scale = config.last_init_scale = 0.01;
  config.data_init = false;
  config.scale_rate = 1;
  config.optimizer = "rmsprop-floor";
  config.beta1 = 0.5;
  config.beta2 = 0.95;
  config.eps = 1e-2;
  config.schedule = "exponential";
  config.lr_decay = 1 / 1.0005;
  config.lr_lowest = 0.1;
  if (like_faces(data)) {
    config.couplings = 8;
    config.depths = "3,3,2,2,1,1,1,1";
    config.hidden_units = 2000;
    config.batch_size = 128;
  }
  if (like_cifar(data)) {
    config.partition = "halves";
    config.prior = "gaussian";
    if (data.family == "svhn") {
      config.hidden_layers = 3;
      config.hidden_units = 2000;
    } else {
      config.couplings = 8;
      config.depths = "1,1,3,3,2,2,1,1";
      config.hidden_units = 2400;
      config.lr = 2e-4;
      config.lr_lowest = 0.05;
      config.preprocess = "symmetric";
    }
  }
  return config;
}

Config nice_plus(const DataShape& data) {
  Config config;
  config.couplings = 6;
  config.coupling = "affine";
  config.hidden_layers = 2;
  // Real numbers have no levels to count. (No data: the preset as it is spoken of, for images)
  const bool levels = data.discrete || data.dims == 0;
  config.preprocess = levels ? "cdf" : "auto";
  config.whitening = "triangular";
  config.prior = "gaussian";
  config.epochs = 20;
  config.optimizer = "adamw";
  config.weight_decay = 0.3;
  config.eps = 1e-8;
  config.schedule = "cosine";
  config.warmup = 250;
  return config;
}

// A table has so many rows and no more, and a flow learns them by heart when it goes on too long.
// So the rate falls to 0 within 40 epochs, and training ends `patience` epochs after the best
// validation result. 500 rows give 10 steps an epoch and at most 400, a million rows 1000 and at
// most 20,000.
void adapt_to_rows(Config& config, std::int64_t rows) {
  config.batch_size = std::max(std::clamp<std::int64_t>(rows / 20, 50, 300),
                               std::min<std::int64_t>(rows / 1000, 1000));
  const std::int64_t per_epoch = (rows + config.batch_size - 1) / config.batch_size;
  config.epochs = std::clamp<std::int64_t>(20'000 / per_epoch, 5, 40);
  config.steps = 0;
  config.warmup = std::min<std::int64_t>(200, config.epochs * per_epoch / 10);
  config.patience = 20;
}

Config realnvp_2d(const DataShape& data) {
  Config config;
  config.couplings = 16;
  config.coupling = "affine";
  config.partition = "halves";
  config.mixing = "linear";
  config.hidden_units = 64;
  config.hidden_layers = 2;
  config.activation = "silu";
  config.prior = "gaussian";
  config.data = "moons";
  config.batch_size = 300;
  config.steps = 7000;
  config.lr = 5e-3;
  config.beta2 = 0.999;
  config.eps = 1e-8;
  config.schedule = "cosine";
  config.warmup = 200;
  config.clip = 0.3;  // gradients of sharp densities have heavy tails: nearly every step is clipped
  config.sample_every = 0;
  config.samples = 20000;
  if (data.rows > 0 && !data.unit_scale) adapt_to_rows(config, data.rows);
  return config;
}

}  // namespace

std::vector<std::string> preset_names() { return {"nice", "nice-plus", "realnvp-2d"}; }

Config preset(const std::string& name, const DataShape& data, const std::string& recipe) {
  Config config;
  if (name == "nice") {
    config = recipes().at(recipe) == Recipe::Code ? nice_of_code(data) : nice_of_paper(data);
  } else if (name == "nice-plus") {
    config = nice_plus(data);
  } else if (name == "realnvp-2d") {
    config = realnvp_2d(data);
  } else {
    fail(str("[model] there is no model '", printable(name), "'; the models are ",
             join(preset_names(), ", "), ", or give a configuration file ending in .json"));
  }
  config.model = name;
  return config;
}

}  // namespace nf::flows
