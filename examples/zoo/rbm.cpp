// A restricted Boltzmann machine on bits of digits, by contrastive divergence and by persistent
// chains. Its likelihood needs ln Z: by annealed importance sampling, which 12 hidden units check,
// since all their states can be summed up.
//
//   example_zoo_rbm path/to/mnist 10 rbm            # 500 hidden units, PCD-1
//   example_zoo_rbm path/to/mnist 10 rbm-cd cd 25   # CD-25
//
// Published: 86.3 nats, 500 hidden units, CD-25 (Salakhutdinov, Murray 2008).
#include "rbm.h"

using namespace zoo;

namespace {

/// Trains, estimates and prints; a row of filters above rows of chains that began at noise.
struct Result {
  Estimate test, ln_z;
  double exact = NAN;
  Tensor pictures;
};

Result train(const Job& job, const Digits& digits, std::int64_t hidden, const RbmTraining& how) {
  Generator gen(/*seed=*/1);
  Weights weights;
  const Rbm rbm = Rbm::make(weights, "rbm", hidden, digits.train, gen);
  const Tensor base = rbm.b.value().clone();  // of the AIS: each pixel's mean
  train_rbm(rbm, weights, digits.train, Progress(job, 1000), gen, how);

  Result result;
  result.ln_z = ais(rbm, base, gen, 500, job.full() ? 10000 : 4000);
  result.test = log_likelihood(rbm, digits.test, result.ln_z.mean);
  std::printf("%s-%d: test %.2f +- %.2f nats, ln Z %.3f +- %.3f by AIS\n",
              how.persistent ? "PCD" : "CD", how.k, result.test.mean, result.test.se,
              result.ln_z.mean, result.ln_z.se);
  if (hidden <= 12) {
    result.exact = exact_ln_z(rbm);
    std::printf("       ln Z %.3f by summing up all hidden states\n", result.exact);
  }

  const Tensor filters = sigmoid(rbm.w.value().narrow(0, 0, 12));
  const Tensor noise = draw_bits(gen, Tensor::full({36, 784}, 0.5));
  const Tensor chains = rbm.gibbs(gen, noise, 1000);
  const Tensor fantasies = rbm.visible(draw_bits(gen, rbm.hidden(chains)));
  result.pictures = concat(std::vector<Tensor>{filters, fantasies}, 0);
  return result;
}

int program(const Job& job) {
  const Digits digits = load_digits(job, /*bits=*/true);
  if (job.full()) {
    const RbmTraining how{
        .persistent = job.word(0, {"pcd", "cd"}) == "pcd", .k = job.number(1, 1), .lr = 0.03};
    write_grid(job, train(job, digits, 500, how).pictures, 12);
    return 0;
  }
  const Result cd = train(job, digits, 12, {.persistent = false});
  const Result pcd = train(job, digits, 12, {.persistent = true});
  write_grid(job, pcd.pictures, 12);

  const double independent = independent_nats(digits);
  std::printf("independent pixels: test %.2f nats\n", independent);
  const auto agrees = [](const Result& r) {
    return std::abs(r.ln_z.mean - r.exact) < std::max(0.2, 4 * r.ln_z.se);
  };
  return agrees(cd) && agrees(pcd) && pcd.test.mean > independent + 20 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) { return run(argc, argv, "zoo_rbm", program, {.full = 2}); }
