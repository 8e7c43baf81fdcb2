#include "flows/train/objective.h"

#include <algorithm>
#include <limits>

#include "data/levels.h"
#include "nn/layers/norm.h"

namespace nf::flows {

namespace {

// A batch is its samples on the CPU, where a thread gathers them ahead of time, and elsewhere its
// rows in the split: the device takes them as the first thing of a step.
Tensor samples_of(const data::Batch& batch, const data::Split& all) {
  return batch.x.defined() ? batch.x : index_select(all.x, 0, batch.rows);
}

Tensor given_with(const data::Batch& batch, const data::Split& all) {
  return batch.given.defined() ? batch.given : given_rows(all.given, batch.rows);
}

}  // namespace

// --- MaximumLikelihood --------------------------------------------------------------------------

MaximumLikelihood::MaximumLikelihood(Density& density, const data::Dataset& data,
                                     const ImageMoves& moves, std::uint64_t seed)
    : density_(density),
      data_(data),
      valid_(data.valid),
      moves_(moves),
      moving_(seed, /*stream=*/0x6D6F7665),  // "move"
      intensities_(data.intensities),
      drawing_(seed, /*stream=*/0x64726177) {  // "draw"
  NF_CHECK(data.dims == density.dims(), "[fit] the model is for ", density.dims(),
           " dimensions, the data has ", data.dims);
  const std::int64_t wanted = density.condition() ? density.condition()->given_dims() : 0;
  const std::int64_t there = data.train.given.defined() ? data.train.given.dim(1) : 0;
  NF_CHECK(wanted == 0 || wanted == there, "[fit] the model wants ", wanted,
           " numbers given with each sample, the data have ", there);
  NF_CHECK(!moves.any() || data.images(),
           "[fit] only images are flipped and shifted; these data are rows of ", data.dims,
           " numbers");
  NF_CHECK(!intensities_.defined() || intensities_.shape() == data.train.x.shape(),
           "[fit] bits are drawn of rows ", intensities_.shape(), ", the training rows are ",
           data.train.x.shape());
  for (Tensor* part : {&valid_.x, &valid_.given, &intensities_}) {
    if (part->defined()) *part = part->to(density.device());
  }
}

Var MaximumLikelihood::losses(const data::Batch& batch, const data::Split& all) {
  if (batch.x.defined() || changes()) {
    return -density_.training_log_prob(trained_on(batch, all), given_with(batch, all));
  }
  return -density_.training_log_prob_rows(all.x, batch.rows, all.given);
}

std::vector<Generator*> MaximumLikelihood::generators() {
  std::vector<Generator*> drawn = density_.generators();
  if (moves_.any()) drawn.push_back(&moving_);
  if (intensities_.defined()) drawn.push_back(&drawing_);
  return drawn;
}

// Where the samples of a batch are not gathered, moving them takes them from their rows on its way.
Tensor MaximumLikelihood::trained_on(const data::Batch& batch, const data::Split& all) {
  const bool drawn = intensities_.defined(), gathered = batch.x.defined() && !drawn;
  const auto moved = [&](const Tensor& x) {
    const Tensor images = x.reshape({x.dim(0), data_.height, data_.width, data_.channels});
    return move_images(moving_, images, gathered ? Tensor() : batch.rows, moves_)
        .reshape({batch.rows.dim(0), data_.dims});
  };
  if (!drawn) return moves_.any() ? moved(gathered ? batch.x : all.x) : samples_of(batch, all);
  const Tensor grey =
      moves_.any() ? moved(intensities_) : index_select(intensities_, 0, batch.rows);
  return data::draw_bits(drawing_, grey);
}

// In an order drawn at random, for layers that take the first ones: files may be sorted.
Samples MaximumLikelihood::some_samples(std::int64_t rows, std::uint64_t round) {
  constexpr std::uint64_t kRowsStream = 0x726F7773;  // "rows"
  const data::Split& train = data_.train;
  Generator gen(0, kRowsStream);
  const Tensor order = permutation(gen, train.size());
  const Device device = density_.device();
  const auto rows_of = [order, device](const Tensor& all) {
    return [=](std::int64_t first, std::int64_t count) {
      return index_select(all, 0, order.narrow(0, first, count)).to(device);
    };
  };
  const auto place = [=, noise = density_.generators()](std::int64_t first, std::int64_t count) {
    const Tensor of = order.narrow(0, first, count).to(device);
    for (Generator* gen_of_layer : noise) gen_of_layer->place(of, round);
  };
  return {rows, rows_of(train.x), place,
          train.given.defined() ? Samples::Part(rows_of(train.given)) : Samples::Part()};
}

void MaximumLikelihood::initialize() {
  constexpr std::uint64_t kBeforeEpochs = ~std::uint64_t{0};  // the round of its noise
  const std::int64_t rows = std::min(density_.initial_rows(), data_.train.size());
  if (rows == 0) return;
  const KeepGenerators keep(density_.generators());
  density_.initialize(some_samples(rows, kBeforeEpochs));
}

void MaximumLikelihood::measure_statistics() {
  constexpr std::int64_t kRows = 10'000, kBatch = 250;
  constexpr std::uint64_t kRound = ~std::uint64_t{2};  // of no epoch
  if (!nn::has_statistics(density_)) return;
  const std::int64_t rows = std::min(kRows, data_.train.size());
  const std::int64_t batch = rows / ((rows + kBatch - 1) / kBatch);  // few rows are left over
  const KeepGenerators keep(density_.generators());
  const Samples samples = some_samples(rows, kRound);
  const NoGrad no_grad;
  nn::StatisticsPass pass;
  for (std::int64_t at = 0; at + batch <= rows; at += batch) {  // all of one size
    pass.next_batch();
    density_.log_prob(samples.part(at, batch), samples.context(at, batch));
  }
}

std::optional<Evaluation> MaximumLikelihood::evaluate(const comm::Shards& shards) {
  if (valid_.size() == 0) return std::nullopt;
  const int draws = density_.bound_draws();
  return flows::evaluate(density_, valid_.x,
                         {.noise_draws = draws,
                          .importance = draws > 1,
                          .samples = valid_.numbers,
                          .given = valid_.given},
                         shards);
}

std::optional<std::string> MaximumLikelihood::find_nonfinite(const data::Batch& batch,
                                                             const data::Split& all) {
  return density_.find_nonfinite(trained_on(batch, all), given_with(batch, all));
}

std::optional<std::string> MaximumLikelihood::find_nonfinite_held_out() {
  const std::int64_t some = std::min<std::int64_t>(valid_.size(), 1000);
  return density_.find_nonfinite(valid_.x.narrow(0, 0, some), given_rows(valid_.given, 0, some));
}

// --- ReverseKl ----------------------------------------------------------------------------------

ReverseKl::ReverseKl(Density& density, LogTarget log_target, const ReverseKlOptions& options)
    : density_(density),
      log_target_(std::move(log_target)),
      options_(options),
      samples_{.x = Tensor::zeros({options.samples_per_epoch, 0})},
      latents_(options.seed, /*stream=*/0x6C617465) {  // "late"
  NF_CHECK(options.samples_per_epoch > 0 && options.evaluated > 0,
           "[reverse KL] needs samples, got ", options.samples_per_epoch, " in an epoch and ",
           options.evaluated, " to evaluate");
}

namespace {

// ln q(x), with a gradient in x and none in the parameters.
Var log_prob_of_path(Density& density, const Var& x) {
  std::vector<std::pair<Var*, Var>> kept;
  density.for_each_parameter([&](const std::string&, Var& p) {
    kept.emplace_back(&p, p);
    p = p.detach();
  });
  const auto put_back = [&] {
    for (auto& [parameter, value] : kept) *parameter = value;
  };
  try {
    const Var log_prob = density.log_prob(x);
    put_back();
    return log_prob;
  } catch (...) {
    put_back();
    throw;
  }
}

}  // namespace

Var ReverseKl::losses(const data::Batch& batch, const data::Split&) {
  const auto [x, drawn] = density_.draw(latents_, batch.rows.dim(0));
  const bool path = options_.path_gradient && density_.training();
  const Var log_prob = path ? log_prob_of_path(density_, x) : drawn;
  const double share =
      static_cast<double>(batch.epoch + 1) / static_cast<double>(options_.annealed + 1);
  return log_prob - (share < 1 ? log_target_(x) * share : log_target_(x));
}

std::vector<Generator*> ReverseKl::generators() {
  std::vector<Generator*> all = density_.generators();
  all.push_back(&latents_);
  return all;
}

std::optional<Evaluation> ReverseKl::evaluate(const comm::Shards&) {
  constexpr std::int64_t kPart = 1000;
  constexpr std::uint64_t kRound = ~std::uint64_t{1};  // of no epoch
  const Examination examination(density_, options_.seed);
  const Tensor numbers = Tensor::arange(options_.evaluated, DType::I32).to(density_.device());
  const std::vector<Generator*> drawing = generators();
  std::vector<double> gains;  // ln p - ln q
  for (std::int64_t at = 0; at < options_.evaluated; at += kPart) {
    const Tensor rows = numbers.narrow(0, at, std::min(kPart, options_.evaluated - at));
    const Placed placed(drawing, rows, kRound);
    const Tensor lost = losses({.rows = rows, .epoch = options_.annealed}, samples_).value();
    for (const double loss : lost.to(DType::F64).to_vector<double>()) gains.push_back(-loss);
  }
  Evaluation evaluation = evaluation_of(density_, gains);
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();  // there are no data to code
  evaluation.bits_per_dim = evaluation.bits_per_dim_se = kNone;
  return evaluation;
}

std::optional<std::string> ReverseKl::find_nonfinite(const data::Batch& batch, const data::Split&) {
  const NoGrad no_grad;
  const auto [x, log_prob] = density_.draw(latents_, batch.rows.dim(0));
  if (!all_finite(x.value())) return "the draws of the model";
  if (!all_finite(log_prob.value())) return density_.find_nonfinite(x.value());
  if (!all_finite(log_target_(x).value())) return "the log density of the target";
  return std::nullopt;
}

}  // namespace nf::flows
