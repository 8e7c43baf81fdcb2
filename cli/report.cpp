// flowcli report: a run as one HTML file that needs nothing else.
#include <cmath>
#include <filesystem>
#include <memory>
#include <optional>

#include "cli/check.h"
#include "cli/choice.h"
#include "cli/cli.h"
#include "cli/column_table.h"
#include "cli/evaluation.h"
#include "cli/gaps.h"
#include "cli/given.h"
#include "cli/html.h"
#include "cli/lines.h"
#include "cli/plot.h"
#include "cli/report_table.h"
#include "cli/train.h"
#include "cli/trained_model.h"
#include "data/samples.h"
#include "data/svg.h"
#include "flows/examine/two_sample.h"
#include "flows/train/targets.h"
#include "tensor/files.h"
#include "tensor/ops.h"
#include "tensor/random.h"
#include "tensor/text.h"

namespace nf::cli {

namespace {

using data::markup;

// Of a run that was fitted to a target in place of data: what it reached.
std::string target_fit(const RunFolder& run) {
  constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 26;
  const NamedTexts kept = kept_of_target(run);
  if (kept.empty()) {
    return "<p>The run keeps no figures yet: flowcli eval " + markup(run.path()) + "</p>\n";
  }
  const std::string file = run.file("target.png");
  return html_table(kept) +
         (std::filesystem::exists(file)
              ? html_picture(read_file(file, kMostBytes), "The target's density, and the model's")
              : "");
}

std::string configuration(const RunFolder& run) {
  const bool target = flows::is_target(run.config().data.source);
  std::vector<std::pair<std::string, std::string>> rows;
  rows.emplace_back("model", run.config().model);
  for (const flows::Field& field : run.config().fields()) {
    rows.emplace_back(field.key, field.text());
    // Which they are, where the setting leaves it to the file.
    if (rows.back().first == "columns") rows.back().second = join(run.known().shape.columns, ", ");
  }
  return "<div class=\"columns\">\n" + html_table(rows) +
         "</div>\n<p>To train it again:</p>\n<pre>" +
         markup(target ? command_of_target(run)
                       : str("flowcli train ", run.file("config.json"), " --out NEW")) +
         "</pre>\n";
}

std::string training(const RunFolder& run, const RunState& state, const EpochLog& told) {
  if (!told) return "<p>log.jsonl is lost, or of another training.</p>\n";
  const std::vector<flows::EpochReport>& log = *told;
  if (log.empty()) return "<p>The run has finished no epoch.</p>\n";
  const flows::EpochReport& last = log.back();
  const double epochs = run.epochs_of(last), steps = static_cast<double>(last.step);
  // One epoch is a point, no line.
  const std::string curve = log.size() > 1
                                ? html_drawing(run.curve(log), 760, "Log-likelihood over epochs")
                                : "<p>A curve needs a second epoch.</p>\n";
  return html_table({{"epochs", str(last.epoch)},
                     {"updates", str(last.step)},
                     {"time", fixed(last.seconds, 1) + " s, validation included"},
                     {"per epoch", fixed(last.seconds / epochs, 2) + " s"},
                     {"per update", fixed(1000 * last.seconds / steps, 2) + " ms"},
                     {"best on validation",
                      state.best_epoch == 0
                          ? "no validation samples"
                          : fixed(state.best_valid_nats, 4) + " nats, " +
                                run.best_name(log, state.best_epoch, state.best_valid_nats)}}) +
         curve;
}

std::vector<double> scores_of(const TrainedModel& model, const data::Split& part) {
  return flows::score(*model.density, part.x, {.samples = part.numbers, .given = part.given});
}

// `broken`: set to what is NaN.
std::string likelihood(const TrainedModel& model, const data::Dataset& data,
                       const std::string& split, const std::vector<double>& scores,
                       std::string& broken) {
  const Tensor& x = samples_of(data, split);
  const flows::Evaluation e = flows::evaluation_of(*model.density, scores);
  if (std::isnan(e.nats)) {
    broken = describe_nan(*model.density, x, scores, part_of(data, split).given);
  }
  std::vector<std::pair<std::string, std::string>> rows = {
      {"samples", str(e.count)},
      {"nats", with_error(e.nats, e.nats_se, 4)},
      {"bits/dim", with_error(e.bits_per_dim, e.bits_per_dim_se, 5)},
      {"convention", convention_of(*model.density)}};
  for (const std::string& line :
       compare_with_baselines(model, x, part_of(data, split).given, scores).lines) {
    rows.emplace_back(rows.size() == 4 ? "beside it" : "", line);
  }
  return html_table(rows);
}

// The rows of a table that have all their cells, with what is given with them.
data::Split without_gaps(const data::Split& part) {
  if (!flows::has_gaps(part.x)) return {.x = part.x, .given = part.given};
  const std::vector<double> sums = sum(part.x.to(DType::F64), {1}).to_vector<double>();
  std::vector<std::int32_t> whole;
  for (std::size_t i = 0; i < sums.size(); ++i) {
    if (std::isfinite(sums[i])) whole.push_back(static_cast<std::int32_t>(i));
  }
  const Tensor rows = Tensor::from(whole, {std::ssize(whole)});
  return {.x = index_select(part.x, 0, rows), .given = flows::given_rows(part.given, rows)};
}

// Of a conditional model in the plane: data, and samples for what is given with them. Its density
// is another for each of these; 'flowcli plot --given' draws one.
std::string scatters(const TrainedModel& model, const data::Dataset& data, std::uint64_t seed) {
  constexpr std::int64_t kPoints = 20'000;
  if (data.train.size() == 0) {
    return "<p>None: what is given is taken from training rows, and none are there.</p>\n";
  }
  const data::Split whole = without_gaps(data.train);
  const Tensor x = whole.x;
  if (x.dim(0) == 0) return "<p>None: each training row has a gap.</p>\n";
  Generator gen(seed);
  const std::int64_t n = std::min(kPoints, x.dim(0));
  const Tensor samples =
      model.density->sample(gen, n, 1, given_part(whole.given, 0, n, model.density->device()));
  const bool given = !model.shape.given.empty();
  return html_picture(samples_png(x.narrow(0, 0, n), model.shape, x), "Data") +
         html_picture(samples_png(samples, model.shape, x),
                      given ? "Samples for what is given with the data" : "Samples");
}

bool has_categories(const data::Dataset& shape) {
  return std::any_of(shape.categories.begin(), shape.categories.end(),
                     [](const auto& values) { return !values.empty(); });
}

std::string pictures(const TrainedModel& model, const data::Dataset& data, std::uint64_t seed) {
  const bool plane = model.shape.dims == 2 && !model.shape.discrete && !has_categories(model.shape);
  const auto* const flow = dynamic_cast<flows::FlowDensity*>(model.density.get());
  if (plane && (!model.shape.given.empty() || !flow || !flow->lossless()))
    return scatters(model, data, seed);
  if (plane) {
    const Plots plots = draw_plots(model, data.train.x, {.size = 400, .seed = seed});
    return (plots.data_png.empty() ? "" : html_picture(plots.data_png, "Data")) +
           html_picture(plots.samples_png, "Samples") + html_picture(plots.density_png, "Density") +
           html_drawing(plots.grid_svg, 500, "Lines of constant latents, -3 to 3 deviations");
  }
  if (!model.shape.images()) {
    return str("<p>Rows of ", model.shape.dims, " numbers have no picture.</p>\n");
  }
  constexpr std::int64_t kImages = 64;
  Generator gen(seed);
  const std::int64_t shown = std::min(kImages, data.train.size());
  const std::string samples = html_picture(
      samples_png(model.density->sample(gen, kImages, 1, given_of_pictures(model.shape, kImages)),
                  model.shape),
      model.shape.given.empty() ? "Samples" : "Samples of each label");
  if (shown == 0) return samples;
  return samples + html_picture(samples_png(data.train.x.narrow(0, 0, shown), model.shape), "Data");
}

std::string pictures_or_why_not(const TrainedModel& model, const data::Dataset& data,
                                std::uint64_t seed, std::string& broken) {
  try {
    return pictures(model, data, seed);
  } catch (const flows::Diverged& error) {
    std::string what = error.what();
    if (what.starts_with("[")) what.erase(0, what.find("] ") + 2);  // of another command
    if (broken.empty()) broken = what;
    return "<p>None: " + markup(what) + ".</p>\n";
  }
}

// At most so many rows, drawn at random, the same ones every time.
Tensor some_rows(const Tensor& x, std::int64_t most) {
  constexpr std::uint64_t kStream = 0x736F6D65;  // "some"
  if (x.dim(0) <= most) return x;
  Generator gen(0, kStream);
  return index_select(x, 0, permutation(gen, x.dim(0)).narrow(0, 0, most));
}

// What is given as columns of reals (N, C): of labels, one for each class, 1 at the row's own.
Tensor given_columns_of(const Tensor& given, const data::Dataset& shape) {
  if (shape.given_classes == 0) return given.to(DType::F64);
  Tensor out = Tensor::zeros({given.dim(0), shape.given_classes}, DType::F64);
  for (std::int64_t i = 0; i < given.dim(0); ++i) {
    out.mutable_data<double>()[i * shape.given_classes + given.data<std::int32_t>()[i]] = 1;
  }
  return out;
}

// As many samples of the model as there are rows. Nothing where some samples are not finite. Of a
// conditional model, samples are for what is given with the rows, and stand beside it: a sample
// that would be right for something else given is told from data. Both sides of the distance, what
// is given and the rest, have the same weight. Missing cells of rows are filled in by the model,
// since its samples have none.
std::optional<flows::TwoSample> samples_beside_data(const TrainedModel& model,
                                                    const data::Dataset& data,
                                                    const std::string& split, std::uint64_t seed) {
  constexpr std::int64_t kMostRows = 1000, kMostScaling = 4000;
  constexpr std::uint64_t kStream = 0x626573696465, kFills = 0x66696C6C73;  // "beside", "fills"
  const data::Split& part = part_of(data, split);
  const auto some_given = [](const data::Split& of, std::int64_t most) {
    return of.given.defined() ? some_rows(of.given, most) : Tensor();
  };
  // Of a conditional model: for what is given with the same rows.
  const Tensor given = some_given(part, kMostRows);
  Generator gen(seed, kStream), fills(seed, kFills);
  const Tensor rows = filled(model, some_rows(part.x, kMostRows), given, fills);
  const std::int64_t n = rows.dim(0);
  const Tensor drawn =
      model.density->sample(gen, n, 1, given_part(given, 0, n, model.density->device()))
          .to(Device::CPU);
  if (!all_finite(drawn.to(DType::F64))) return std::nullopt;
  // Of training rows, which are in neither sample.
  const data::Split& train = data.train;
  const Tensor scale = flows::deviations(
      filled(model, some_rows(train.x, kMostScaling), some_given(train, kMostScaling), fills));
  if (!given.defined()) return flows::two_sample_test(drawn, rows, scale);
  const Tensor beside = given_columns_of(given, model.shape);
  const Tensor scale_beside =
      flows::deviations(given_columns_of(some_rows(train.given, kMostScaling), model.shape)) *
      std::sqrt(static_cast<double>(beside.dim(1)) / static_cast<double>(rows.dim(1)));
  const auto with_given = [&](const Tensor& y) {
    return concat(std::vector{y.to(DType::F64), beside}, 1);
  };
  return flows::two_sample_test(with_given(drawn), with_given(rows),
                                concat(std::vector{scale, scale_beside}, 0), {.paired = true});
}

// Of a table: columns of rows and of as many samples for what is given with them, and the rows that
// are least likely.
std::string columns(const TrainedModel& model, const data::Dataset& data, const std::string& split,
                    const std::vector<double>& scores, std::uint64_t seed) {
  constexpr std::int64_t kMostRows = 5000;
  constexpr std::uint64_t kStream = 0x636F6C756D6E73;  // "columns"
  const data::Split& part = part_of(data, split);
  const auto reals = [](const Tensor& x) { return x.to(Device::CPU).to(DType::F64).contiguous(); };
  const Tensor rows = some_rows(part.x, kMostRows);
  const Tensor given = part.given.defined() ? some_rows(part.given, kMostRows) : Tensor();
  const std::int64_t n = rows.dim(0);
  Generator gen(seed, kStream);
  const Tensor samples =
      model.density->sample(gen, n, 1, given_part(given, 0, n, model.density->device()));
  TwoTables tables{data.columns.empty() ? data::numbered(data.dims) : data.columns, reals(rows),
                   reals(samples), model.shape.categories};
  const std::int64_t gaps = gaps_in(rows);
  const std::string beside =
      (gaps > 0
           ? str("<p>", gaps, " of ", rows.numel(), " cells of the rows are missing, and left ",
                 "out here; samples have all. Where cells are missing that would be large, ",
                 "or beside large ones, columns differ for that alone.</p>\n")
           : "") +
      html_columns(tables);
  tables.rows = reals(part.x);
  return html_section("Columns of the " + split + " split and of samples", beside) +
         html_section("Least likely rows", html_least_likely(tables, scores, part.numbers));
}

std::string told_apart(const flows::TwoSample& test) {
  return test.p_value < 0.05 ? "samples and data are told apart"
                             : "so many samples cannot be told from so many rows of data";
}

std::string two_sample_section(const std::optional<flows::TwoSample>& test, bool conditional,
                               bool gaps) {
  if (!test) return "<p>None: some samples are NaN or infinite.</p>\n";
  return html_table(
      {{"samples and rows", str(test->x, " and ", test->y)},
       {"energy distance", fixed(test->energy_distance, 5)},
       {"p-value", str(fixed(test->p_value, 4), ": ", told_apart(*test))},
       {"convention", str("columns divided by the deviation of training rows; ",
                          gaps ? "missing cells filled in by the model, given the others; " : "",
                          conditional ? "a sample beside the row that gave it what is given, " : "",
                          test->permutations,
                          conditional ? " random exchanges in pairs" : " random relabellings")}});
}

Json two_sample_json(const std::optional<flows::TwoSample>& test) {
  if (!test) return {};
  return {{"energy_distance", test->energy_distance},
          {"p_value", test->p_value},
          {"samples", test->x},
          {"rows", test->y},
          {"permutations", test->permutations}};
}

std::string examination(const Checkup& check) {
  std::string sentences;
  for (const std::string& sentence : check.findings) sentences += "<li>" + markup(sentence) + "\n";
  return "<ul>\n" + sentences + "</ul>\n<pre>" + markup(check.table()) + "\n" +
         markup("latents: " + check.latents_text()) + "</pre>\n";
}

}  // namespace

void add_report(CLI::App& app) {
  struct Options {
    Common common;
    CheckOptions check;
    std::string run, out, split = "test", weights = "best";
    std::uint64_t seed = 0;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("report", "A run as one HTML file");
  command->add_option("RUN", options->run, "Run folder")->required();
  command->add_option("--out", options->out, "FILE.html (default: RUN/report.html)");
  add_part(*command, options->split, "Which part is evaluated and checked");
  add_weights(*command, options->weights);
  command->add_option("--jacobians", options->check.jacobians, "As for check")
      ->check(whole(0, 1'000'000));
  add_seed(*command, options->seed, "Of samples and noise");
  options->common.add_to(*command);
  command->footer(
      "Configuration, curves, samples, check and timing; pictures are inside, so the file can be\n"
      "sent on by itself. Of a table: histograms, quantiles and correlations of its columns and\n"
      "shares of categories beside those of samples, and the rows that are least likely.\n\n"
      "Samples are compared with as many rows of the split, at most 1000: the energy distance is\n"
      "0 for equal distributions, and its p-value is below 0.05 for one good model in twenty. A\n"
      "larger one does not prove that the model is right: more rows may tell it from the data.\n"
      "Of a conditional model, rows and samples are compared together with what is given. Missing\n"
      "cells of rows are filled in by the model first, given the others of the row.\n\n"
      "Examples:\n  flowcli report runs/mnist\n"
      "  flowcli report runs/moons --out moons.html --split valid\n");
  command->callback([options] {
    if (!options->out.empty()) check_ending("report", options->out, {".html", ".htm"});
    const Device device = options->common.apply();
    const TrainedModel model = load_model(options->run, options->weights, options->common, device);
    const bool there = with_data_there(model.run).has_value();
    const data::Dataset data = there ? load_data_for(model, "") : data::Dataset();
    const flows::Config& config = model.run.config();
    const std::string title =
        config.model + " on " + std::filesystem::path(config.data.source).filename().string();
    std::string body;
    Json sound, verdict, two_sample;
    std::string told, broken;
    const EpochLog log = model.run.log_of(model.state);
    const std::string warning = flows::warning_of(model.run.path(), model.state);
    if (!warning.empty()) body += "<p>" + markup(warning) + ".</p>\n";
    std::vector<double> scores;
    if (there) {
      scores = scores_of(model, part_of(data, options->split));
      body += html_section("Likelihood, " + options->split + " split",
                           likelihood(model, data, options->split, scores, broken));
    } else if (flows::is_target(config.data.source)) {
      body += html_section("Target", target_fit(model.run));
    } else {
      const char* const kGone = "the data are not there any more: neither evaluated nor checked";
      options->common.note(str("note: ", kGone));
      body += str("<p>", kGone, ".</p>\n");
    }
    std::string apart;
    if (there) {
      const auto test = samples_beside_data(model, data, options->split, options->seed);
      body += html_section("Samples beside the " + options->split + " split",
                           two_sample_section(test, !model.shape.given.empty(),
                                              flows::has_gaps(part_of(data, options->split).x)));
      two_sample = two_sample_json(test);
      if (test) {
        apart = str("  ", told_apart(*test), ": energy distance ", fixed(test->energy_distance, 5),
                    ", p ", fixed(test->p_value, 4), "\n");
      } else if (broken.empty()) {
        broken = "some samples are NaN or infinite; see 'flowcli check'";
      }
    }
    const bool columns_too = there && is_table(data);
    if (!columns_too || model.shape.dims == 2) {
      body += html_section("Pictures", pictures_or_why_not(model, data, options->seed, broken));
    }
    if (columns_too) body += columns(model, data, options->split, scores, options->seed);
    body += html_section("Training", training(model.run, model.state, log));
    if (there) {
      options->check.seed = options->seed;
      const Checkup check = examine(model, log, part_of(data, options->split),
                                    training_rows(data, true, options->split), options->check);
      body += html_section("Check", examination(check));
      if (check.nan && broken.empty()) broken = check.fault;
      sound = check.fault.empty();
      verdict = name_of(check.verdict);
      told = "  " + check.findings.front() + "\n";
    }
    const std::string html =
        html_document(title, body + html_section("Configuration", configuration(model.run)));
    const std::string out = options->out.empty() ? model.run.file("report.html") : options->out;
    atomic_write(out, html);
    options->common.result({{"file", out},
                            {"verdict", verdict},
                            {"sound", sound},
                            {"status", model.state.status},
                            {"two_sample", two_sample}},
                           str("wrote ", out, "\n", told, apart));
    if (!broken.empty()) throw flows::Diverged("[report] " + broken);
  });
}

}  // namespace nf::cli
