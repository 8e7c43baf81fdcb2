#include "cli/verdict.h"

#include <algorithm>
#include <cstdio>

#include "flows/models/build.h"

namespace nf::cli {

namespace {

double median_of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

template <class... Args>
std::string worded(const char* pattern, Args... args) {
  char text[512];
  std::snprintf(text, sizeof text, pattern, args...);
  return text;
}

// Those that validation was measured in.
std::vector<flows::EpochReport> validated(const std::vector<flows::EpochReport>& log) {
  std::vector<flows::EpochReport> out;
  std::copy_if(log.begin(), log.end(), std::back_inserter(out), [](const flows::EpochReport& r) {
    return std::isfinite(r.valid_nats) && std::isfinite(r.train_nats);
  });
  return out;
}

auto best_of(const std::vector<flows::EpochReport>& log) {
  return std::max_element(log.begin(), log.end(),
                          [](const auto& a, const auto& b) { return a.valid_nats < b.valid_nats; });
}

std::string overfit_text(const Overfitting& o) {
  return worded(
      "OVERFIT: validation was best in epoch %lld (%.6g nats) and has fallen to %.6g by epoch "
      "%lld, while the training rows became ever more likely. Longer training makes it worse: "
      "take the best weights, and more data, a smaller model (--hidden-units, --couplings) or "
      "more --weight-decay.",
      static_cast<long long>(o.best_epoch), o.best_nats, o.last_nats,
      static_cast<long long>(o.last_epoch));
}

std::string underfit_text(const Evidence& e, const std::string& what) {
  const auto log = validated(e.log);
  if (log.empty()) {
    return "UNDERFIT: " + what + " Nothing was validated: train longer (flowcli resume RUN).";
  }
  // Validation is still rising when its best epoch is one of the last few.
  const bool rising = log.end() - best_of(log) <= std::max<std::ptrdiff_t>(1, std::ssize(log) / 20);
  return "UNDERFIT: " + what +
         (rising ? " Validation was still rising when training ended: train longer (flowcli resume "
                   "RUN --epochs N), then make the model larger."
                 : " Validation no longer rises: make the model larger, or take another "
                   "--preprocess.");
}

}  // namespace

const char* name_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::Ok:
      return "ok";
    case Verdict::Underfit:
      return "underfit";
    case Verdict::Overfit:
      return "overfit";
    case Verdict::Unsound:
      return "unsound";
    case Verdict::Untrained:
      return "untrained";
    case Verdict::Diverged:
      return "diverged";
  }
  return "";
}

std::vector<flows::EpochReport> judged(std::vector<flows::EpochReport> log,
                                       const flows::Config& config) {
  if (log.empty()) return log;
  const std::int64_t from = flows::fit_options(config).best_from;
  log.erase(std::remove_if(log.begin(), log.end() - 1,
                           [&](const flows::EpochReport& r) { return r.step < from; }),
            log.end() - 1);
  return log;
}

bool far_from_base(double ks, double chance, bool wide) {
  constexpr double kFar = 0.1;
  if (std::isnan(ks)) return false;
  return ks > std::max(kFar, chance) || (chance > kFar && wide);
}

std::optional<Overfitting> overfitting(const std::vector<flows::EpochReport>& log,
                                       std::int64_t dims) {
  constexpr std::ptrdiff_t kLast = 5, kLong = 10;
  constexpr double kTimes = 4, kPerDim = 0.01, kFarPerDim = 0.1;
  const auto known = validated(log);
  if (known.empty()) return std::nullopt;
  const auto best = best_of(known);
  const std::ptrdiff_t since = known.end() - best - 1;
  if (since < 3) return std::nullopt;
  std::vector<double> last, rises, train;
  for (auto r = best + 1; r != known.end(); ++r) {
    rises.push_back(std::max(0.0, r->valid_nats - (r - 1)->valid_nats));
    if (known.end() - r > kLast) continue;
    last.push_back(r->valid_nats);
    train.push_back(r->train_nats);
  }
  std::erase(rises, 0);  // what is left is noise: since its best, validation should only fall
  const double noise = rises.empty() ? 0 : median_of(rises);
  const double now = median_of(last), fall = best->valid_nats - now;
  const double per_dim = fall / static_cast<double>(dims);
  const bool beyond_noise = fall > kTimes * noise || (since >= kLong && per_dim > kFarPerDim);
  const bool fell = per_dim > kPerDim && beyond_noise;
  if (!fell || !(median_of(train) > best->train_nats)) return std::nullopt;
  return Overfitting{best->epoch, known.back().epoch, best->valid_nats, known.back().valid_nats};
}

Judgement judge(const Evidence& e) {
  if (e.status == "diverged") {
    return {
        Verdict::Diverged,
        "DIVERGED: training ended at a loss that is not finite; lower --lr or give --set clip=1 "
        "and train anew. If there are weights, they are from before that."};
  }
  if (e.step == 0) {
    return {Verdict::Untrained,
            "UNTRAINED: no step has been done, these are the initial weights; "
            "train it with flowcli resume RUN."};
  }
  if (!e.sound)
    return {Verdict::Unsound, "UNSOUND: the map is wrong, so no density of it is right."};
  if (const auto falling = overfitting(e.log, e.dims)) {
    return {Verdict::Overfit, overfit_text(*falling)};
  }
  const bool far = far_from_base(e.ks_heldout, e.chance_heldout, e.wide_heldout);
  if (far && !e.own) {
    return {
        Verdict::Ok,
        "OK: nothing is wrong with the map. These are other data than the run's, and their latents "
        "are far from the base distribution: to the model they are unlike its own."};
  }
  const bool far_in_training = far_from_base(e.ks_train, e.chance_train, e.wide_train);
  if (far && !far_in_training && std::isfinite(e.ks_train)) {
    return {Verdict::Overfit,
            worded("OVERFIT: latents of the training rows follow the base distribution (distance "
                   "%.4f), those of rows that were held out do not (%.4f). More data or a smaller "
                   "model (--hidden-units, --couplings) brings them together; longer training does "
                   "not.",
                   e.ks_train, e.ks_heldout)};
  }
  if (far) {
    return {Verdict::Underfit,
            underfit_text(e,
                          "latents are far from the base distribution, of training rows too; "
                          "samples differ from data there.")};
  }
  return {Verdict::Ok,
          "OK: nothing is wrong with the map, and latents are near the base distribution."};
}

}  // namespace nf::cli
