#include "flows/train/targets.h"

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <numbers>

#include "flows/train/target_library.h"
#include "flows/transform.h"
#include "tensor/text.h"

namespace nf::flows {

namespace {

constexpr double kPi = std::numbers::pi;
const double kLogRootTwoPi = 0.5 * std::log(2 * kPi);

Var column(const Var& x, std::int64_t i) { return reshape(narrow(x, 1, i, 1), {x.dim(0)}); }

// -((x / scale)^2) / 2
Var bell(const Var& x, double scale) { return square(x / scale) * -0.5; }

Var log_add_exp(const Var& a, const Var& b) {
  const std::int64_t n = a.dim(0);
  return logsumexp(concat({reshape(a, {n, 1}), reshape(b, {n, 1})}, 1), {1});
}

// ln N(x; mean, exp(log_deviation)^2)
Var log_normal(const Var& x, double deviation) {
  return bell(x, deviation) - (kLogRootTwoPi + std::log(deviation));
}

// --- U1 to U4 -----------------------------------------------------------------------------------

Var wave(const Var& z1) { return sin(z1 * (2 * kPi / 4)); }  // w1

// What ends U2 to U4 along z1.
Var wall(const Var& z1) { return square(relu(abs(z1) - 4.0)) * -12.5; }

Var log_u1(const Var& z) {
  const Var z1 = column(z, 0);
  const Var radius = sqrt(sum_squares(z, {1}) + 1e-300);
  return bell(radius - 2.0, 0.4) + log_add_exp(bell(z1 - 2.0, 0.6), bell(z1 + 2.0, 0.6));
}

Var log_u2(const Var& z) {
  const Var z1 = column(z, 0);
  return bell(column(z, 1) - wave(z1), 0.4) + wall(z1);
}

Var log_u3(const Var& z) {
  const Var z1 = column(z, 0), off = column(z, 1) - wave(z1);
  const Var w2 = exp(bell(z1 - 1.0, 0.6)) * 3.0;
  return log_add_exp(bell(off, 0.35), bell(off + w2, 0.35)) + wall(z1);
}

Var log_u4(const Var& z) {
  const Var z1 = column(z, 0), off = column(z, 1) - wave(z1);
  const Var w3 = sigmoid((z1 - 1.0) / 0.3) * 3.0;
  return log_add_exp(bell(off, 0.4), bell(off + w3, 0.35)) + wall(z1);
}

// --- others -------------------------------------------------------------------------------------

Var log_funnel(const Var& x) {
  const std::int64_t rest = x.dim(1) - 1;
  const Var v = column(x, 0), others = sum_squares(narrow(x, 1, 1, rest), {1});
  const Var spread = others * exp(-v) * -0.5 - v * (0.5 * static_cast<double>(rest));
  return log_normal(v, 3) + spread - kLogRootTwoPi * static_cast<double>(rest);
}

Var log_banana(const Var& x) {
  const Var x1 = column(x, 0);
  return log_normal(x1, 2) + log_normal(column(x, 1) - square(x1) * 0.25, 1);
}

constexpr std::int64_t kSchools = 8;
constexpr double kEffects[kSchools] = {28, 8, -3, 7, -1, 1, 18, 12};
constexpr double kErrors[kSchools] = {15, 10, 16, 11, 9, 11, 10, 18};

Var log_eight_schools(const Var& x) {
  constexpr double kScale = 5;
  const Var mu = column(x, 0), log_tau = column(x, 1), tau = exp(log_tau);
  // The half-Cauchy density of tau, and the derivative of tau by ln tau.
  Var total =
      log_normal(mu, kScale) + log_tau + std::log(2 / (kPi * kScale)) - log1p(square(tau / kScale));
  for (std::int64_t i = 0; i < kSchools; ++i) {
    const Var e = column(x, 2 + i);
    total = total + log_normal(e, 1) + log_normal(mu + tau * e - kEffects[i], kErrors[i]);
  }
  return total;
}

constexpr const char* kPrefix = "target:";

// What is computed in f64 comes back in the type of x.
ReverseKl::LogTarget in_type_of_x(std::function<Var(const Var&)> log_density) {
  return [log_density = std::move(log_density)](const Var& x) {
    return cast(log_density(cast(x, DType::F64)), x.dtype());
  };
}

bool is_path(const std::string& name) {
  return name.find_first_of("/.") != std::string::npos || std::filesystem::exists(name);
}

Target of_library(const std::string& path, std::int64_t dims) {
  NF_CHECK(dims > 0, "[target] say of how many numbers the density of ", printable(path),
           " is: --dims");
  const auto library = std::make_shared<TargetLibrary>(path, dims);
  return {.name = std::filesystem::path(path).filename().string(),
          .dims = dims,
          .reach = dims == 2 ? 5.0 : 0.0,
          .grid = 0,
          .normalized = false,
          .checksum = library->checksum(),
          .log_density = in_type_of_x([library](const Var& x) { return library->log_density(x); })};
}

}  // namespace

const std::vector<BuiltInTarget>& built_in_targets() {
  static const std::vector<BuiltInTarget> targets = {
      {"U1", "two half-rings (Rezende, Mohamed 2015)", 2, false, false, 4, 7, log_u1},
      {"U2", "a wave", 2, false, false, 5, 7, log_u2},
      {"U3", "a wave that splits and joins", 2, false, false, 5, 7, log_u3},
      {"U4", "a wave that splits", 2, false, false, 5, 7, log_u4},
      {"funnel", "a scale and what has it (Neal 2003)", 10, true, true, 12, 0, log_funnel},
      {"banana", "a bent Gaussian", 2, false, true, 8, 30, log_banana},
      {"eight-schools", "a hierarchical model (Rubin 1981)", 10, false, false, 0, 0,
       log_eight_schools},
  };
  return targets;
}

Target find_target(const std::string& name, std::int64_t dims) {
  std::vector<std::string> names;
  for (const BuiltInTarget& known : built_in_targets()) {
    names.push_back(known.name);
    if (name != known.name) continue;
    const std::int64_t d = dims == 0 ? known.dims : dims;
    NF_CHECK(d == known.dims || (known.any_dims && d >= 2), "[target] ", name, " has ", known.dims,
             " dimensions, not ", d, known.any_dims ? "; it takes 2 or more" : "");
    return {.name = name,
            .dims = d,
            .reach = d == 2 ? known.reach : 0.0,
            .grid = d == 2 ? known.grid : 0.0,
            .normalized = known.normalized,
            .log_density = in_type_of_x(known.log_density)};
  }
  NF_CHECK(is_path(name), "[target] '", printable(name), "' is no target and no file",
           did_you_mean(name, names), "; built in are: ", join(names, " "),
           "; else give the path of a shared library (./libmine.so)");
  return of_library(name, dims);
}

bool is_target(const std::string& source) { return source.starts_with(kPrefix); }

std::string target_source(const std::string& name, const Target& target) {
  const std::vector<BuiltInTarget>& known = built_in_targets();
  const bool built_in = std::any_of(known.begin(), known.end(),
                                    [&](const BuiltInTarget& one) { return one.name == name; });
  const std::string where = built_in ? name : std::filesystem::absolute(name).string();
  return str(kPrefix, target.dims, "/", where);
}

Target target_of(const std::string& source) {
  const std::string rest = source.substr(std::string(kPrefix).size());
  const std::size_t colon = rest.find('/');
  const std::int64_t dims = std::atoll(rest.c_str());
  NF_CHECK(is_target(source) && colon != std::string::npos && dims > 0, "[target] '",
           printable(source), "' should be target:DIMS/NAME");
  return find_target(rest.substr(colon + 1), dims);
}

data::Dataset target_data(const std::string& source, std::int64_t draws) {
  const Target target = target_of(source);
  data::Dataset out;
  out.name = target.name;
  out.dims = target.dims;
  out.unit_scale = true;
  out.cut = "no rows: fitted to a target by draws of the model";
  out.checksum = str("target ", target.name, " ", target.dims,
                     target.checksum.empty() ? "" : " " + target.checksum);
  out.train.x = Tensor::zeros({draws, 0});
  out.valid.x = out.test.x = Tensor::zeros({0, target.dims});
  return out;
}

}  // namespace nf::flows
