#include "flows/layers/ladder.h"

#include <functional>
#include <numeric>

#include "flows/layers/rows.h"
#include "flows/maps/map.h"

namespace nf::flows {

namespace {

constexpr double kScaleBound = 5;  // of ln of a deviation: p(z) stays within what f32 can tell

std::int64_t sum_of(const std::vector<std::int64_t>& dims) {
  return std::accumulate(dims.begin(), dims.end(), std::int64_t{0});
}

// x (N, L) in its layers, from the top one on.
std::vector<Var> cut_layers(const Var& x, const std::vector<std::int64_t>& dims) {
  std::vector<Var> parts;
  std::int64_t at = 0;
  for (const std::int64_t size : dims) {
    parts.push_back(narrow(x, 1, at, size));
    at += size;
  }
  return parts;
}

void check_ladder(const char* layer, const Ladder& ladder) {
  NF_CHECK(!ladder.dims.empty() && ladder.nets.size() + 1 == ladder.dims.size(), "[", layer, "] ",
           ladder.dims.size(), " layers of latents need one network less, got ",
           ladder.nets.size());
  for (std::size_t k = 0; k < ladder.nets.size(); ++k) {
    const Shape out = ladder.nets[k]->out_shape({1, ladder.dims[k]});
    NF_CHECK(out == Shape({1, 2 * ladder.dims[k + 1]}), "[", layer, "] network ", k, " gives ", out,
             ", ", ladder.dims[k + 1], " latents need (1, ", 2 * ladder.dims[k + 1], ")");
  }
}

struct LayerGaussian {
  Var mean, log_scale;
};

// Of layer k given the one above.
LayerGaussian gaussian_of(const Ladder& ladder, std::size_t k, const Var& above) {
  const std::int64_t size = ladder.dims[k];
  const Var both = (*ladder.nets[k - 1])(above);
  return {narrow(both, 1, 0, size), soft_bound(narrow(both, 1, size, size), kScaleBound)};
}

// A layer's map x -> to + (x - from) exp(log_scale).
struct Rung {
  Var from, to, log_scale;
};

Rung turned(const Rung& rung) { return {rung.to, rung.from, -rung.log_scale}; }

// Down the ladder: layer k > 0 goes through rung(k, z_{k - 1}), the top one stays as it is. Latents
// z are the values that come out, or those that go in.
Mapped descend(const Ladder& ladder, const Var& x, bool latents_come_out,
               const std::function<Rung(std::size_t, const Var&)>& rung) {
  check_dims("Ladder", x, ladder.latents());
  const std::vector<Var> in = cut_layers(x, ladder.dims);
  std::vector<Var> out = {in[0]};
  Var log_det = zero_log_det(x);
  for (std::size_t k = 1; k < in.size(); ++k) {
    const auto [from, to, log_scale] = rung(k, latents_come_out ? out[k - 1] : in[k - 1]);
    const Var moved = in[k] - from;
    out.push_back(to + moved * exp(log_scale));
    log_det = log_det + sum_event(log_scale);
  }
  return {concat(out, 1), log_det};
}

Rung prior_rung(const Ladder& ladder, std::size_t k, const Var& above) {
  const auto [mean, log_scale] = gaussian_of(ladder, k, above);
  return {mean, mean.value().zeros_like(), -log_scale};
}

using Seen = std::pair<std::vector<Var>, std::vector<Var>>;  // a and b of all layers

Seen seen_of(const Ladder& ladder, const Var& context) {
  const std::int64_t latents = ladder.latents();
  NF_CHECK(context.defined() && context.rank() == 2 && context.dim(1) == 2 * latents,
           "[LadderPosterior] needs a context of ", 2 * latents, " numbers, got ",
           context.defined() ? str(context.shape()) : "none");
  return {cut_layers(narrow(context, 1, 0, latents), ladder.dims),
          cut_layers(narrow(context, 1, latents, latents), ladder.dims)};
}

Rung posterior_rung(const Ladder& ladder, const Seen& seen, std::size_t k, const Var& above) {
  const auto [mean, log_scale] = gaussian_of(ladder, k, above);
  const Var &a = seen.first[k], &b = seen.second[k];
  const Var weight = sigmoid(2 * (log_scale - b));
  return {a, mean + weight * (a - mean), softplus(2 * (b - log_scale)) * -0.5};
}

// Rows that the networks have, as they stand in the table.
void inspect_nets(const Ladder& ladder, std::int64_t rows_of_batch, const std::string& name,
                  std::vector<nn::LayerInfo>& rows) {
  for (std::size_t k = 0; k < ladder.nets.size(); ++k) {
    ladder.nets[k]->inspect({rows_of_batch, ladder.dims[k]}, nn::join_names(name, str("nets.", k)),
                            rows);
  }
}

std::string ladder_kind(const char* name, const Ladder& ladder) {
  std::string sizes;
  for (const std::int64_t size : ladder.dims) sizes += str(sizes.empty() ? "" : ", ", size);
  return str(name, "(", sizes, ")");
}

// So many operations for each latent below the top layer.
double below_top(const Ladder& ladder, const Shape& in, double each) {
  return each * static_cast<double>(in.dim(0) * (ladder.latents() - ladder.dims[0]));
}

}  // namespace

std::int64_t Ladder::latents() const { return sum_of(dims); }

std::vector<std::int64_t> ladder_dims(std::int64_t latents, std::int64_t layers) {
  NF_CHECK(layers >= 1 && layers < 30 && latents >= (std::int64_t{1} << layers) - 1, "[ladder] ",
           layers, " layers of latents need ",
           (std::int64_t{1} << std::min<std::int64_t>(layers, 30)) - 1, " latents or more, got ",
           latents);
  const std::int64_t shares = (std::int64_t{1} << layers) - 1;
  std::vector<std::int64_t> dims;
  for (std::int64_t k = 0; k < layers; ++k) dims.push_back((latents << k) / shares);
  dims.back() += latents - sum_of(dims);
  return dims;
}

// --- LadderPrior --------------------------------------------------------------------------------

LadderPrior::LadderPrior(Ladder ladder) : ladder_(std::move(ladder)) {
  check_ladder("LadderPrior", ladder_);
  for (std::size_t k = 0; k < ladder_.nets.size(); ++k) {
    add_module(str("nets.", k), ladder_.nets[k]);
  }
}

Mapped LadderPrior::forward(const Var& z, const Var&) {
  return descend(ladder_, z, false,
                 [&](std::size_t k, const Var& above) { return prior_rung(ladder_, k, above); });
}

Mapped LadderPrior::inverse(const Var& u, const Var&) {
  return descend(ladder_, u, true, [&](std::size_t k, const Var& above) {
    return turned(prior_rung(ladder_, k, above));
  });
}

// The bound of s, minus, exp, times, plus, and the sum of s.
double LadderPrior::flops(const Shape& in) const {
  std::vector<nn::LayerInfo> rows;
  inspect_nets(ladder_, in.dim(0), "", rows);
  double of_nets = 0;
  for (const nn::LayerInfo& row : rows) of_nets += row.flops;
  return of_nets + below_top(ladder_, in, 8);
}

Shape LadderPrior::inspect(const Shape& in, const std::string& name,
                           std::vector<nn::LayerInfo>& rows) const {
  rows.push_back({name, kind(), in, 0, flops(in)});
  return in;
}

std::string LadderPrior::kind() const { return ladder_kind("LadderPrior", ladder_); }

// --- LadderPosterior ----------------------------------------------------------------------------

LadderPosterior::LadderPosterior(Ladder ladder) : ladder_(std::move(ladder)) {
  check_ladder("LadderPosterior", ladder_);
  for (std::size_t k = 0; k < ladder_.nets.size(); ++k) {
    add_module(str("nets.", k), ladder_.nets[k]);
  }
}

Mapped LadderPosterior::forward(const Var& z0, const Var& context) {
  const Seen seen = seen_of(ladder_, context);
  return descend(ladder_, z0, true, [&](std::size_t k, const Var& above) {
    return posterior_rung(ladder_, seen, k, above);
  });
}

Mapped LadderPosterior::inverse(const Var& z, const Var& context) {
  const Seen seen = seen_of(ladder_, context);
  return descend(ladder_, z, false, [&](std::size_t k, const Var& above) {
    return turned(posterior_rung(ladder_, seen, k, above));
  });
}

// As in LadderPrior; of both Gaussians' product minus, times, sigmoid, minus, times, plus, and the
// same four of its deviation.
double LadderPosterior::flops(const Shape& in) const { return below_top(ladder_, in, 18); }

Shape LadderPosterior::inspect(const Shape& in, const std::string& name,
                               std::vector<nn::LayerInfo>& rows) const {
  inspect_nets(ladder_, in.dim(0), name, rows);
  rows.push_back({name, kind(), in, 0, flops(in)});
  return in;
}

std::string LadderPosterior::kind() const { return ladder_kind("LadderPosterior", ladder_); }

// --- LadderHeads --------------------------------------------------------------------------------

LadderHeads::LadderHeads(std::vector<std::int64_t> dims,
                         std::vector<std::shared_ptr<nn::Layer>> heads,
                         std::vector<std::shared_ptr<nn::Layer>> steps)
    : dims_(std::move(dims)), heads_(std::move(heads)), steps_(std::move(steps)) {
  NF_CHECK(!dims_.empty() && heads_.size() == dims_.size() && steps_.size() + 1 == dims_.size(),
           "[LadderHeads] ", dims_.size(),
           " layers of latents need as many heads and one step less, got ", heads_.size(), " and ",
           steps_.size());
  for (std::size_t k = 0; k < heads_.size(); ++k) add_module(str("heads.", k), heads_[k]);
  for (std::size_t k = 0; k < steps_.size(); ++k) add_module(str("steps.", k), steps_[k]);
}

Var LadderHeads::forward(const Var& h) {
  std::vector<Var> means(dims_.size()), log_scales(dims_.size());
  Var at = h;
  for (std::size_t k = dims_.size(); k-- > 0;) {
    const Var both = (*heads_[k])(at);
    means[k] = narrow(both, 1, 0, dims_[k]);
    log_scales[k] = narrow(both, 1, dims_[k], dims_[k]);
    if (k > 0) at = (*steps_[k - 1])(at);
  }
  means.insert(means.end(), log_scales.begin(), log_scales.end());
  return concat(means, 1);
}

Shape LadderHeads::out_shape(const Shape& in) const { return {in.dim(0), 2 * sum_of(dims_)}; }

Shape LadderHeads::inspect(const Shape& in, const std::string& name,
                           std::vector<nn::LayerInfo>& rows) const {
  Shape at = in;
  for (std::size_t k = dims_.size(); k-- > 0;) {
    heads_[k]->inspect(at, nn::join_names(name, str("heads.", k)), rows);
    if (k > 0) at = steps_[k - 1]->inspect(at, nn::join_names(name, str("steps.", k - 1)), rows);
  }
  return out_shape(in);
}

}  // namespace nf::flows
