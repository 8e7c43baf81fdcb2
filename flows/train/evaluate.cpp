#include "flows/train/evaluate.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace nf::flows {

namespace {

// The mean of numbers, or ln of the mean of their exponentials, of which each may be beyond f64.
class DrawMean {
 public:
  void add(double value, bool importance) {
    ++count_;
    if (!importance) {
      sum_ += value;
    } else if (value > most_) {
      sum_ = sum_ * std::exp(most_ - value) + 1;
      most_ = value;
    } else {
      sum_ += value == most_ ? 1 : std::exp(value - most_);  // NaN stays
    }
  }
  double result(bool importance) const {
    return importance ? most_ + std::log(sum_ / count_) : sum_ / count_;
  }

 private:
  double most_ = -std::numeric_limits<double>::infinity(), sum_ = 0, count_ = 0;
};

}  // namespace

std::vector<double> score(Density& density, const Tensor& x, const EvaluateOptions& options) {
  const Examination examination(density, options.seed);
  return score_examined(density, x, options, density.generators());
}

std::vector<double> score_examined(Density& density, const Tensor& x,
                                   const EvaluateOptions& options,
                                   std::span<Generator* const> noise) {
  NF_CHECK(x.dim(0) > 0, "[evaluate] no samples");
  NF_CHECK(options.batch_size > 0 && options.noise_draws > 0,
           "[evaluate] batch size and noise draws must be positive, got ", options.batch_size,
           " and ", options.noise_draws);
  const NoGrad no_grad;
  const std::int64_t n = x.dim(0);
  const bool ask = !options.samples.defined() && !noise.empty();
  const Tensor samples = ask ? Tensor::arange(n, DType::I32) : options.samples;
  NF_CHECK(!samples.defined() || samples.shape() == Shape({n}), "[evaluate] ", n,
           " rows, but the samples of ", samples.shape());
  NF_CHECK(!options.given.defined() || options.given.dim(0) == n, "[evaluate] ", n,
           " rows, but what is given with ", options.given.dim(0));
  std::vector<double> scores;
  scores.reserve(static_cast<std::size_t>(n));
  bool goes_on = true;
  for (std::int64_t at = 0; at < n && goes_on; at += options.batch_size) {
    const std::int64_t count = std::min(options.batch_size, n - at);
    const Tensor rows = x.narrow(0, at, count).to(density.device());
    const Tensor numbers =
        samples.defined() ? samples.narrow(0, at, count).to(density.device()) : Tensor();
    const Var given = options.given.defined()
                          ? Var(options.given.narrow(0, at, count).to(density.device()))
                          : Var();
    std::vector<DrawMean> means(static_cast<std::size_t>(count));
    for (int draw = 0; draw < options.noise_draws; ++draw) {
      const Placed placed(noise, numbers, static_cast<std::uint64_t>(draw));
      const auto values = density.log_prob(rows, given).value().to(DType::F64).to_vector<double>();
      for (std::size_t i = 0; i < values.size(); ++i) means[i].add(values[i], options.importance);
      const bool last = draw + 1 == options.noise_draws;
      const std::int64_t done = at * options.noise_draws + (draw + 1) * count;
      goes_on = !options.on_draw || options.on_draw(done, n * options.noise_draws);
      if (!goes_on && !last) return scores;
    }
    for (const DrawMean& mean : means) scores.push_back(mean.result(options.importance));
  }
  return scores;
}

double auroc(std::vector<double> inside, std::vector<double> outside) {
  NF_CHECK(!inside.empty() && !outside.empty(), "[auroc] needs scores on both sides, got ",
           inside.size(), " and ", outside.size());
  for (std::vector<double>* scores : {&inside, &outside}) {
    for (double& score : *scores) {
      if (std::isnan(score)) score = -std::numeric_limits<double>::infinity();
    }
  }
  std::sort(outside.begin(), outside.end());
  double pairs = 0;  // in which `inside` is the higher
  for (const double score : inside) {
    const auto [first, last] = std::equal_range(outside.begin(), outside.end(), score);
    pairs += static_cast<double>((first - outside.begin()) + (last - outside.begin())) / 2;
  }
  return pairs / (static_cast<double>(inside.size()) * static_cast<double>(outside.size()));
}

MeanAndError mean_and_error(const std::vector<double>& values) {
  const double count = static_cast<double>(values.size());
  double sum = 0, sum_squares = 0;
  for (const double value : values) sum += value;
  const double mean = sum / count;
  for (const double value : values) sum_squares += (value - mean) * (value - mean);
  // 0 / 0 is NaN.
  return {mean, std::sqrt(sum_squares / count / (count - 1))};
}

MeanAndError paired_difference(const std::vector<double>& a, const std::vector<double>& b) {
  NF_CHECK(a.size() == b.size(), "[difference] ", a.size(), " scores and ", b.size(),
           " are not of the same rows");
  std::vector<double> differences;
  for (std::size_t i = 0; i < a.size(); ++i) differences.push_back(a[i] - b[i]);
  return mean_and_error(differences);
}

Evaluation evaluate(Density& density, const Tensor& x, const EvaluateOptions& options) {
  return evaluation_of(density, score(density, x, options), options.noise_draws);
}

std::vector<double> score(Density& density, const Tensor& x, const EvaluateOptions& options,
                          const comm::Shards& shards) {
  if (shards.count() == 1) return score(density, x, options);
  const std::int64_t n = x.dim(0);
  comm::Group& group = shards.group();
  // Who is done asks on with those that are not: then all end where one wants to.
  bool stopped = false;
  const auto others_work = [&](bool goes_on, bool done) {
    double votes[2] = {goes_on ? 0.0 : 1.0, done ? 0.0 : 1.0};
    group.sum(std::span<double>(votes));
    stopped = votes[0] > 0;
    return !stopped && votes[1] > 0;
  };
  std::string own;  // bytes of scores
  for (std::int64_t shard = shards.own().begin; shard < shards.own().end && !stopped; ++shard) {
    const comm::Range part = shards.part(n, shard);
    if (part.count() == 0) continue;
    const auto cut = [&](const Tensor& all) {
      return all.defined() ? all.narrow(0, part.begin, part.count()) : Tensor();
    };
    EvaluateOptions of_part = options;
    of_part.samples =
        cut(options.samples.defined() ? options.samples : Tensor::arange(n, DType::I32));
    of_part.given = cut(options.given);
    if (options.on_draw) {
      of_part.on_draw = [&](std::int64_t done, std::int64_t total) {
        return others_work(options.on_draw(done, total), false);
      };
    }
    const std::vector<double> scores = score(density, cut(x), of_part);
    own.append(reinterpret_cast<const char*>(scores.data()), scores.size() * sizeof(double));
  }
  while (options.on_draw && !stopped && others_work(true, true)) {
  }
  std::vector<double> all(static_cast<std::size_t>(n));
  std::size_t at = 0;
  for (const std::string& bytes : group.gather(own)) {
    const std::size_t count = bytes.size() / sizeof(double);
    NF_CHECK(at + count <= all.size(), "[evaluate] processes have other rows than one another");
    std::memcpy(all.data() + at, bytes.data(), count * sizeof(double));
    at += count;
  }
  NF_CHECK(stopped || at == all.size(), "[evaluate] processes have other rows than one another");
  all.resize(at);
  return all;
}

Evaluation evaluate(Density& density, const Tensor& x, const EvaluateOptions& options,
                    const comm::Shards& shards) {
  return evaluation_of(density, score(density, x, options, shards), options.noise_draws);
}

Evaluation evaluation_of(const Density& density, const std::vector<double>& scores,
                         int noise_draws) {
  const auto [mean, error] = mean_and_error(scores);
  return {density.nats(mean), error,      density.bits_per_dim(mean), -density.bits_per_dim(error),
          std::ssize(scores), noise_draws};
}

}  // namespace nf::flows
