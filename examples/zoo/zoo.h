// What the programs of this folder share: digits, a budget, steps of training, pictures, numbers.
//
// Every program is called as PROGRAM [DATA [MINUTES [PICTURE [WORDS..]]]]. Without MINUTES it is a
// small run of some seconds that checks a claim.
#pragma once

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <string>
#include <vector>

#include "autograd/functions.h"
#include "autograd/tape.h"
#include "data/levels.h"
#include "data/npy.h"
#include "data/png.h"
#include "data/source.h"
#include "flows/examine/two_sample.h"
#include "flows/layers/level_outputs.h"
#include "nn/optim/optim.h"
#include "tensor/random.h"
#include "tensor/text.h"

namespace zoo {

using namespace nf;

struct Job {
  std::string data = "glyphs";     ///< what data::load() takes
  double minutes = 0;              ///< of training, all processors together; 0: a small run
  std::string picture;             ///< a path without its ending
  std::vector<std::string> words;  ///< the program's own
  bool full() const { return minutes > 0; }
  /// Word i, one of these; the first where there is none. Throws Error for another.
  std::string word(std::size_t i, const std::vector<std::string>& choices) const {
    if (i >= words.size()) return choices.front();
    NF_CHECK(std::find(choices.begin(), choices.end(), words[i]) != choices.end(), "[zoo] '",
             printable(words[i]), "' is none of: ", join(choices, ", "));
    return words[i];
  }
  /// Word i, a whole number from 1 on; `otherwise` where there is none. Throws Error for another.
  int number(std::size_t i, int otherwise) const {
    if (i >= words.size()) return otherwise;
    char* end = nullptr;
    const long value = std::strtol(words[i].c_str(), &end, 10);
    NF_CHECK(!words[i].empty() && *end == 0 && value >= 1 && value <= 1'000'000, "[zoo] '",
             printable(words[i]), "' is no whole number from 1 to 1000000");
    return static_cast<int>(value);
  }
};

/// How many words a program takes.
struct Words {
  std::size_t full = 0, small = 0;  ///< in a full run, in a small one
};

/// Throws Error for what would be wrong only after the training: minutes that are no number, words
/// too many, a picture in a folder that is not there.
inline Job job_of(int argc, char** argv, const std::string& picture, const Words& words) {
  Job job{.picture = picture, .words = {}};
  NF_CHECK(argc < 2 || argv[1][0] != '-', "usage: ", argv[0],
           " [DATA [MINUTES [PICTURE [WORDS..]]]]; the head of its file in examples/zoo says more");
  if (argc > 1) job.data = argv[1];
  if (argc > 2) {
    char* end = nullptr;
    job.minutes = std::strtod(argv[2], &end);
    NF_CHECK(end != argv[2] && *end == 0 && job.minutes >= 0 && job.minutes < 1e6, "[zoo] '",
             printable(argv[2]), "' is no number of minutes");
  }
  if (argc > 3) job.picture = argv[3];
  for (int i = 4; i < argc; ++i) job.words.emplace_back(argv[i]);
  const std::size_t most = job.full() ? words.full : words.small;
  NF_CHECK(job.words.size() <= most, "[zoo] '", printable(job.words[most]),
           "' is a word too many: ", job.full() ? "a full" : "a small", " run takes ", most);
  const std::string parent = std::filesystem::path(job.picture).parent_path().string(),
                    folder = parent.empty() ? "." : parent;
  NF_CHECK(::access(folder.c_str(), W_OK) == 0, "[zoo] cannot write into '", printable(folder),
           "': ", std::strerror(errno));
  return job;
}

/// main() of a program: its exit status, 0 when what it claims holds.
template <class Program>
int run(int argc, char** argv, const std::string& picture, const Program& program,
        const Words& words = {}) {
  try {
    return program(job_of(argc, argv, picture, words));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}

/// Steps until a small run has done its number of them, or a full one has used its share of the
/// minutes: for (Progress p(job, 500); p.next();) ..
class Progress {
 public:
  Progress(const Job& job, std::int64_t steps, double share = 1)
      : seconds_(60 * job.minutes * share), steps_(steps), start_(std::clock()) {}
  bool next() {
    ++step_;
    const double used = static_cast<double>(std::clock() - start_) / CLOCKS_PER_SEC;
    left_ = seconds_ > 0 ? 1 - used / seconds_
                         : 1 - static_cast<double>(step_) / static_cast<double>(steps_);
    return left_ > 0;
  }
  std::int64_t step() const { return step_; }  ///< 0, 1, ..
  double left() const { return left_; }        ///< from 1 to 0: a factor of learning rates

 private:
  double seconds_;
  std::int64_t steps_, step_ = -1;
  std::clock_t start_;
  double left_ = 1;
};

/// Images of 28x28: f32 (N, 784) greys in [0, 1], or bits drawn with these probabilities; labels
/// i32 (N).
struct Digits {
  Tensor train, valid, test, labels, valid_labels, test_labels;
};

inline Digits load_digits(const Job& job, bool bits) {
  data::LoadOptions options;
  options.binarize = bits ? "static" : "none";
  if (!job.full()) options.train = 4000, options.valid = options.test = 500;
  const data::Dataset all = data::load(job.data, options);
  NF_CHECK(all.dims == 784 && all.discrete, "[zoo] needs digits of 28x28 pixels, ", job.data,
           " has samples of ", all.dims, " numbers");
  const std::int64_t least = std::min({all.train.size(), all.valid.size(), all.test.size()});
  NF_CHECK(least >= 500, "[zoo] needs 500 digits to train on, for validation and for the test; ",
           job.data, " has only ", least, " for one of them");
  const auto numbers = [&](const Tensor& x) { return x.to(DType::F32) / (all.levels - 1.0); };
  return {numbers(all.train.x), numbers(all.valid.x), numbers(all.test.x),
          all.train.labels,     all.valid.labels,     all.test.labels};
}

/// Throws Error unless the digits have labels from 0 to 9.
inline void check_labels(const Digits& digits) {
  for (const Tensor& labels : {digits.labels, digits.valid_labels, digits.test_labels}) {
    NF_CHECK(labels.defined(), "[zoo] needs digits with labels");
    for (const std::int32_t label : labels.to_vector<std::int32_t>()) {
      NF_CHECK(label >= 0 && label < 10, "[zoo] needs labels from 0 to 9, got ", label);
    }
  }
}

/// Parameters without a layer.
struct Weights : nn::Module {
  std::string kind() const override { return "Weights"; }
  /// The Var shares its value and its gradient with the module's.
  Var add(const std::string& name, Tensor init) { return add_parameter(name, std::move(init)); }
};

/// So many rows, i32, drawn with replacement.
inline Tensor random_rows(Generator& gen, std::int64_t size, std::int64_t count) {
  return clamped_indices(uniform(gen, {count}) * static_cast<double>(size), size);
}
inline Tensor random_batch(Generator& gen, const Tensor& x, std::int64_t count) {
  return index_select(x, 0, random_rows(gen, x.dim(0), count));
}

/// Bits: 1 with probability p each, as f32.
inline Tensor draw_bits(Generator& gen, const Tensor& p) {
  return less(uniform(gen, p.shape()), p).to(p.dtype());
}

/// Logits (D) of the mean of x (N, D), kept away from 0 and 1.
inline Tensor mean_logits(const Tensor& x) {
  const Tensor p = mean(x, {0}) * 0.98 + 0.01;
  return log(p) - log1p(-p);
}

/// ln of Bernoulli(sigmoid(logits)) at bits, summed over units: (N). Both (N, D), or broadcast;
/// Tensors or Vars.
template <class V>
V ln_bernoulli(const V& bits, const V& logits) {
  return sum(bits * logits - softplus(logits), {1});
}

/// All 2^n rows of n bits, f32.
inline Tensor all_bits(std::int64_t n) {
  std::vector<float> bits;
  for (std::int64_t row = 0; row < std::int64_t{1} << n; ++row) {
    for (std::int64_t i = 0; i < n; ++i) bits.push_back(static_cast<float>(row >> i & 1));
  }
  return Tensor::from(bits, {std::int64_t{1} << n, n});
}

/// One step down loss(), a scalar Var. Gradients that others left in the module are forgotten.
template <class Loss>
double descend(nn::Module& module, nn::Optimizer& optimizer, const Loss& loss) {
  module.clear_grads();
  Tape tape;
  const Var value = loss();
  tape.backward(value);
  optimizer.step();
  return value.value().item();
}

/// A mean and its standard error, in nats.
struct Estimate {
  double mean = 0, se = 0;
};
inline Estimate mean_of(const Tensor& numbers) {
  const Tensor x = numbers.to(DType::F64);
  return {mean(x).item(), std::sqrt(variance(x).item() / static_cast<double>(x.numel()))};
}

/// Nats of the test bits when pixels are independent: what a model of bits has to beat.
inline double independent_nats(const Digits& digits) {
  return mean_of(ln_bernoulli(digits.test, flows::log_odds(digits.train).to(DType::F32))).mean;
}

/// Rows (N, 784) in [0, 1] as a grid of images, PICTURE.png.
inline void write_grid(const Job& job, const Tensor& rows, std::int64_t columns) {
  const Tensor grey = data::pixels_of_levels(clamp(rows, 0, 1), 2);
  data::write_png(job.picture + ".png", grey.reshape({-1, 28, 28}),
                  {.columns = columns, .zoom = 2});
  std::printf("wrote %s.png\n", job.picture.c_str());
}

/// ln of the mean over samples (M, D) of N(x; sample, sigma^2) for each x (N, D): a Parzen window.
inline Tensor parzen_window(const Tensor& x, const Tensor& samples, double sigma) {
  const double m = static_cast<double>(samples.dim(0)), d = static_cast<double>(x.dim(1));
  std::vector<Tensor> parts;
  for (std::int64_t at = 0; at < x.dim(0); at += 500) {
    const Tensor part = x.narrow(0, at, std::min<std::int64_t>(500, x.dim(0) - at));
    const Tensor squares =
        sum_squares(part, {1}, true) + sum_squares(samples, {1}) - matmul(part, samples.t()) * 2.0;
    parts.push_back(logsumexp(squares * (-0.5 / (sigma * sigma)), {1}));
  }
  return concat(parts, 0) - (std::log(m) + d * std::log(sigma * std::sqrt(2 * M_PI)));
}

/// The number that papers on GANs, GSNs and GMMNs report: the window's width is the best of ten on
/// validation, the mean is that of the test set (Breuleux, Bengio, Vincent 2011). It is the
/// likelihood of the window, not of the model: in 784 dimensions no number of samples makes the
/// window the model's density, and centres of clusters score higher than images of the data do
/// (Theis, van den Oord, Bethge, "A note on the evaluation of generative models" (2016)).
struct Window {
  Estimate nats;
  double sigma = 0;
};
inline Window parzen(const Tensor& samples, const Tensor& valid, const Tensor& test) {
  const Tensor some = valid.narrow(0, 0, std::min<std::int64_t>(1000, valid.dim(0)));
  double best = -INFINITY, sigma = 0;
  for (int i = 0; i < 10; ++i) {
    const double tried = std::pow(10.0, -1 + i / 9.0);
    const double nats = mean_of(parzen_window(some, samples, tried)).mean;
    if (nats > best) best = nats, sigma = tried;
  }
  return {mean_of(parzen_window(test, samples, sigma)), sigma};
}

/// Energy distance of two sets of images, of the first 500 rows of each; its p-value is for rows
/// that are independent.
inline flows::TwoSample distance(const Tensor& x, const Tensor& y) {
  const auto some = [](const Tensor& t) {
    return t.narrow(0, 0, std::min<std::int64_t>(500, t.dim(0)));
  };
  return flows::two_sample_test(some(x), some(y), Tensor::ones({x.dim(1)}, DType::F64));
}

/// The share of rows (M, 784) that are nearest to the mean training image of their number, i32 (M).
inline double nearest_mean(const Tensor& rows, const Tensor& numbers, const Digits& digits) {
  const Tensor of = index_select(Tensor::eye(10), 0, digits.labels);  // (N, 10), one-hot
  const Tensor means = matmul(of.t(), digits.train) / (sum(of, {0}).reshape({10, 1}) + 1e-12);
  const Tensor scores = matmul(rows, means.t()) - sum_squares(means, {1}) * 0.5;
  const std::vector<std::int32_t> found = argmax(scores, 1).to_vector<std::int32_t>(),
                                  asked = numbers.to_vector<std::int32_t>();
  double right = 0;
  for (std::size_t i = 0; i < found.size(); ++i) right += found[i] == asked[i];
  return right / static_cast<double>(found.size());
}

/// Prints what is known of samples (M, 784) without a density; a full run also writes them to
/// PICTURE.npy, for `flowcli score` with a flow. Returns the energy distance to the test set over
/// that of the mean image: 1 has learned no more than a mean. The least to hope for is what
/// training images have, which is above 0, since there are only so many of both.
inline double judge(const Job& job, const Tensor& samples, const Digits& digits) {
  const std::int64_t m = std::min(samples.dim(0), digits.train.dim(0));
  const Window window = parzen(samples, digits.valid, digits.test);
  const Window own = parzen(digits.train.narrow(0, 0, m), digits.valid, digits.test);
  std::printf(
      "Parzen window %.1f +- %.1f nats, width %.3f; of as many training images %.1f, %.3f\n",
      window.nats.mean, window.nats.se, window.sigma, own.nats.mean, own.sigma);
  const auto energy = distance(samples, digits.test);
  const double of_train = distance(digits.train, digits.test).energy_distance;
  const Tensor mean_image = mean(digits.train, {0}, true).broadcast_to({500, 784});
  const double of_mean = distance(mean_image, digits.test).energy_distance;
  std::printf(
      "energy distance to test %.3f (p %.3f); of training images %.3f, of their mean %.3f\n",
      energy.energy_distance, energy.p_value, of_train, of_mean);
  if (job.full()) {
    data::write_npy(job.picture + ".npy",
                    data::pixels_of_levels(clamp(samples, 0, 1), 2).reshape({-1, 28, 28}));
  }
  return energy.energy_distance / of_mean;
}

}  // namespace zoo
