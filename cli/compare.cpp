// flowcli compare: several runs in one table, each beside the first on the same rows.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>
#include <set>
#include <sstream>

#include "cli/cli.h"
#include "cli/evaluation.h"
#include "cli/lines.h"
#include "data/columns.h"
#include "data/samples.h"
#include "flows/layers/residual.h"
#include "flows/train/targets.h"
#include "tensor/text.h"

namespace nf::cli {

namespace {

struct CompareOptions {
  Common common;
  std::vector<std::string> runs;
  std::string split = "test", weights = "best";
  EvaluateOptions evaluate;
  int importance = 0;  // draws, of runs that are bounds; 0: no importance-weighted bound
};

/// A run in the table.
struct Compared {
  std::string path, model, data, status;
  std::int64_t parameters = 0;
  double seconds = flows::kNaN;
  std::string data_checksum;
  int levels = data::kLevels;
  KnownData::Part part;              // which rows it is evaluated on
  std::set<std::string> whole = {};  // columns that have probabilities, not densities
  std::vector<double> scores = {};   // log_prob of each; empty: none could be had
  flows::Evaluation mean = {.nats = flows::kNaN,
                            .nats_se = flows::kNaN,
                            .bits_per_dim = flows::kNaN,
                            .bits_per_dim_se = flows::kNaN};
  flows::MeanAndError difference = {};
  Json json = {};
};

/// The scores that a training keeps of its validation rows, where they are what is asked for.
std::vector<double> kept_scores(const TrainedModel& model, const CompareOptions& options) {
  if (options.split != "valid" || options.weights != "best" || options.evaluate.noise_draws != 1 ||
      options.evaluate.seed != 0 || options.importance > 0) {
    return {};
  }
  const std::optional<HeldOut> kept = held_out_of(model);
  return kept && kept->split == "valid" ? kept->scores : std::vector<double>();
}

/// Scores of the split's rows, read where they are, else those that the run keeps.
void evaluate_run(const TrainedModel& model, const CompareOptions& options, Compared& row) {
  NF_CHECK(!flows::is_target(model.run.config().data.source), "[data] ", row.path,
           " was fitted to a target and has no rows; flowcli eval ", row.path,
           " compares it with the target");
  if (!with_data_there(model.run)) {
    row.scores = kept_scores(model, options);
    NF_CHECK(!row.scores.empty(), "[data] the data of ", row.path, " are not there any more",
             options.split == "test" ? "; --split valid takes the scores that runs keep" : "");
    options.common.note(
        str("note: the data of ", row.path, " are not there: its scores are those that it keeps"));
    row.mean = flows::evaluation_of(*model.density, row.scores);
    row.json = json_of(model, row.mean, row.data, options.split, 0);
    Comparison().add_to(row.json);
    return;
  }
  RowOptions choice;
  choice.split = options.split;
  flows::EvaluateOptions evaluate = options.evaluate;
  const bool weighted =
      options.importance > 0 && model.density->bound() && !flows::estimates_log_det(*model.density);
  if (weighted) evaluate = importance_weighted(evaluate, options.importance);
  Evaluated evaluated = evaluate_rows(model, choice.load(model), evaluate);
  row.scores = std::move(evaluated.scores);
  row.mean = evaluated.mean;
  row.json = std::move(evaluated.json);
  row.json["importance"] = weighted ? Json(options.importance) : Json();
}

/// The columns of a run that are integers or categories.
std::set<std::string> whole_columns_of(const RunFolder& run) {
  const data::Dataset& shape = run.known().shape;
  if (shape.discrete) return {};
  const auto types =
      data::column_types(run.config().data.types, shape.columns, shape.dims, shape.given);
  const std::vector<std::string> names =
      shape.columns.empty() ? data::numbered(shape.dims) : shape.columns;
  std::set<std::string> whole;
  for (std::size_t j = 0; j < names.size(); ++j) {
    if (types[j].integer || types[j].category) whole.insert(names[j]);
  }
  return whole;
}

/// What cannot be evaluated has a row without numbers, and a note that says why.
Compared compared(const std::string& path, const CompareOptions& options, Device device) {
  const RunFolder run = RunFolder::open(path);
  const RunState state = run.state();
  const KnownData& known = run.known();
  Compared row{.path = path,
               .model = run.config().model,
               .data = std::filesystem::path(run.config().data.source).filename().string(),
               .status = state.status,
               .data_checksum = known.shape.checksum,
               .levels = known.shape.levels,
               .part = known.part(options.split),
               .whole = whole_columns_of(run)};
  if (const auto log = run.log_of(state); log && !log->empty()) row.seconds = log->back().seconds;
  try {
    const TrainedModel model = load_model(path, options.weights, options.common, device);
    row.parameters = model.density->parameter_count();
    evaluate_run(model, options, row);
  } catch (const Error& error) {
    options.common.note(str("note: ", path, " is not evaluated: ", error.what()));
  }
  return row;
}

/// Why scores of two runs cannot be paired; empty where they can.
std::string unlike(const Compared& a, const Compared& first) {
  // Runs that are given different things may still model the same rows.
  if (a.part.count == first.part.count && !a.part.rows.empty() && a.part.rows == first.part.rows) {
    return "";
  }
  if (a.data_checksum != first.data_checksum) return "was trained on other data than";
  if (a.levels != first.levels) return "is of pixels of other bits than";
  if (a.part.count != first.part.count || a.part.checksum != first.part.checksum) {
    return "has other rows in that part than";
  }
  return "";
}

/// Why the nats of two runs are not figures of one kind; empty where they are.
std::string unlike_figures(const Compared& a, const Compared& first) {
  if (!std::isfinite(a.difference.mean)) return "";
  for (const auto& [one, other] : {std::pair{&a, &first}, std::pair{&first, &a}}) {
    for (const std::string& name : one->whole) {
      if (other->whole.count(name) > 0) continue;
      return str("column '", printable(name), "' has probabilities in ", one->path,
                 " and densities in ", other->path,
                 ": nats of different kinds, whose difference says nothing");
    }
  }
  const bool bound = a.json.value("bound", false), of_first = first.json.value("bound", false);
  if (bound && of_first && a.model != first.model && (a.model == "vae" || first.model == "vae")) {
    return str("the nats of ", a.path, " and ", first.path,
               " are lower bounds of different kinds: their gaps are part of the difference");
  }
  if (bound == of_first) return "";
  return str("the nats of ", bound ? a.path : first.path, " are a lower bound, those of ",
             bound ? first.path : a.path, " exact: the bound's gap is part of the difference");
}

void add_differences(std::vector<Compared>& rows, const CompareOptions& options) {
  const Compared& first = rows.front();
  for (Compared& row : rows) {
    if (row.scores.empty() || first.scores.empty()) continue;
    const std::string why = unlike(row, first);
    if (why.empty()) {
      row.difference = flows::paired_difference(row.scores, first.scores);
    } else {
      options.common.note(str("note: no difference: ", row.path, " ", why, " ", first.path));
    }
  }
}

Json json_of(const Compared& row, const std::string& split) {
  Json json = {{"run", row.path}, {"model", row.model}};
  if (row.json.is_object()) {
    json.update(row.json);
  } else {
    for (const char* key : {"nats", "nats_se", "bits_per_dim", "bits_per_dim_se", "bits_per_row",
                            "bits_per_row_se", "dims", "count"}) {
      json[key] = {};
    }
    json.update(
        Json{{"data", row.data}, {"split", split}, {"trained_on", {}}, {"status", row.status}});
    for (const char* key :
         {"noise_draws", "bound", "estimated", "convention", "device", "precision"})
      json[key] = {};
    Comparison().add_to(json);
  }
  json.emplace("importance", Json());
  json["parameters"] = row.parameters > 0 ? Json(row.parameters) : Json();
  json["seconds"] = number(row.seconds);
  json["difference"] = number(row.difference.mean);
  json["difference_se"] = number(row.difference.error);
  return json;
}

std::string short_with_error(double value, double error) {
  if (!std::isfinite(value)) return "-";
  return short_number(value) + (std::isfinite(error) ? " +- " + short_number(error) : "");
}

/// The names of the folders where these tell the runs apart, else their paths.
std::vector<std::string> names_of(const std::vector<Compared>& rows) {
  std::vector<std::string> names, paths;
  for (const Compared& row : rows) {
    const std::filesystem::path path = row.path;
    paths.push_back(row.path);
    names.push_back((path.has_filename() ? path : path.parent_path()).filename().string());
  }
  const bool differ = std::set<std::string>(names.begin(), names.end()).size() == names.size();
  return differ ? names : paths;
}

using Cells = std::vector<std::vector<std::string>>;  // the first row: what the columns hold

/// The columns of the table that are at `which`.
Cells columns_of(const Cells& table, const std::vector<std::size_t>& which) {
  Cells out;
  for (const auto& row : table) {
    out.emplace_back();
    for (const std::size_t c : which) out.back().push_back(row[c]);
  }
  return out;
}

/// Each run in two lines: its name, with what tells it from others, and its numbers.
std::string in_two_lines(const std::vector<std::string>& names, const Cells& numbers,
                         std::size_t width) {
  std::istringstream lines(table_text(numbers, width, {.lines = true}));
  std::string out;
  std::size_t at = 0;
  for (std::string line; std::getline(lines, line); ++at) {
    const std::size_t run = at - 2;  // below the headers and their line
    if (at >= 2 && run < names.size()) {
      const std::string& name = names[run];
      out += (name.size() <= width ? name : "..." + name.substr(name.size() + 3 - width)) + "\n";
    }
    out += line + "\n";
  }
  return out;
}

/// One table where it fits, else without what all runs share, which is told below; else with names
/// on lines of their own.
std::string table_of(const std::vector<Compared>& rows, std::size_t width) {
  const std::vector<std::string> names = names_of(rows);
  Cells table = {
      {"run", "nats", "difference", "bits/dim", "model", "data", "parameters", "time", "status"}};
  for (const Compared& row : rows) {
    const bool first = &row == &rows.front();
    const std::string& name = names[table.size() - 1];
    table.push_back({name, short_with_error(row.mean.nats, row.mean.nats_se),
                     first ? "-" : short_with_error(row.difference.mean, row.difference.error),
                     std::isfinite(row.mean.nats) ? fixed(row.mean.bits_per_dim, 4) : "-",
                     row.model, row.data, row.parameters > 0 ? str(row.parameters) : "-",
                     std::isfinite(row.seconds) ? duration_text(row.seconds) : "-", row.status});
  }
  const TableLayout whole{.shrinks = 5, .lines = true};
  if (rows.size() < 2 || table_width(table, whole) <= width) return table_text(table, width, whole);

  constexpr std::size_t kName = 0, kModel = 4, kData = 5, kParameters = 6, kStatus = 8;
  std::vector<std::size_t> left, numbers;
  std::vector<std::string> shared, own = names;
  for (std::size_t c = 0; c < table[0].size(); ++c) {
    const bool same =
        std::all_of(table.begin() + 2, table.end(),
                    [&](const std::vector<std::string>& row) { return row[c] == table[1][c]; });
    const bool tells = c == kModel || c == kData || c == kStatus;
    if (same && (tells || c == kParameters)) {
      shared.push_back(table[1][c] + (c == kParameters ? " parameters" : ""));
      continue;
    }
    left.push_back(c);
    if (!tells && c != kName) numbers.push_back(c);
    for (std::size_t r = 0; tells && r < own.size(); ++r) {
      own[r] += (own[r] == names[r] ? ": " : ", ") + table[r + 1][c];
    }
  }
  const std::string below = shared.empty() ? "" : "  all: " + join(shared, ", ") + "\n";
  const Cells fewer = columns_of(table, left);
  const TableLayout uncut{.shrinks = kNoColumn, .lines = true};
  if (table_width(fewer, uncut) <= width) return table_text(fewer, width, uncut) + below;
  Cells indented = columns_of(table, numbers);
  for (auto& row : indented) row.insert(row.begin(), &row == &indented.front() ? "run" : "");
  if (table_width(indented, uncut) > width) return table_text(table, width, whole);
  return in_two_lines(own, indented, width) + below;
}

}  // namespace

void add_compare(CLI::App& app) {
  auto options = std::make_shared<CompareOptions>();
  CLI::App* command = app.add_subcommand("compare", "Several runs in one table");
  command->add_option("RUN", options->runs, "Run folders; differences are to the first")
      ->required();
  add_part(*command, options->split, "Which part is evaluated");
  add_weights(*command, options->weights);
  options->evaluate.add_to(*command);
  command
      ->add_option("--importance", options->importance,
                   "Of runs that are lower bounds: the importance-weighted bound of so many draws "
                   "for each sample, as eval has it")
      ->check(whole(1, 1'000'000))
      ->type_name("K");
  options->common.add_to(*command);
  command->footer(
      "Differences are nats on the same rows, with the standard error of the differences row by\n"
      "row; above 0, a run is better than the first. With --json: a list.\n\n"
      "Examples:\n  flowcli compare runs/moons runs/table\n"
      "  flowcli compare runs/moons runs/glyphs --split valid --json\n");
  command->callback([options] {
    const Device device = options->common.apply();
    std::vector<Compared> rows;
    for (const std::string& run : options->runs) rows.push_back(compared(run, *options, device));
    add_differences(rows, *options);
    Json all = Json::array();
    bool any = false;
    std::string care;
    for (const Compared& row : rows) {
      all.push_back(json_of(row, options->split));
      const std::string unlike = unlike_figures(row, rows.front());
      all.back()["difference_note"] = unlike.empty() ? Json() : Json(unlike);
      if (!unlike.empty()) care += "  CARE: " + unlike + "\n";
      any = any || std::isfinite(row.mean.nats);
    }
    options->common.result(all, table_of(rows, output_width()) + "  nats of the " + options->split +
                                    " split; difference: to the first run, on the same rows\n" +
                                    care);
    NF_CHECK(any, "[compare] none of the runs could be evaluated");
  });
}

}  // namespace nf::cli
