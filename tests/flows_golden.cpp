// Golden runs: the losses of ten steps of every model and every update rule are what PyTorch makes
// of the same weights, batches and noise, in f64. The numbers come from bench/golden.py, which
// knows the models, the losses and PyTorch's own optimizers, and nothing of this code. To make them
// again:
//
//   NF_GOLDEN=folder build/tests/nf_tests --run_test=flows_golden
//   python bench/golden.py folder
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstdlib>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "flows/models/build.h"
#include "flows/models/model.h"
#include "nn/safetensors.h"
#include "tensor/ops.h"
#include "tests/trainings.h"

using namespace nf;
using namespace nf::flows;

namespace {

constexpr std::int64_t kSteps = 10, kRows = 60, kBatch = 24;  // batches of 24, 24 and 12
constexpr std::int64_t kEvaluated = 99;                       // the round of the noise at the end

/// A model, its settings beside the preset's, and its losses: -mean ln p of the batch at each step,
/// then of all rows with the weights that are evaluated.
struct Golden {
  std::string name, model;
  std::int64_t dims;
  bool discrete;
  std::string recipe;
  std::vector<std::string> settings;
  std::vector<double> losses;
};

/// A small model with everything that learns at a rate of its own, under another update rule.
Golden rates(const std::string& optimizer, const std::string& lr, std::vector<double> losses) {
  return {"rates-" + optimizer,
          "nice",
          6,
          false,
          "paper",
          {"couplings=2", "hidden_layers=1", "hidden_units=16", "whitening=triangular",
           "preprocess=none", "optimizer=" + optimizer, "lr=" + lr, "weight_decay=0.1", "clip=6",
           "eps=1e-3"},
          std::move(losses)};
}

/// A small model of images of 8 x 4 pixels, on two scales.
Golden images(const std::string& model, const std::string& recipe,
              std::vector<std::string> settings, std::vector<double> losses) {
  std::string name = model;
  for (const std::string& setting : settings) name += "-" + setting;
  const bool steps = model != "realnvp";
  settings.insert(settings.end(), {"preprocess=symmetric", steps ? "steps_per_level=2" : "blocks=2",
                                   "width=6", "warmup=3"});
  return {name + "-" + recipe, model, 32, true, recipe, std::move(settings), std::move(losses)};
}

/// A small autoregressive flow of rows.
Golden rows_of(const std::string& model, std::vector<std::string> settings,
               std::vector<double> losses) {
  std::string name = model;
  for (const std::string& setting : settings) name += "-" + setting;
  settings.insert(settings.end(), {"hidden_units=12", "warmup=3"});
  if (model != "made") settings.push_back("layers=3");
  if (model != "maf") settings.push_back("components=4");
  return {name, model, 5, false, "paper", std::move(settings), std::move(losses)};
}

/// A small variational autoencoder, of levels or of reals.
Golden vae_of(const std::string& name, bool discrete, std::vector<std::string> settings,
              std::vector<double> losses) {
  settings.insert(settings.end(), {"latents=3", "hidden_units=12", "warmup=3"});
  return {"vae-" + name, "vae", 6, discrete, "paper", std::move(settings), std::move(losses)};
}

/// A small model of levels, place after place: of images of 4 x 4 pixels, or of rows.
Golden levels_of(const std::string& model, std::vector<std::string> settings,
                 std::vector<double> losses) {
  std::string name = model;
  for (const std::string& setting : settings) name += "-" + setting;
  const std::vector<std::string> sizes =
      model == "nade"       ? std::vector<std::string>{"hidden_units=12", "bits=1"}
      : model == "pixelrnn" ? std::vector<std::string>{"maps=3", "layers=2", "head=6"}
      : model == "pixelcnn" ? std::vector<std::string>{"maps=5", "layers=2", "head=6"}
                            : std::vector<std::string>{"maps=5", "layers=3", "skip=6", "blocks=2"};
  settings.insert(settings.end(), sizes.begin(), sizes.end());
  settings.insert(settings.end(), {"warmup=3", "lr=1e-2"});
  return {name, model, 16, true, "paper", std::move(settings), std::move(losses)};
}

/// A small model of residual blocks of rows.
Golden blocks_of(const std::string& model, std::vector<double> losses) {
  return {model,
          model,
          5,
          false,
          "paper",
          {"blocks=2", "hidden_units=12", "warmup=3", "lr=5e-3",
           model == "iresnet" ? "activation=elu" : "activation=lipswish",
           model == "iresnet" ? "coefficient=0.9" : "coefficient=0.98"},
          std::move(losses)};
}

std::vector<Golden> all_golden() {
  return {
      {"nice",
       "nice",
       25,
       true,
       "paper",
       {"hidden_units=32"},
       {174.275505, 174.586336, 175.034263, 173.872367, 173.945359, 172.916844, 172.966436,
        173.067002, 172.257571, 172.277718, 171.954414}},
      {"nice-code",
       "nice",
       25,
       true,
       "code",
       {"hidden_units=32"},
       {174.275505, 174.46259, 174.642047, 173.394219, 173.281346, 172.450154, 172.390592,
        172.284918, 171.775294, 171.751354, 171.545653}},
      {"nice-plus",
       "nice-plus",
       16,
       true,
       "paper",
       {"hidden_units=32", "warmup=3"},
       {170.439118, 123.613878, 119.715076, 119.490537, 133.207555, 127.955418, 125.855459,
        108.446187, 134.293481, 127.61504, 115.795871}},
      {"realnvp-2d",
       "realnvp-2d",
       2,
       false,
       "paper",
       {"hidden_units=16", "warmup=3"},
       {4.3907996, 4.46315682, 4.9495084, 3.24028214, 3.05810947, 2.68569001, 2.88498849,
        2.80329551, 2.78344585, 2.59781794, 2.75227295}},
      {"affine-mixing",
       "nice",
       7,
       false,
       "paper",
       {"couplings=3", "coupling=affine", "mixing=linear", "partition=halves", "whitening=zca",
        "activation=tanh", "hidden_units=16", "depths=2,1,0", "prior=gaussian", "ema=0.8",
        "preprocess=standard", "schedule=step", "lr_every=4", "lr_decay=0.3", "lr=3e-3"},
       {13.6346665, 14.2654876, 12.550314, 10.5668063, 10.8589575, 11.9634909, 9.84862249,
        10.9709108, 10.727623, 10.6567371, 10.3357617}},
      {"multiplicative",
       "nice",
       9,
       true,
       "paper",
       {"couplings=3", "coupling=multiplicative", "preprocess=logit", "alpha=0.05",
        "whitening=triangular", "whitening_last=true", "activation=gelu", "hidden_units=16",
        "hidden_layers=2", "scale_limit=1.5"},
       {52.5244332, 52.4022302, 52.0944443, 52.2995364, 51.9705815, 52.1216672, 51.9358599,
        51.883099, 51.8076633, 51.7996478, 51.6407177}},
      {"symmetric",
       "nice",
       8,
       true,
       "paper",
       {"preprocess=symmetric", "hidden_units=16"},
       {50.1139827, 49.6305095, 49.8966231, 49.5482093, 49.6823693, 49.8775263, 49.5792402,
        49.4918522, 49.1434998, 49.397488, 49.2385326}},
      images("glow", "paper", {},
             {269.884905, 260.523688, 246.64338, 258.795755, 248.647102, 242.208813, 250.494259,
              238.698546, 233.524404, 241.016801, 234.905406}),
      images("glow", "code", {"learn_top=false"},
             {359.540433, 288.128828, 269.483712, 290.816859, 274.679425, 298.071286, 264.198878,
              258.866644, 283.068522, 246.878093, 252.30593}),
      images("glow", "paper", {"coupling=additive"},
             {250.277613, 237.428549, 219.166157, 226.528729, 228.708648, 225.221616, 213.342222,
              217.102097, 225.242085, 214.682592, 209.976412}),
      images("image-plus", "paper", {"boards=0", "components=3", "dequantize=uniform"},
             {236.839746, 233.078479, 230.001322, 223.901859, 221.493597, 216.913708, 214.22722,
              210.790991, 208.976383, 208.724198, 209.549063}),
      images(
          "image-plus", "paper",
          {"boards=0", "coupling=affine", "net=residual", "activation=relu", "dequantize=uniform"},
          {213.814347, 215.313913, 211.727961, 209.404633, 206.268623, 203.336053, 201.963334,
           200.517983, 201.904947, 199.425335, 200.122932}),
      images("image-plus", "paper",
             {"boards=0", "coupling=spline", "components=4", "blocks=1", "dequantize=uniform"},
             {224.35876, 224.108307, 216.796134, 213.356971, 208.363047, 206.703924, 203.908219,
              204.278377, 203.311024, 203.004704, 202.789231}),
      images("image-plus", "paper",
             {"boards=0", "net=normalised", "coupling=affine", "dequantize=uniform"},
             {215.265912, 215.411524, 214.614495, 206.813485, 207.838666, 203.524341, 202.255899,
              201.409389, 194.9297, 199.562993, 199.101605}),
      images("image-plus", "paper", {"coupling=affine", "dequantize=uniform"},
             {368.635144, 351.171052, 304.482811, 255.46965, 235.315662, 217.65105, 220.208027,
              213.036232, 214.780714, 212.797112, 212.996945}),
      images("image-plus", "paper",
             {"boards=0", "net=dense", "growth=5", "coupling=affine", "dequantize=uniform"},
             {212.416328, 215.836659, 207.245582, 203.804023, 204.582494, 200.755762, 195.595906,
              197.993176, 197.388571, 194.25087, 195.416422}),
      images("image-plus", "paper", {"boards=0", "dequantize_width=4", "dequantize_steps=3"},
             {233.192011, 225.516381, 221.513109, 214.537332, 211.057948, 207.616325, 205.766691,
              205.940182, 200.901703, 204.054484, 202.729629}),
      images("realnvp", "nf", {},
             {201.67372, 201.994226, 199.278337, 199.561515, 197.587323, 194.93622, 195.534608,
              193.637309, 192.243993, 191.868771, 190.477867}),
      images("realnvp", "nf", {"masked=true", "levels=1"},
             {191.188105, 191.935695, 185.557542, 188.573207, 190.044245, 184.330271, 185.590782,
              186.229442, 186.335987, 184.114016, 183.788296}),
      images("realnvp", "nf", {"norm=batch", "weight_decay=0.1"},
             {179.931068, 175.447133, 180.948454, 176.169261, 175.298562, 177.150462, 173.991525,
              170.029415, 177.836301, 170.270849, 171.771849}),
      images("realnvp", "nf", {"norm=batch", "norm_lag=0.7"},
             {181.234471, 176.16657, 180.550895, 174.181059, 177.37184, 178.849175, 172.166967,
              174.495718, 175.132016, 169.024728, 171.426134}),
      images("realnvp", "code", {"weight_decay=0.1"},
             {182.912833, 177.703177, 172.431363, 172.631824, 179.770396, 173.900084, 171.333661,
              173.712437, 177.632589, 173.549597, 172.174722}),
      vae_of("levels", true, {"kl_warmup=20", "importance=3"},
             {36.9959674, 37.5904779, 36.5498021, 37.4333581, 36.3961705, 37.5443756, 36.5561942,
              37.610147, 36.0352242, 36.382953, 37.3211647}),
      vae_of("iaf", true,
             {"posterior=iaf", "posterior_steps=2", "posterior_width=8", "prior_flow=maf",
              "prior_steps=2", "prior_width=8", "hidden_layers=2"},
             {35.8491706, 35.3394261, 35.5534506, 35.4609722, 35.2723718, 36.0978473, 35.3061123,
              36.2309337, 34.6685884, 34.6566021, 35.4492207}),
      vae_of("reals", false,
             {"posterior=nice", "posterior_steps=3", "posterior_width=8", "prior_flow=nsf",
              "prior_steps=1", "prior_width=8", "kl_warmup=5", "free_bits=0.5"},
             {24.0898828, 24.381313, 24.6604645, 24.9297295, 25.2008547, 25.4577503, 25.4322497,
              25.4149474, 25.4019987, 25.3951867, 24.4479228}),
      rows_of("maf", {},
              {7.67099324, 7.51177712, 7.81568535, 7.93401058, 7.68204622, 5.74286247, 7.57356446,
               7.45525121, 7.6645765, 7.32396335, 7.69032262}),
      rows_of("maf", {"norm=act", "mixing=linear", "net=residual"},
              {20.702113, 15.7688089, 11.6747222, 16.0660668, 15.4033002, 9.79814547, 11.9933735,
               11.4369051, 16.4147744, 13.4985623, 12.2485187}),
      rows_of("nsf", {},
              {15.1986292, 11.0231772, 14.9973183, 15.1597883, 12.4305686, 10.4549513, 14.1962784,
               12.3730178, 10.665805, 13.0132528, 12.6446224}),
      rows_of("nsf", {"kind=coupling"},
              {10.8886479, 10.0647278, 8.53376935, 11.041918, 9.04533774, 8.57731467, 10.1792227,
               8.95367219, 8.96099369, 8.56078302, 9.34888934}),
      rows_of("made", {},
              {8.68105881, 8.54212841, 8.77856686, 8.47096663, 8.73907745, 8.65306036, 8.43936338,
               8.64667071, 8.76594279, 8.47155503, 8.57787512}),
      {"made-pixels",
       "made",
       6,
       true,
       "paper",
       {"map=gaussian", "prior=gaussian", "hidden_units=12", "alpha=0.05"},
       {32.887463, 33.9617571, 34.5268917, 34.0133474, 33.7018259, 32.6915239, 34.4222109,
        33.0497407, 33.1477208, 32.7059327, 33.6160102}},
      levels_of("nade", {},
                {11.3200511, 11.2709274, 11.2196088, 11.0767357, 10.9141646, 11.0420167, 10.6974429,
                 11.1134471, 10.3533011, 10.5724621, 10.7316159}),
      levels_of("pixelcnn", {},
                {91.2138758, 88.5601426, 90.8807061, 88.0062068, 89.1736625, 88.8726999, 88.9851883,
                 88.0093639, 85.0385858, 86.8763896, 87.5826245}),
      levels_of("pixelcnn", {"likelihood=softmax"},
                {89.3060485, 89.0041528, 89.2120238, 89.0221496, 89.075364, 88.2107023, 88.7145951,
                 88.5557807, 88.5727005, 88.5133037, 88.5392233}),
      levels_of("pixelrnn", {},
                {89.2029786, 86.2480795, 88.7285037, 87.0639157, 85.3435649, 90.03955, 85.5262193,
                 87.8127882, 84.3470586, 87.7658817, 85.9749043}),
      levels_of("pixelrnn", {"kernel=1", "likelihood=softmax"},
                {89.183013, 89.0682073, 88.4423638, 88.8412511, 88.6832716, 88.6112398, 88.2764524,
                 88.3249237, 89.0602848, 88.2339629, 88.3348948}),
      levels_of("wavenet", {},
                {89.1608695, 89.0214399, 88.6198805, 88.7442094, 88.4052179, 88.1491791, 88.0152847,
                 87.7100507, 87.9198884, 87.6462465, 87.5885928}),
      levels_of("wavenet", {"likelihood=logistic"},
                {94.6667055, 94.0566479, 86.1313666, 88.7744715, 89.655951, 88.3845341, 86.2009633,
                 88.8705771, 88.5053386, 88.3158928, 87.4554443}),
      blocks_of("iresnet", {10.5040109, 8.80192369, 8.58768678, 8.01022177, 8.30303178, 8.61033833,
                            7.24730061, 7.8011286, 7.66565882, 8.00372347, 7.38250153}),
      blocks_of("residual-flow",
                {9.4263503, 8.31909591, 8.68675033, 9.0559181, 7.58427477, 8.91320035, 7.7502755,
                 8.97322648, 7.5036965, 7.40386439, 8.12210355}),
      rates("sgd", "1e-3",
            {11.0657628, 10.4878784, 10.985401, 10.5602748, 10.2834934, 10.8372728, 11.1665027,
             9.81202776, 9.34208341, 10.9522272, 10.328741}),
      rates("rmsprop", "1e-3",
            {11.0657628, 10.1885056, 10.5860054, 9.70233706, 9.1268601, 9.09499699, 9.18149855,
             7.59673214, 6.42116451, 7.16030998, 7.67780628}),
      rates("rmsprop-floor", "1e-3",
            {11.0657628, 10.1701307, 10.5196852, 9.63483902, 8.99546088, 8.75813841, 8.89610668,
             7.36198193, 6.12214704, 6.99535165, 8.033206}),
      rates("adam", "2e-3",
            {11.0657628, 10.4760634, 11.0133575, 10.7038271, 10.4594371, 10.7972172, 11.1625252,
             10.1273316, 9.6215803, 10.7105143, 10.2598965}),
      rates("adamw", "2e-3",
            {11.0657628, 10.4747742, 11.0040476, 10.6985657, 10.451792, 10.7802282, 11.1428303,
             10.116643, 9.61023582, 10.6850204, 10.2372214}),
      rates("adamax", "2e-3",
            {11.0657628, 10.4760634, 11.0178683, 10.7200505, 10.488928, 10.8413391, 11.2068647,
             10.1905495, 9.71420526, 10.7913541, 10.3639532}),
  };
}

/// Every parameter and buffer drawn anew, so that initial values are no part of the comparison.
Tensor drawn(const std::string& name, const Tensor& like, Generator& gen) {
  const Shape& shape = like.shape();
  const Tensor noise = normal(gen, shape);
  const auto ends = [&](const char* end) { return name.ends_with(end); };
  // What LU factors keep fixed is no draw.
  const bool lu =
      name.starts_with("mixings.") && (ends("permutation") || ends("sign") || ends("below"));
  if (lu) return like.clone();
  if (ends(".weight")) return noise * (0.4 / std::sqrt(static_cast<double>(shape[1])));
  if (ends("matrix") || ends("whiten")) {
    return Tensor::eye(shape[0]) + noise * (0.3 / std::sqrt(static_cast<double>(shape[0])));
  }
  if (ends("likelihood.offset")) return noise * 10 + 128.0;
  if (ends("likelihood.log_scale")) return noise * 0.2 + 3.0;
  if (ends("std") || ends("_var")) return exp(noise * 0.3);
  if (ends("cdf.below")) {  // rows of probabilities, added up
    const std::int64_t levels = shape[0] - 1, dims = shape[1];
    const std::vector<float> mass = (uniform(gen, {levels, dims}) + 0.05).to_vector<float>();
    const std::vector<float> total =
        sum(Tensor::from(mass, {levels, dims}), {0}).to_vector<float>();
    std::vector<double> below(static_cast<std::size_t>((levels + 1) * dims), 0.0);
    for (std::size_t i = 0; i < mass.size(); ++i) {
      const auto row = static_cast<std::size_t>(dims);
      below[i + row] = below[i] + mass[i] / static_cast<double>(total[i % row]);
    }
    std::fill(below.end() - dims, below.end(), 1.0);
    return Tensor::from(below, shape).to(DType::F32);
  }
  return noise * 0.2;
}

/// The same draws for everybody who makes it.
struct Run {
  explicit Run(const Golden& golden)
      : shape(test::shape_for(golden.model, golden.dims, golden.discrete)),
        config(preset(golden.model, shape, golden.recipe)) {
    shape.unit_scale = !golden.discrete;
    config.training.steps = kSteps;
    config.training.batch_size = kBatch;
    for (const std::string& setting : golden.settings) set(config, setting);
    density = make_density(config, shape);
    Generator gen(7);
    for (const auto& [name, tensor] : density->state()) {
      if (!is_float(tensor.dtype()) || name == "standardize.mean_rest") continue;
      Tensor(tensor).copy_(drawn(name, tensor, gen));
    }
    data.name = golden.name;
    data.dims = golden.dims;
    data.discrete = golden.discrete;
    const Tensor own = normal(gen, {kRows, golden.dims}) * 0.5, shared = normal(gen, {kRows, 1});
    const Tensor x = shared + own;
    data.levels = shape.levels;
    data.train.x = !golden.discrete    ? x
                   : shape.levels == 2 ? greater(x, x.zeros_like())
                                       : clamp(x * 60 + 128, 0, 255).to(DType::U8);
  }

  /// What PyTorch needs, in one file.
  void write(const std::string& path) {
    nn::StateDict all;
    for (const auto& [name, tensor] : density->state()) {
      all.emplace_back("model." + name, tensor);
    }
    data::Batches batches(data.train, {.batch_size = kBatch, .seed = seed()});
    for (std::int64_t i = 0; i < kSteps; ++i) {
      const data::Batch batch = batches.next();
      add_batch(all, i, batch.x, batch.rows, batch.epoch);
    }
    add_batch(all, kSteps, data.train.x, {}, kEvaluated);
    auto metadata = density->description();
    nlohmann::json training;
    for (const Field& field : config.fields()) {
      std::visit([&](const auto* member) { training[field.key] = *member; }, field.value);
    }
    metadata["training"] = training.dump();
    nn::save_safetensors(path, all, metadata);
  }

  /// The losses, by the training loop that everybody uses.
  std::vector<double> losses() {
    FitOptions options = fit_options(config);
    options.initialize = false;
    Trainer trainer(*density, data, options);
    std::vector<double> all;
    const auto add = [&](double nats) { all.push_back(density->nats(0) - nats); };
    trainer.run({.on_step =
                     [&](const StepReport& report) {
                       add(report.nats);
                       return true;
                     },
                 .on_epoch = {}});
    trainer.with_evaluated_weights([&] {
      const NoGrad no_grad;
      const Placed placed(density->generators(), {}, kEvaluated);
      add(density->nats(mean(density->log_prob(data.train.x)).value().item()));
    });
    return all;
  }

  /// Samples, and the noise that a layer draws for them in that round.
  void add_batch(nn::StateDict& all, std::int64_t i, const Tensor& x, const Tensor& rows,
                 std::int64_t round) {
    all.emplace_back(str("x.", i), x);
    const bool latents = config.model == "vae";
    if ((!data.discrete && !latents) || density->generators().empty()) return;
    Generator noise = *density->generators().at(0);
    noise.place(rows, static_cast<std::uint64_t>(round));
    if (latents) {
      const std::int64_t draws = i < kSteps ? number("importance") : 1;
      all.emplace_back(str("noise.", i), normal(noise, {x.dim(0), draws * number("latents")}));
      return;
    }
    const bool by_flow = config.text("dequantize", "uniform") == "variational";
    all.emplace_back(str("noise.", i),
                     by_flow ? logistic(noise, x.shape()) : uniform(noise, x.shape()));
  }

  std::int64_t number(const std::string& key) {
    return *std::get<std::int64_t*>(config.field(key).value);
  }
  std::uint64_t seed() const { return static_cast<std::uint64_t>(config.training.seed); }

  DataShape shape;
  Config config = preset("nice");
  std::shared_ptr<Density> density;
  data::Dataset data;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(flows_golden)

BOOST_AUTO_TEST_CASE(losses_are_those_of_pytorch) {
  for (const Golden& golden : all_golden()) {
    BOOST_TEST_CONTEXT(golden.name) {
      const std::vector<double> losses = Run(golden).losses();
      BOOST_CHECK_EQUAL(losses.size(), golden.losses.size());
      for (std::size_t i = 0; i < std::min(losses.size(), golden.losses.size()); ++i) {
        BOOST_CHECK_MESSAGE(
            std::abs(losses[i] - golden.losses[i]) <= 1e-5 * std::abs(golden.losses[i]),
            "loss " << i << ": " << losses[i] << " instead of " << golden.losses[i]);
      }
    }
  }
}

// Where PyTorch cannot repeat a model, its name stands here and its losses in a test of its own.
BOOST_AUTO_TEST_CASE(every_model_has_a_golden_run) {
  const std::set<std::string> with_other_tests = {"planar", "tabular"};
  std::set<std::string> golden = with_other_tests;
  for (const Golden& run : all_golden()) golden.insert(run.model);
  for (const std::string& name : preset_names()) {
    BOOST_TEST(golden.contains(name), name << " has no row in tests/flows_golden.cpp");
  }
}

// Not a test: writes what bench/golden.py reads.
BOOST_AUTO_TEST_CASE(write_inputs) {
  const char* folder = std::getenv("NF_GOLDEN");
  if (!folder) return;
  for (const Golden& golden : all_golden()) {
    Run(golden).write(str(folder, "/", golden.name, ".safetensors"));
  }
}

BOOST_AUTO_TEST_SUITE_END()
