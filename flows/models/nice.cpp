// nice: additive couplings, ReLU networks, a last scale, logistic prior.
// Source: Dinh, Krueger, Bengio, "NICE: non-linear independent components estimation" (2015).
// "code" is the authors' program, github.com/laurent-dinh/nice, exp/*.yaml.
#include "flows/models/coupling_flow.h"
#include "flows/models/kinds.h"

namespace nf::flows {

namespace {

// The paper has settings of its own for three more data sets than MNIST; these are told by
// geometry.
bool images_of(const DataShape& data, std::int64_t channels, std::int64_t side) {
  return data.channels == channels && data.height == side && data.width == side;
}
bool like_faces(const DataShape& data) { return images_of(data, 1, 48); }  // Toronto's, gray
bool like_cifar(const DataShape& data) { return images_of(data, 3, 32); }  // and SVHN

Config start() { return {"nice", std::make_unique<CouplingFlowSettings>()}; }

// Section 5.1. MNIST's are the defaults of CouplingFlowSettings. CIFAR-10 is told on [-1,1].
Config nice_of_paper(const DataShape& data) {
  Config config = start();
  CouplingFlowSettings& model = coupling_flow(config);
  if (like_faces(data)) {
    model.hidden_layers = 4;
    model.hidden_units = 5000;
    model.prior = "gaussian";
    model.whitening = "triangular";  // "approximate whitening", appendix B
  }
  if (like_cifar(data)) {
    model.hidden_layers = 4;
    model.hidden_units = 2000;
    model.whitening = "zca";
    if (data.family != "svhn") model.preprocess = "symmetric";
  }
  return config;
}

// No whitening anywhere; the optimizer is a root-mean-square one with a floor, its rate falling
// by 1.0005 per step to a tenth. (Its momentum is 0 for five epochs before it is 1/2.)
Config nice_of_code(const DataShape& data) {
  Config config = start();
  CouplingFlowSettings& model = coupling_flow(config);
  model.recipe = "code";
  model.init = "uniform";
  model.init_scale = model.last_init_scale = 0.01;
  model.data_init = false;
  model.scale_rate = 1;
  config.training.optimizer = "rmsprop-floor";
  config.training.beta1 = 0.5;
  config.training.beta2 = 0.95;
  config.training.eps = 1e-2;
  config.training.schedule = "exponential";
  config.training.lr_decay = 1 / 1.0005;
  config.training.lr_lowest = 0.1;
  if (like_faces(data)) {
    model.couplings = 8;
    model.depths = "3,3,2,2,1,1,1,1";
    model.hidden_units = 2000;
    config.training.batch_size = 128;
  }
  if (like_cifar(data)) {
    model.partition = "halves";
    model.prior = "gaussian";
    if (data.family == "svhn") {
      model.hidden_layers = 3;
      model.hidden_units = 2000;
    } else {
      model.couplings = 8;
      model.depths = "1,1,3,3,2,2,1,1";
      model.hidden_units = 2400;
      config.training.lr = 2e-4;
      config.training.lr_lowest = 0.05;
      model.preprocess = "symmetric";
    }
  }
  return config;
}

class Nice : public CouplingFlow {
 public:
  std::string name() const override { return "nice"; }
  std::string help() const override { return "additive couplings for images (Dinh et al. 2015)"; }
  std::vector<std::string> recipes() const override { return recipe_names().all(); }
  Config preset(const DataShape& data, const std::string& recipe) const override {
    return recipe_names().at(recipe) == Recipe::Code ? nice_of_code(data) : nice_of_paper(data);
  }
};

}  // namespace

std::shared_ptr<const Model> nice_model() { return std::make_shared<Nice>(); }

}  // namespace nf::flows
