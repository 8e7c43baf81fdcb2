// vae: a variational autoencoder, with flows in its posterior and as its prior.
// Sources: Kingma, Welling, "Auto-encoding variational Bayes" (2014); Rezende, Mohamed,
// "Variational inference with normalizing flows" (2015); Burda, Grosse, Salakhutdinov, "Importance
// weighted autoencoders" (2016); Kingma et al., "Improved variational inference with inverse
// autoregressive flow" (2016); conditional: Sohn, Lee, Yan, "Learning structured output
// representation using deep conditional generative models" (2015); beta: Higgins et al. (2017);
// mmd: Zhao, Song, Ermon, "InfoVAE" (2017); ladder: Sonderby et al. (2016).
#include <algorithm>
#include <nlohmann/json.hpp>

#include "data/setting_error.h"
#include "flows/models/conditioning.h"
#include "flows/models/idle.h"
#include "flows/models/latent_flow.h"
#include "flows/models/latent_ladder.h"
#include "flows/models/preprocessing.h"
#include "flows/models/table_training.h"
#include "flows/models/vae_density.h"
#include "nn/nets/gated_conv.h"

namespace nf::flows {

namespace {

struct VaeSettings : SettingsOf<VaeSettings>, Conditioning {
  std::int64_t latents = 40;
  std::int64_t ladder = 1;
  std::string net = "mlp";
  std::int64_t maps = 32;
  std::int64_t hidden_units = 400;
  std::int64_t hidden_layers = 1;
  std::string activation = "relu";
  std::string likelihood = "auto";
  std::string posterior = "none";
  std::int64_t posterior_steps = 4;
  std::int64_t posterior_width = 320;
  std::string prior_flow = "none";
  std::int64_t prior_steps = 4;
  std::int64_t prior_width = 320;
  std::int64_t importance = 1;
  std::int64_t kl_warmup = 0;
  double free_bits = 0;
  double beta = 1;
  double mmd = 0;

  std::vector<Field> fields() override;
  std::vector<Field> training_fields();
};

std::vector<Field> VaeSettings::fields() {
  std::vector<Field> all = {
      {"latents",
       "numbers that stand for a row; of tables as many as columns, from 2 to 40",
       &latents,
       {},
       1,
       1e5},
      {"ladder",
       "layers of latents, each half as wide as the one below, drawn from the top one down with "
       "what data and the layer above say, each by its precision (Sonderby et al. 2016)",
       &ladder,
       {},
       1,
       10},
      {"net",
       "encoder and decoder: fully connected layers, or gated convolutions of images (van den Berg "
       "et al. 2018)",
       &net,
       {"mlp", "conv"}},
      {"maps", "channels of the first convolutions, half of the later ones", &maps, {}, 1, 1e4},
      {"hidden_units",
       "width of encoder and decoder; with net = conv of what the encoder says",
       &hidden_units,
       {},
       1,
       1e6},
      {"hidden_layers", "hidden layers of each", &hidden_layers, {}, 1, 100},
      {"activation", "of their layers", &activation, nn::activation_names()},
      {"likelihood",
       "of data given latents; auto: bernoulli for 2 levels, logistic (discretised) for more, "
       "gaussian for real numbers",
       &likelihood,
       {"auto", "bernoulli", "logistic", "gaussian"}},
      {"posterior",
       "flow that makes the posterior's latents of a Gaussian's: inverse autoregressive, additive "
       "couplings, splines, and those without networks",
       &posterior, posterior_flows()},
      {"posterior_steps", "steps of that flow", &posterior_steps, {}, 1, 1000},
      {"posterior_width", "hidden units of a step's network", &posterior_width, {}, 1, 1e6},
      {"prior_flow", "flow that is learned as the prior of latents", &prior_flow, prior_flows()},
      {"prior_steps", "steps of that flow", &prior_steps, {}, 1, 1000},
      {"prior_width", "hidden units of a step's network", &prior_width, {}, 1, 1e6},
  };
  for (const std::vector<Field>& more : {training_fields(), Conditioning::fields()}) {
    all.insert(all.end(), more.begin(), more.end());
  }
  return all;
}

// What changes training, and not what is evaluated.
std::vector<Field> VaeSettings::training_fields() {
  return {
      {"importance",
       "draws of latents for each row in training: the bound of so many (IWAE)",
       &importance,
       {},
       1,
       10'000},
      {"kl_warmup",
       "steps over which the KL term gets its weight in training: min(1, 0.01 + step / this)",
       &kl_warmup,
       {},
       0,
       1e15},
      {"free_bits",
       "nats for each latent, below which training does not push the KL term (0: none)",
       &free_bits,
       {},
       0,
       100},
      {"beta",
       "weight of the KL term in training (Higgins et al. 2017); below 1 data come back better, "
       "above 1 latents say less of them",
       &beta,
       {},
       0,
       1e6},
      {"mmd",
       "weight in training of the discrepancy (MMD) between the latents of a batch together and "
       "the prior (InfoVAE, Zhao et al. 2017)",
       &mmd,
       {},
       0,
       1e6},
  };
}

std::string resolved_likelihood(const std::string& likelihood, const DataShape& data) {
  if (likelihood != "auto") return likelihood;
  return !data.discrete ? "gaussian" : data.levels == 2 ? "bernoulli" : "logistic";
}

// Real numbers are standardised; of levels no noise and no map is needed.
Preprocessing preprocessing_of(const DataShape& data) {
  Preprocessing preprocessing;
  preprocessing.preprocess = resolved_preprocess("auto", data);
  return preprocessing;
}

bool convolves(const VaeSettings& c) { return c.net == "conv"; }

// What the posterior is made of: with net = conv what is given stands behind what the encoder says,
// since it is no part of an image.
std::int64_t said_by_encoder(const VaeSettings& c, const DataShape& data) {
  return c.hidden_units + (convolves(c) ? context_dims(c, data) : 0);
}

LatentFlowOptions posterior_of(const VaeSettings& c, const DataShape& data) {
  return {.kind = c.posterior,
          .steps = c.posterior_steps,
          .dims = c.latents,
          .context = said_by_encoder(c, data),
          .width = c.posterior_width};
}

LatentFlowOptions prior_of(const VaeSettings& c, const DataShape& data) {
  return {.kind = c.prior_flow,
          .steps = c.prior_steps,
          .dims = c.latents,
          .context = context_dims(c, data),
          .width = c.prior_width};
}

// The latents as data of a flow, with what is given.
DataShape latents_of(const VaeSettings& c, const DataShape& data) {
  return {.dims = c.latents, .given = data.given, .given_classes = data.given_classes};
}

std::shared_ptr<Likelihood> likelihood_of(const VaeSettings& c, const DataShape& data) {
  if (c.likelihood == "bernoulli") return bernoulli_likelihood(data.dims);
  if (c.likelihood == "logistic") return logistic_likelihood(data.dims, data.levels);
  return gaussian_likelihood(data.dims);
}

nn::GatedConvOptions gated_images(const VaeSettings& c, const DataShape& data) {
  return {.height = data.height, .width = data.width, .channels = data.channels, .maps = c.maps};
}

// Small at first: latents begin nearly as the prior has them, data as they are on average.
constexpr nn::Init kSmall = {nn::Init::Kind::Xavier, 0.1};

std::shared_ptr<nn::Sequential> mlp_encoder(const VaeSettings& c, const DataShape& data,
                                            Generator& weights) {
  const nn::Activation activation = nn::activation_by_name(c.activation);
  auto encoder = std::make_shared<nn::Sequential>();
  for (std::int64_t i = 0; i < c.hidden_layers; ++i) {
    encoder->push_back(std::make_shared<nn::Linear>(
        nn::LinearOptions{.in = i == 0 ? data.dims + context_dims(c, data) : c.hidden_units,
                          .out = c.hidden_units,
                          .activation = activation},
        weights));
  }
  return encoder;
}

LatentLadderOptions ladder_of(const VaeSettings& c, const DataShape& data) {
  return {.latents = c.latents,
          .layers = c.ladder,
          .said = said_by_encoder(c, data),
          .width = c.hidden_units,
          .activation = nn::activation_by_name(c.activation),
          .last = kSmall};
}

// Latents that the decoder sees.
std::int64_t seen_by_decoder(const VaeSettings& c, const DataShape& data) {
  return c.ladder > 1 ? lowest_latents(ladder_of(c, data)) : c.latents;
}

std::shared_ptr<nn::Sequential> decoder_of(const VaeSettings& c, const DataShape& data,
                                           Generator& weights) {
  const std::int64_t seen = seen_by_decoder(c, data), in = seen + context_dims(c, data);
  auto decoder = convolves(c) ? nn::gated_decoder(gated_images(c, data), in, kSmall, weights)
                              : nn::mlp({.in = in,
                                         .out = data.dims,
                                         .hidden_units = c.hidden_units,
                                         .hidden_layers = static_cast<int>(c.hidden_layers),
                                         .activation = nn::activation_by_name(c.activation),
                                         .last_init = kSmall},
                                        weights);
  if (c.ladder == 1) return decoder;
  return std::make_shared<nn::Sequential>(std::vector<std::shared_ptr<nn::Layer>>{
      std::make_shared<SkipColumns>(c.latents - seen), decoder});
}

VaeLayer::Nets nets_of(const VaeSettings& c, const DataShape& data, Generator& weights) {
  auto encoder = convolves(c) ? nn::gated_encoder(gated_images(c, data), c.hidden_units, weights)
                              : mlp_encoder(c, data, weights);
  std::shared_ptr<nn::Layer> posterior;
  if (c.ladder > 1) {
    posterior = latent_heads(ladder_of(c, data), weights);
  } else {
    posterior = std::make_shared<nn::Linear>(
        nn::LinearOptions{.in = said_by_encoder(c, data), .out = 2 * c.latents, .init = kSmall},
        weights);
  }
  return {.encoder = encoder,
          .posterior = posterior,
          .decoder = decoder_of(c, data, weights),
          .context = context_dims(c, data),
          .context_behind_encoder = convolves(c),
          .flow_takes_gaussian = c.ladder > 1};
}

Convention convention_of_levels(const DataShape& data) {
  return {0, str("nats of ", data.dims, " levels, 0 to ", data.levels - 1, "; bits/dim = -nats/(",
                 data.dims, " ln 2)")};
}

class VaeModel : public Model {
 public:
  std::string name() const override { return "vae"; }
  std::string help() const override {
    return "variational autoencoder (Kingma et al. 2014), with flows";
  }
  bool conditional() const override { return true; }
  std::string sizes() const override {
    return "latents, hidden_units, hidden_layers, maps, posterior_width";
  }
  Config preset(const DataShape& data, const std::string&) const override;
  Config resolved(const Config& config, const DataShape& data) const override {
    Config full = config;
    std::string& likelihood = full.of<VaeSettings>().likelihood;
    likelihood = resolved_likelihood(likelihood, data);
    return full;
  }
  void check(const Config& config, const DataShape& data) const override;
  std::string why_idle(const Config& config, const DataShape& data,
                       const std::string& key) const override;
  double parameters(const Config& config, const DataShape& data) const override;
  std::shared_ptr<Density> build(const Config& config, const DataShape& data) const override;
  nlohmann::ordered_json described(const Config& config, const DataShape& data) const override;
};

// A table has few columns, and few rows, but needs steps: its deviations begin at 1, and a factor
// of ten is a hundred steps (measured on a table of 1500 rows: 640 steps lose to a Gaussian, 4000
// win).
void adapt_vae(TrainingSettings& training, std::int64_t rows) {
  constexpr std::int64_t kSteps = 4000;
  adapt_to_rows(training, rows);
  const std::int64_t per_epoch = (rows + training.batch_size - 1) / training.batch_size;
  training.epochs = std::clamp<std::int64_t>(kSteps / per_epoch, training.epochs, 1000);
  training.warmup = 200;
  training.patience = std::max<std::int64_t>(20, training.epochs / 5);
}

// Images: the sizes of Rezende and Mohamed, Adam.
Config VaeModel::preset(const DataShape& data, const std::string&) const {
  Config config(name(), std::make_unique<VaeSettings>());
  VaeSettings& model = config.of<VaeSettings>();
  TrainingSettings& training = config.training;
  training.batch_size = 100;
  training.beta2 = 0.999;
  training.eps = 1e-8;
  if (data.discrete || data.dims == 0) return config;
  model.latents = std::clamp<std::int64_t>(data.dims, 2, 40);
  model.hidden_units = 200;
  config.data.source = "moons";
  config.output.sample_every = 0;
  config.output.samples = 20000;
  training.lr = 5e-3;
  training.schedule = "cosine";
  training.clip = 5;
  training.batch_size = 300;
  training.steps = 7000;
  training.warmup = 200;
  if (data.rows > 0 && !data.unit_scale) adapt_vae(training, data.rows);
  return config;
}

void VaeModel::check(const Config& config, const DataShape& data) const {
  const VaeSettings& c = config.of<VaeSettings>();
  const auto check = [](bool right, const char* setting, const std::string& what) {
    data::check_setting(right, setting, what);
  };
  if (!data.discrete) check_preprocessing(preprocessing_of(data), config.data, data);
  check(data.discrete || c.likelihood == "gaussian", "likelihood",
        str("[likelihood] these data are real numbers: gaussian, not ", c.likelihood));
  check(!data.discrete || c.likelihood != "gaussian", "likelihood",
        "[likelihood] pixels are levels: bernoulli (of 2) or logistic, not gaussian");
  check(c.likelihood != "bernoulli" || data.levels == 2, "likelihood",
        str("[likelihood] bernoulli is for 2 levels, these data have ", data.levels,
            "; give logistic, or --bits 1"));
  check(!convolves(c) || (data.height > 0 && data.height % 4 == 0 && data.width % 4 == 0), "net",
        "[net] conv is for images whose sides are multiples of 4; give mlp");
  const std::int64_t least = (std::int64_t{1} << c.ladder) - 1;
  check(c.latents >= least, "ladder",
        str("[ladder] ", c.ladder, " layers, each half as wide as the one below, need ", least,
            " latents or more, not ", c.latents));
  check(c.ladder == 1 || c.posterior == "none", "posterior",
        "[posterior] a ladder has its own posterior; leave --posterior or --ladder out");
  check(c.latents > 1 || !needs_two_latents(c.posterior), "posterior",
        str("[posterior] ", c.posterior, " needs two latents or more"));
  check(c.latents > 1 || !needs_two_latents(c.prior_flow), "prior_flow",
        str("[prior_flow] ", c.prior_flow, " needs two latents or more"));
  check(c.importance == 1 || c.free_bits == 0, "free_bits",
        "[free_bits] the bound of several draws has no free bits; leave --importance or "
        "--free-bits out");
}

std::string VaeModel::why_idle(const Config& full, const DataShape& data,
                               const std::string& key) const {
  const VaeSettings& c = full.of<VaeSettings>();
  const std::string why = flows::why_idle(static_cast<const Conditioning&>(c), data, key);
  if (!why.empty()) return why;
  return first_idle({{{"posterior_width"},
                      c.posterior != "none" && !has_networks(c.posterior),
                      str("posterior = ", c.posterior, " has no networks")},
                     {{"posterior_steps", "posterior_width"},
                      c.posterior == "none",
                      "posterior is none, which has no steps"},
                     {{"maps"}, !convolves(c), "net is mlp, not conv"},
                     {{"kl_warmup", "free_bits"}, c.beta == 0, "beta is 0: no KL term is trained"},
                     {{"hidden_layers"}, convolves(c), "net = conv has none"},
                     {{"activation"}, convolves(c) && c.ladder == 1, "net = conv has none"},
                     {{"prior_steps", "prior_width"},
                      c.prior_flow == "none",
                      "prior_flow is none, which has no steps"}},
                    key);
}

double VaeModel::parameters(const Config& full, const DataShape& data) const {
  const VaeSettings& c = full.of<VaeSettings>();
  const std::int64_t context = context_dims(c, data), decoded = seen_by_decoder(c, data) + context;
  const auto dims = static_cast<double>(data.dims), latents = static_cast<double>(c.latents);
  const auto width = static_cast<double>(c.hidden_units);
  const auto said = static_cast<double>(said_by_encoder(c, data));
  const double inner = (static_cast<double>(c.hidden_layers) - 1) * (width + 1) * width;
  const double dense = (dims + static_cast<double>(context) + 1) * width +
                       (static_cast<double>(decoded) + 1) * width + 2 * inner + (width + 1) * dims;
  const double nets =
      convolves(c) ? nn::gated_parameters(gated_images(c, data), c.hidden_units, decoded) : dense;
  const double scales = c.likelihood == "bernoulli" ? 0 : dims;
  const double gaussians =
      c.ladder > 1 ? latent_ladder_parameters(ladder_of(c, data)) : (said + 1) * 2 * latents;
  return nets + gaussians + scales + latent_flow_parameters(posterior_of(c, data)) +
         latent_flow_parameters(prior_of(c, data)) +
         conditioning_parameters(c, latents_of(c, data));
}

// f of the posterior, or null. That of a ladder has the networks of the prior, which gets them too.
std::shared_ptr<Transform> add_posterior(const VaeSettings& c, const DataShape& data,
                                         Generator& weights, Compose& prior) {
  if (c.ladder > 1) {
    const Ladder ladder = latent_ladder(ladder_of(c, data), weights);
    prior.add("ladder", std::make_shared<LadderPrior>(ladder));
    return std::make_shared<LadderPosterior>(ladder);
  }
  const std::shared_ptr<Compose> flow = latent_flow(posterior_of(c, data), weights);
  return flow->parts().empty() ? nullptr : flow;
}

std::shared_ptr<Density> VaeModel::build(const Config& full, const DataShape& data) const {
  const VaeSettings& c = full.of<VaeSettings>();
  const auto seed = static_cast<std::uint64_t>(full.training.seed);
  Generator weights(seed, Stream::kWeights);
  auto before = std::make_shared<Compose>();
  const Convention convention = data.discrete
                                    ? convention_of_levels(data)
                                    : add_preprocessing(preprocessing_of(data), full.data, data,
                                                        *before, Generator(seed, Stream::kNoise));
  const std::shared_ptr<Condition> condition = make_condition(c, data, weights);
  VaeLayer::Nets nets = nets_of(c, data, weights);
  const auto prior = std::make_shared<Compose>();
  const std::shared_ptr<Transform> posterior = add_posterior(c, data, weights, *prior);
  auto layer = std::make_shared<VaeLayer>(Generator(seed, Stream::kLatents), std::move(nets),
                                          likelihood_of(c, data), c.latents, posterior);
  const std::shared_ptr<Compose> steps = latent_flow(prior_of(c, data), weights);
  for (const auto& [name, part] : steps->parts()) prior->add(name, part);
  constexpr double kScaleLimit = 2;
  add_conditional_prior(c, latents_of(c, data), kScaleLimit, weights, *prior);
  return std::make_shared<VaeDensity>(before, layer, prior, data.dims, convention,
                                      VaeTraining{.importance = c.importance,
                                                  .kl_warmup = c.kl_warmup,
                                                  .free_bits = c.free_bits,
                                                  .beta = c.beta,
                                                  .mmd = c.mmd},
                                      condition);
}

nlohmann::ordered_json VaeModel::described(const Config& full, const DataShape& data) const {
  const VaeSettings& c = full.of<VaeSettings>();
  nlohmann::ordered_json json = {{"dims", data.dims},
                                 {"levels", data.discrete ? data.levels : 0},
                                 {"latents", c.latents},
                                 {"net", c.net},
                                 {"hidden_units", c.hidden_units},
                                 {"hidden_layers", c.hidden_layers},
                                 {"activation", c.activation},
                                 {"likelihood", c.likelihood},
                                 {"posterior", c.posterior},
                                 {"prior_flow", c.prior_flow}};
  if (c.ladder > 1) json["ladder"] = c.ladder;
  if (convolves(c)) {
    json["maps"] = c.maps;
    json["image"] = {data.height, data.width, data.channels};
  }
  if (!data.discrete) json["preprocess"] = preprocessing_of(data).preprocess;
  if (c.posterior != "none") {
    json["posterior_steps"] = c.posterior_steps;
    if (has_networks(c.posterior)) json["posterior_width"] = c.posterior_width;
  }
  if (c.prior_flow != "none") {
    json["prior_steps"] = c.prior_steps;
    json["prior_width"] = c.prior_width;
  }
  describe_given(c, data, json);
  return json;
}

}  // namespace

std::shared_ptr<const Model> vae_model() { return std::make_shared<VaeModel>(); }

}  // namespace nf::flows
