// flowcli check: whether a trained model is sound, and how well it fits.
#include "cli/check.h"

#include <algorithm>
#include <cstdio>
#include <memory>

#include "cli/choice.h"
#include "cli/cli.h"
#include "cli/gaps.h"
#include "cli/given.h"
#include "flows/examine/p_value.h"
#include "flows/train/targets.h"
#include "tensor/ops.h"
#include "tensor/text.h"

namespace nf::cli {

namespace {

// What a correct map stays below. In f64 only a wrong layer exceeds them; kinks (relu) near a
// sample cost differences of the Jacobian some digits.
constexpr double kExact = 1e-6, kJacobian = 1e-3;
constexpr double kWorking = 1e-3;  // in f32: a thousandth of the data's range

template <class... Args>
std::string format(const char* pattern, Args... args) {
  char text[512];
  std::snprintf(text, sizeof text, pattern, args...);
  return text;
}

// The layer where a quantity is worst, the whole map left out; NaN is worst of all.
template <class Get>
const flows::LayerDiagnosis& worst_layer(const std::vector<flows::LayerDiagnosis>& rows, Get get) {
  const auto badness = [&](const flows::LayerDiagnosis& row) {
    return std::isnan(get(row)) ? INFINITY : get(row);
  };
  return *std::max_element(rows.begin(), std::prev(rows.end()),
                           [&](const auto& a, const auto& b) { return badness(a) < badness(b); });
}

// Sets `fault` to the first thing that is wrong, or adds sentences to the findings.
void judge_map(Checkup& check) {
  using Row = flows::LayerDiagnosis;
  const Row &exact = check.exact.back(), &working = check.working.back();
  const std::string narrow =
      check.precision == "f32" ? "f32" : "f32 with products of " + check.precision;
  struct Promise {
    double Row::*quantity;
    double allowed;
    const char* kept;
    const char* broken;
  };
  const Promise promises[] = {
      {&Row::round_trip, kExact, "The map inverts (%.1e of the data's range in f64, allowed %.0e).",
       "does not invert"},
      {&Row::log_det_gap, kExact,
       "The log-determinants of both directions cancel (%.1e, allowed %.0e).",
       "has log-determinants that do not cancel"},
      {&Row::jacobian_gap, kJacobian, "They are those of the Jacobian (off by %.1e, allowed %.0e).",
       "has another log-determinant than its Jacobian"}};
  for (const Promise& promise : promises) {
    if (promise.quantity == &Row::jacobian_gap && check.jacobians == 0) continue;
    const auto quantity = [&](const Row& row) { return row.*promise.quantity; };
    if (quantity(exact) <= promise.allowed) {
      check.findings.push_back(format(promise.kept, quantity(exact), promise.allowed));
      continue;
    }
    const Row& layer = worst_layer(check.exact, quantity);
    check.fault =
        str("layer ", layer.name, " (", layer.kind, ") ", promise.broken, ": off by ",
            quantity(layer), ", over all layers ", quantity(exact), ", allowed ", promise.allowed);
    check.findings.push_back("WRONG: " + check.fault + ".");
    check.nan = std::isnan(quantity(exact));
    return;
  }
  const auto estimated = std::count_if(check.exact.begin(), check.exact.end(),
                                       [](const Row& row) { return row.estimated; });
  if (estimated > 0) {
    check.findings.push_back(
        str("Log-determinants of ", estimated, " layers are estimates, and were not compared."));
  }
  if (std::isnan(working.round_trip)) {
    const Row& layer = worst_layer(check.working, [](const Row& row) { return row.round_trip; });
    check.nan = true;
    check.fault = str("in ", narrow, " the map or its inverse is NaN, first in layer ", layer.name,
                      " (", layer.kind, ")");
    check.findings.push_back("WRONG: " + check.fault + ".");
  } else if (working.round_trip <= kWorking) {
    check.findings.push_back(format("%s is enough for it: data comes back to within %.1e.",
                                    narrow.c_str(), working.round_trip));
  } else {
    const Row& layer = worst_layer(check.working, [](const Row& row) { return row.round_trip; });
    check.findings.push_back(format(
        "CARE: in %s, data comes back only to within %.1e: layer %s is steep (alone %.1e). "
        "Samples "
        "are that inexact; a lower scale_limit, a stronger clip or weight decay keeps layers flat.",
        narrow.c_str(), working.round_trip, layer.name.c_str(), layer.round_trip));
  }
}

void judge_integral(Checkup& check) {
  if (!check.integral) return;
  const flows::Integral& all = *check.integral;
  constexpr double kRoom = 0.02;  // beside the tolerance, which is an estimate
  constexpr double kVague = 0.1;  // says nothing
  if (all.tolerance > kVague) {
    check.findings.push_back(
        format("Whether the density integrates to 1 cannot be told: it is too narrow for %lld "
               "points (%.4f, to within %.4f).",
               static_cast<long long>(all.points), all.value, all.tolerance));
    return;
  }
  if (std::abs(all.value - 1) <= 3 * all.tolerance + kRoom) {
    check.findings.push_back(
        format("The density integrates to %.4f (to within %.4f).", all.value, all.tolerance));
    return;
  }
  const std::string what =
      format("the density integrates to %.4f (to within %.4f), not to 1", all.value, all.tolerance);
  if (check.fault.empty()) check.fault = what;
  check.findings.push_back("WRONG: " + what + ".");
}

void judge_latents(Checkup& check) {
  const flows::LatentDiagnosis& z = check.latents;
  if (std::isnan(z.ks_worst)) {
    check.nan = true;
    if (check.fault.empty()) check.fault = "latents of the data are NaN";
    check.findings.push_back("WRONG: latents of the data are NaN.");
    return;
  }
  const char* words = far_from_base(z.ks_worst, z.ks_chance, z.wide)
                          ? "are far from the base distribution"
                      : z.ks_worst <= z.ks_chance
                          ? "cannot be told from the base distribution, dimension by dimension"
                          : "are near the base distribution";
  std::string beside;
  if (check.train_latents) {
    const bool told = check.train_latents->ks_worst > check.train_latents->ks_chance;
    beside = format("; of training rows %.4f, by chance up to %.4f%s",
                    check.train_latents->ks_worst, check.train_latents->ks_chance,
                    told ? ": with so many rows the difference shows" : "");
  }
  check.findings.push_back(
      format("Latents of the data %s (Kolmogorov-Smirnov distance %.4f at worst, by chance up to "
             "%.4f%s).",
             words, z.ks_worst, z.ks_chance, beside.c_str()));
  if (!(z.tails <= std::max(0.01, z.tails_chance))) {
    check.findings.push_back(
        format("CARE: %.2f %% of the latents lie where the base has 0.2 %%, up to %.1f standard "
               "deviations out: some data is much less likely than any sample.",
               100 * z.tails, z.largest));
  }
}

// 2 D passes of every layer for each, and the singular values of D x D matrices.
std::int64_t quick_jacobians(std::int64_t dims) { return dims <= 64 ? 20 : dims <= 1024 ? 1 : 0; }

}  // namespace

std::string Checkup::table(std::size_t width) const {
  if (exact.empty()) return "";
  std::vector<std::vector<std::string>> rows = {
      {"", "", "round", "trip", "log-dets", "cancel", "against", "largest"},
      {"layer", "log|det|", "f32", "f64", "f32", "f64", "Jacobian", "|log s|"}};
  const auto small = [](double value) { return format("%.1e", value); };
  for (std::size_t i = 0; i < exact.size(); ++i) {
    const auto &row = exact[i], &narrow = working[i];
    rows.push_back({row.name, short_number(row.log_det), small(narrow.round_trip),
                    small(row.round_trip), row.estimated ? "-" : small(narrow.log_det_gap),
                    row.estimated ? "-" : small(row.log_det_gap),
                    jacobians > 0 && !row.estimated ? small(row.jacobian_gap) : "-",
                    jacobians > 0 ? short_number(row.largest_stretch) : "-"});
  }
  return table_text(rows, width, {.headers = 2});
}

std::string Checkup::latents_text() const {
  if (latents.count == 0) return "none: the model has no latents\n";
  const flows::LatentDiagnosis& z = latents;
  return format(
      "mean %+.4f, standard deviation %.4f, largest %.2f, in deviations of the base\n"
      "%.3f %% outside the base's middle 99.8 %%, by chance up to %.3f %%\n"
      "Kolmogorov-Smirnov distance %.4f in dimension %lld, %.4f on average; by chance up "
      "to %.4f\n",
      z.mean, z.deviation, z.largest, 100 * z.tails, 100 * z.tails_chance, z.ks_worst,
      static_cast<long long>(z.ks_dim), z.ks_mean, z.ks_chance);
}

Json Checkup::json() const {
  Json layers = Json::array();
  for (std::size_t i = 0; i < exact.size(); ++i) {
    const auto &row = exact[i], &narrow = working[i];
    layers.push_back({{"name", row.name},
                      {"kind", row.kind},
                      {"log_det", number(row.log_det)},
                      {"round_trip_f32", number(narrow.round_trip)},
                      {"round_trip_f64", number(row.round_trip)},
                      {"log_det_gap_f32", number(narrow.log_det_gap)},
                      {"log_det_gap_f64", number(row.log_det_gap)},
                      {"jacobian_gap", jacobians > 0 ? number(row.jacobian_gap) : Json()},
                      {"largest_log_scale", jacobians > 0 ? number(row.largest_stretch) : Json()}});
  }
  return {{"verdict", name_of(verdict)},
          {"sound", fault.empty()},
          {"findings", findings},
          {"precision", precision},
          {"layers", layers},
          {"jacobians", jacobians},
          {"latents",
           {{"count", latents.count},
            {"mean", number(latents.mean)},
            {"deviation", number(latents.deviation)},
            {"largest", number(latents.largest)},
            {"tails", number(latents.tails)},
            {"tails_chance", latents.tails_chance},
            {"ks_worst", number(latents.ks_worst)},
            {"ks_dim", latents.ks_dim},
            {"ks_mean", number(latents.ks_mean)},
            {"ks_chance", latents.ks_chance}}},
          {"train_ks_worst", train_latents ? number(train_latents->ks_worst) : Json()},
          {"train_ks_chance", train_latents ? number(train_latents->ks_chance) : Json()},
          {"integral", integral ? Json{{"value", number(integral->value)},
                                       {"tolerance", number(integral->tolerance)},
                                       {"points", integral->points}}
                                : Json()}};
}

namespace {

std::vector<flows::EpochReport> judged_log(const TrainedModel& model, const EpochLog& log) {
  return judged(log.value_or(std::vector<flows::EpochReport>()), model.run.config());
}

Evidence evidence_of(const TrainedModel& model, const EpochLog& log, const Checkup& check,
                     bool own) {
  if (!log) {
    model.common.note(
        str("note: ", model.run.file("log.jsonl"),
            " is lost, or of another training: ", "nothing is said of how validation went"));
  }
  Evidence evidence{.status = model.state.status,
                    .step = model.state.step,
                    .dims = model.density->dims(),
                    .log = judged_log(model, log),
                    .own = own,
                    .sound = check.fault.empty(),
                    .ks_heldout = check.latents.ks_worst,
                    .chance_heldout = check.latents.ks_chance,
                    .wide_heldout = check.latents.wide};
  if (check.train_latents) {
    evidence.ks_train = check.train_latents->ks_worst;
    evidence.chance_train = check.train_latents->ks_chance;
    evidence.wide_train = check.train_latents->wide;
  }
  return evidence;
}

// Where nothing else is wrong: whether draws have the log densities that rows have.
Judgement judge_draws(bool far, bool own) {
  if (!far) return {Verdict::Ok, "OK: draws have log densities as the data have."};
  if (!own) {
    return {Verdict::Ok,
            "OK: these are other data than the run's, and to the model they are unlike its own."};
  }
  return {Verdict::Underfit,
          "UNDERFIT: draws have other log densities than the data; train longer (--epochs), or a "
          "larger model."};
}

// Of a density without latents, or whose latents do not say all of a row, by the log densities of
// rows and of draws. Missing cells of rows are filled in, since draws have none.
Checkup examine_draws(const TrainedModel& model, const EpochLog& log, const data::Split& rows,
                      const CheckOptions& options) {
  flows::Density& density = *model.density;
  Checkup check;
  check.precision = model.precision;
  check.scored = std::min(options.samples, rows.size());
  constexpr std::uint64_t kFills = 0x66696C6C73;  // "fills"
  Generator gen(options.seed), fills(options.seed, kFills);
  const Tensor given = flows::given_rows(rows.given, 0, check.scored);
  const std::int64_t gaps = gaps_in(rows.x.narrow(0, 0, check.scored));
  const Tensor x = filled(model, rows.x.narrow(0, 0, check.scored), given, fills);
  const Tensor draws =
      density.sample(gen, check.scored, 1, given_part(given, 0, check.scored, density.device()))
          .to(Device::CPU);
  const auto scores = [&](const Tensor& of) { return flows::score(density, of, {.given = given}); };
  const std::vector<double> of_rows = scores(x), of_draws = scores(draws);
  for (const auto& [what, all] : {std::pair{"rows", &of_rows}, {"draws", &of_draws}}) {
    check.nan = std::any_of(all->begin(), all->end(), [](double s) { return std::isnan(s); });
    if (!check.nan) continue;
    check.fault = str("log densities of ", what, " are NaN");
    check.findings = {"WRONG: " + check.fault + "."};
    break;
  }
  if (auto* const flow = dynamic_cast<flows::FlowDensity*>(&density); flow && check.fault.empty()) {
    check.latents = flows::diagnose_latents(*flow, x, 1000, options.seed, given);
    judge_latents(check);
  }
  Evidence evidence{.status = model.state.status,
                    .step = model.state.step,
                    .dims = density.dims(),
                    .log = judged_log(model, log),
                    .own = options.own,
                    .sound = check.fault.empty()};
  Judgement judgement = judge(evidence);
  if (check.fault.empty()) {
    // Once in a hundred times by chance (Smirnov).
    const double chance = 1.63 * std::sqrt(2 / static_cast<double>(check.scored));
    const double distance = flows::HeldOutScores(of_draws).drift(of_rows).distance;
    check.findings.push_back(
        format("Log densities of the data and of as many draws differ by %.4f (Kolmogorov-Smirnov "
               "distance; by chance up to %.4f).",
               distance, chance));
    if (gaps > 0) {
      check.findings.push_back(
          format("%lld of %lld cells of the data are missing, and filled in "
                 "by the model for that, given the others.",
                 static_cast<long long>(gaps), static_cast<long long>(x.numel())));
    }
    if (judgement.verdict == Verdict::Ok) {
      judgement = judge_draws(far_from_base(distance, chance, false), options.own);
    }
  }
  check.verdict = judgement.verdict;
  check.findings.insert(check.findings.begin(), judgement.reason);
  return check;
}

}  // namespace

Checkup examine(const TrainedModel& model, const EpochLog& log, const data::Split& rows,
                const data::Split& train, const CheckOptions& options) {
  const auto* const flow = dynamic_cast<flows::FlowDensity*>(model.density.get());
  if (!flow || !flow->lossless()) return examine_draws(model, log, rows, options);
  flows::FlowDensity& density = model.flow("check");
  const Tensor& x = rows.x;
  const auto first = [](const Tensor& rows, std::int64_t n) {
    return rows.narrow(0, 0, std::min(n, rows.dim(0)));
  };
  const Tensor few = first(x, options.layer_samples);
  const auto given = [&](const data::Split& of, std::int64_t n) {
    return flows::given_rows(of.given, 0, std::min(n, of.size()));
  };
  const auto latents = [&](const data::Split& of) {
    return flows::diagnose_latents(density, first(of.x, options.samples), 1000, options.seed,
                                   given(of, options.samples));
  };
  const Tensor few_given = given(rows, options.layer_samples);
  Checkup check;
  check.precision = model.precision;
  check.jacobians = std::min(
      options.jacobians >= 0 ? options.jacobians : quick_jacobians(density.dims()), few.dim(0));
  check.latents = latents(rows);
  if (train.size() > 0) check.train_latents = latents(train);
  check.working = flows::diagnose_layers(density, is_float(few.dtype()) ? few : few.to(DType::F32),
                                         {.seed = options.seed, .given = few_given});
  {
    const flows::InDtype wide(density, DType::F64);
    check.exact = flows::diagnose_layers(
        density, few.to(DType::F64),
        {.jacobians = check.jacobians, .seed = options.seed, .given = few_given});
  }
  NF_CHECK(!check.exact.empty(), "[check] the model has no layers");
  judge_map(check);
  if (check.fault.empty() && density.dims() <= 3) {
    // Of a conditional density: for what is given with the first row.
    const auto one = rows.given.defined() ? density.conditioned_on(given(rows, 1)) : nullptr;
    check.integral =
        flows::integrate(one ? *one : density, first(x, options.samples), {.seed = options.seed});
    judge_integral(check);
  }
  if (!options.drawn) judge_latents(check);
  Judgement judgement = judge(evidence_of(model, log, check, options.own));
  if (options.drawn && judgement.verdict == Verdict::Ok) {
    judgement.reason = str("OK: nothing is wrong with the map. Whether it is the target's is not ",
                           "looked at here: flowcli eval ", model.run.path());
  }
  check.verdict = judgement.verdict;
  check.findings.insert(check.findings.begin(), judgement.reason);
  return check;
}

data::Split training_rows(const data::Dataset& data, bool own, const std::string& split) {
  return own && split != "train" ? data.train : data::Split();
}

namespace {

// A run without a step has a verdict too; load_model() then says what to do.
void tell_if_untrained(const std::string& path, const Common& common) {
  const RunState state = RunFolder::open(path).state();
  if (state.usable()) return;
  const Judgement judgement = judge({.status = state.status});
  common.result({{"verdict", name_of(judgement.verdict)},
                 {"findings", {judgement.reason}},
                 {"status", state.status}},
                judgement.reason + "\n");
}

}  // namespace

void add_check(CLI::App& app) {
  struct Options {
    Common common;
    CheckOptions check;
    std::string run, data, split = "test", weights = "best";
  };
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("check", "Whether a trained model is sound");
  command->add_option("RUN", options->run, "Run folder")->required();
  command->add_option("--data", options->data, "Another data source than the run's")
      ->type_name(source_type());
  add_part(*command, options->split, "Which part");
  add_weights(*command, options->weights);
  command->add_option("--samples", options->check.samples, "Whose latents are compared")
      ->check(whole(1))
      ->capture_default_str();
  command
      ->add_option("--jacobians", options->check.jacobians,
                   "Samples at which Jacobians are taken (default: 20 up to 64 dimensions, 1 up "
                   "to 1024, else 0)")
      ->check(whole(0, 1'000'000));
  add_seed(*command, options->check.seed, "Of the noise");
  options->common.add_to(*command);
  command->footer(
      "Inverts every layer, compares log-determinants with the Jacobian, and latents of data with\n"
      "the base distribution. Of a model that does not map rows back (tabular, vae): log "
      "densities\n"
      "of data with those of draws. Exit status 1 when the map is wrong, 3 when it gives NaN.\n\n"
      "Examples:\n  flowcli check runs/moons\n"
      "  flowcli check runs/mnist --split valid --jacobians 0 --json\n");
  command->callback([options] {
    const Device device = options->common.apply();
    tell_if_untrained(options->run, options->common);
    const TrainedModel model = load_model(options->run, options->weights, options->common, device);
    data::Dataset data = load_data_for(model, options->data);
    options->check.own = data.checksum == model.run.known().shape.checksum;
    if (options->check.own && flows::is_target(model.run.config().data.source)) {
      // There are no rows: the map is looked at where the model draws.
      constexpr std::int64_t kDraws = 2000;
      Generator gen(options->check.seed);
      data.train.x = data.valid.x = data.test.x =
          model.density->sample(gen, kDraws).to(Device::CPU).to(DType::F32);
      options->check.own = false;
      options->check.drawn = true;
    }
    const data::Split train = training_rows(data, options->check.own, options->split);
    const Checkup check = examine(model, model.run.log_of(model.state),
                                  part_of(data, options->split), train, options->check);
    std::string text = str(printable(data.name), ", ", options->split, " split: ");
    text += check.scored > 0 ? str("log densities of ", check.scored, " rows\n\n")
                             : str("latents of ", check.latents.count, " samples, Jacobians at ",
                                   check.jacobians, "\n\n", check.table(output_width()),
                                   "\nlatents: ", check.latents_text(), "\n");
    for (const std::string& sentence : check.findings) text += sentence + "\n";
    Json json = check.json();
    json["split"] = options->split;
    json["status"] = model.state.status;
    json["device"] = name(device);
    options->common.result(json, text);
    if (check.nan) throw flows::Diverged("[check] " + check.fault);
    NF_CHECK(check.fault.empty(), "[check] ", check.fault);
  });
}

}  // namespace nf::cli
