// flowcli calibrate: whether what a model draws is spread as the rows are, above all p(y | x).
#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "cli/calibrate.h"
#include "cli/cli.h"
#include "cli/gaps.h"
#include "cli/given.h"
#include "cli/interrupt.h"
#include "cli/lines.h"
#include "cli/progress.h"
#include "cli/table.h"
#include "flows/examine/calibration.h"
#include "tensor/ops.h"
#include "tensor/text.h"

namespace nf::cli {

namespace {

constexpr double kChance = 0.01;  // of all tests together, for a model that is right

struct CalibrateOptions : CalibrateSettings {
  Common common;
  ModelOptions model;
  RowOptions rows;
};

/// The rank shares of each column, and behind them those of the log density.
class Shares {
 public:
  Shares(const TrainedModel& model, const CalibrateSettings& options)
      : model_(model),
        options_(options),
        gen_(options.seed),
        ties_(options.seed, kTies),
        each_(static_cast<std::size_t>(model.density->dims()) + 1) {}

  /// Until all rows are done, or a signal comes.
  void add(const Rows& rows) {
    const std::int64_t n = rows.x.dim(0);
    constexpr std::int64_t kTogether = 10'000;  // draws
    const std::int64_t part = std::max<std::int64_t>(1, kTogether / options_.draws);
    Progress progress(model_.common.quiet);
    catch_interrupts();
    for (; done_ < n && !interrupted();) {
      const std::int64_t count = std::min(part, n - done_);
      add_part(rows, done_, count);
      done_ += count;
      progress.step(done_, n, "calibrate", str(done_, " of ", n, " rows"));
    }
    progress.clear();
    if (const std::int64_t gaps = done_ > 0 ? gaps_in(rows.x.narrow(0, 0, done_)) : 0; gaps > 0) {
      model_.common.note(str("note: ", gaps, " of ", rows.x.narrow(0, 0, done_).numel(),
                             " cells are missing; each is one draw of the model, given the others ",
                             "of its row"));
    }
  }

  std::int64_t done() const { return done_; }
  const std::vector<std::vector<double>>& each() const { return each_; }

 private:
  static constexpr std::uint64_t kTies = 0x74696573;     // "ties"
  static constexpr std::uint64_t kFills = 0x66696C6C73;  // "fills"

  void add_part(const Rows& rows, std::int64_t first, std::int64_t count) {
    flows::Density& density = *model_.density;
    const Tensor given = rows.given.defined() ? rows.given.narrow(0, first, count) : Tensor();
    const Tensor x = filled(model_, rows.x.narrow(0, first, count), given, fills_);
    const std::int64_t n = count * options_.draws;
    const Tensor beside = spread_over(given, n);
    const Tensor drawn =
        density.sample(gen_, n, 1, given_part(beside, 0, n, density.device())).to(Device::CPU);
    if (!all_finite(drawn)) {
      throw flows::Diverged("[calibrate] some draws are NaN or infinite; see 'flowcli check'");
    }
    keep(flows::rank_shares(x, drawn, ties_), 0);
    const auto scores = [&](const Tensor& of, const Tensor& with) {
      const std::vector<double> all = flows::score(density, of, {.given = with});
      return Tensor::from(all, {std::ssize(all), 1});
    };
    keep(flows::rank_shares(scores(x, given), scores(drawn, beside), ties_), each_.size() - 1);
  }

  void keep(const Tensor& shares, std::size_t first) {
    const std::vector<double> all = shares.to_vector<double>();
    const auto columns = static_cast<std::size_t>(shares.dim(1));
    for (std::size_t i = 0; i < all.size(); ++i) each_[first + i % columns].push_back(all[i]);
  }

  const TrainedModel& model_;
  const CalibrateSettings& options_;
  Generator gen_, ties_;
  std::int64_t done_ = 0;
  std::vector<std::vector<double>> each_;
  Generator fills_{options_.seed, kFills};
};

Json json_of(const flows::Calibration& c, const std::string& fault) {
  Json json = {{"name", c.name},
               {"mean_share", c.mean},
               {"ks", c.ks},
               {"ks_p_value", c.ks_p_value},
               {"coverage", Json::array()},
               {"fault", fault.empty() ? Json() : Json(fault)}};
  for (const flows::Coverage& level : c.coverage) {
    json["coverage"].push_back({{"level", level.level},
                                {"share", level.share()},
                                {"of", level.of},
                                {"p_value", level.p_value}});
  }
  return json;
}

std::vector<std::string> line_of(const flows::Calibration& c) {
  std::vector<std::string> line = {printable(c.name)};
  for (const flows::Coverage& level : c.coverage) line.push_back(fixed(level.share(), 3));
  line.push_back(short_number(c.ks_p_value));
  return line;
}

/// What 95 of 100 right models have.
std::vector<std::string> band_line(const flows::Calibration& c) {
  std::vector<std::string> line = {"by chance"};
  for (const flows::Coverage& level : c.coverage) {
    const auto [low, high] = flows::binomial_band(level.of, level.level, 0.95);
    const auto n = static_cast<double>(level.of);
    line.push_back(fixed(static_cast<double>(low) / n, 3) + "-" +
                   fixed(static_cast<double>(high) / n, 3));
  }
  line.push_back("");
  return line;
}

std::vector<flows::Calibration> calibrations(const TrainedModel& model, const Shares& shares,
                                             const std::vector<double>& levels) {
  std::vector<flows::Calibration> all;
  std::vector<std::string> names = data_columns(model.shape);
  names.push_back("log density");
  for (std::size_t j = 0; j < names.size(); ++j) {
    const bool density = j + 1 == names.size();
    all.push_back(flows::calibration_of(names[j], shares.each()[j], levels,
                                        density ? flows::Region::Highest : flows::Region::Middle));
  }
  return all;
}

void calibrate(const CalibrateOptions& options) {
  const Device device = options.common.apply();
  const TrainedModel model = options.model.load(options.common, device);
  check_usage(!model.shape.discrete,
              "[calibrate] is for tables and points; pixels have too many columns for it");
  const Rows rows = options.rows.load(model);
  const Calibrated found = calibrate_rows(model, rows, options);
  options.common.result(found.json, found.text);
  if (interrupted()) {
    options.common.note(str("interrupted: the first ", found.rows, " of ", rows.x.dim(0), " rows"));
    throw Interrupted();
  }
}

}  // namespace

Calibrated calibrate_rows(const TrainedModel& model, const Rows& rows,
                          const CalibrateSettings& settings) {
  std::vector<double> levels;
  for (const auto& [name, value] : parse_shares(settings.levels, "levels")) levels.push_back(value);
  Shares shares(model, settings);
  shares.add(rows);
  if (shares.done() == 0) throw Interrupted();
  const std::vector<flows::Calibration> all = calibrations(model, shares, levels);
  // Bonferroni: as many tests as there are p-values.
  const double chance = kChance / static_cast<double>(all.size() * (levels.size() + 1));
  std::vector<std::vector<std::string>> table = {{"share within"}};
  for (const double level : levels) table[0].push_back(str(100 * level, " %"));
  table[0].push_back("KS p");
  Json json = {{"data", rows.name},
               {"split", rows.split},
               {"count", shares.done()},
               {"draws", settings.draws},
               {"columns", Json::array()}};
  std::string faults;
  for (const flows::Calibration& c : all) {
    const std::string fault = c.fault(chance);
    table.push_back(line_of(c));
    json["columns"].push_back(json_of(c, fault));
    if (!fault.empty()) faults += str("  FAIL: draws of ", printable(c.name), " are ", fault, "\n");
  }
  table.push_back(band_line(all.front()));
  json["calibrated"] = faults.empty();
  return {.json = json,
          .text = str(printable(rows.name), ", ", rows.split, " split, ", shares.done(), " rows, ",
                      settings.draws, " draws for each\n", table_text(table, output_width()),
                      faults.empty() ? "  pass: rows cannot be told from draws\n" : faults),
          .rows = shares.done()};
}

void add_calibrate(CLI::App& app) {
  auto options = std::make_shared<CalibrateOptions>();
  CLI::App* command =
      app.add_subcommand("calibrate", "Whether draws of a model are spread as the rows are");
  options->model.add_to(*command);
  options->rows.add_to(*command, kCalibratedRows);
  command->add_option("--draws", options->draws, "For each row")
      ->check(whole(10, 1'000'000))
      ->capture_default_str();
  command->add_option("--levels", options->levels, "Shares of the draws whose coverage is told")
      ->type_name("SHARE,...")
      ->capture_default_str();
  add_seed(*command, options->seed, "Of the draws");
  options->common.add_to(*command);
  command->footer(
      "For each row (the first 1000, unless -n or --indices say more) the model draws,\n"
      "given what is given with the row. If the model is right, the row is one more\n"
      "draw: in each column its rank among them is uniform, and the middle half of the\n"
      "draws holds half of the rows. 'log density' does the same for all columns at\n"
      "once, with the likeliest half of the draws. Fewer rows within mean draws that\n"
      "are too narrow: the model is too sure; or draws that are too low or too high.\n"
      "A right model fails once in 100 times. A missing cell is filled in with a draw,\n"
      "given the others of its row: that is right where what is missing depends on what\n"
      "is there alone, and then the row is one more draw, too.\n\n"
      "Examples:\n  flowcli calibrate runs/regression\n"
      "  flowcli calibrate runs/regression --split valid -n 5000 --draws 400\n"
      "  flowcli calibrate runs/regression --levels .5,.99 --json\n");
  command->callback([options] { calibrate(*options); });
}

}  // namespace nf::cli
