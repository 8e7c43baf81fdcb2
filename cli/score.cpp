// flowcli score: the log density of every image or row, to find the unusual ones.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <memory>
#include <numeric>
#include <optional>

#include "cli/choice.h"
#include "cli/cli.h"
#include "cli/evaluation.h"
#include "cli/lines.h"
#include "cli/score.h"
#include "cli/table.h"
#include "data/npy.h"
#include "flows/layers/residual.h"
#include "flows/models/surprise.h"
#include "tensor/ops.h"
#include "tensor/random.h"
#include "tensor/text.h"

namespace nf::cli {

namespace {

constexpr std::uint64_t kAgainstStream = 0x6761696E;  // "gain"

// What scores are ordered by, the most unusual lowest; NaN, a density that cannot even be told,
// before all.
std::vector<double> ranks_of(const std::vector<double>& scores,
                             const std::optional<Flagging>& flagging) {
  std::vector<double> ranks;
  for (const double score : scores) {
    ranks.push_back(flagging            ? flagging->held_out.rank(score)
                    : std::isnan(score) ? -std::numeric_limits<double>::infinity()
                                        : score);
  }
  return ranks;
}

// Positions of the ranks, the lowest first.
std::vector<std::int32_t> most_unusual_first(const std::vector<double>& ranks) {
  std::vector<std::int32_t> order(ranks.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) {
    return ranks[static_cast<std::size_t>(a)] < ranks[static_cast<std::size_t>(b)];
  });
  return order;
}

// What is written of each row: where it stands, and how unusual it is.
struct Scored {
  const Rows& rows;
  const std::vector<double>& scores;
  const std::optional<Flagging>& flagging;
  std::vector<double> q_values;  // of all rows, where there are p-values
  std::vector<std::string> why;  // of all rows, with --why

  std::optional<std::int64_t> in_file(std::size_t at) const {
    return rows.in_file.empty() ? std::nullopt : std::optional(rows.in_file[at]);
  }
  double p_value(std::size_t at) const { return flagging->held_out.p_value(scores[at]); }
  std::int64_t flagged() const {
    return std::count_if(scores.begin(), scores.end(), [&](double score) {
      return flagging->flags(flagging->held_out.p_value(score));
    });
  }
};

// Lines of the rows at `order`. As .npy f64 (N, 3), and columns for p-values, q-values and flags.
void write_scores(const std::string& out, const Scored& scored,
                  const std::vector<std::int32_t>& order, const flows::Density& density) {
  const bool whys = !scored.why.empty();
  if (out.ends_with(".npy")) {
    std::vector<double> table;
    for (const std::int32_t i : order) {
      const auto at = static_cast<std::size_t>(i);
      const double score = scored.scores[at];
      table.insert(table.end(), {static_cast<double>(scored.rows.number[at]), density.nats(score),
                                 density.bits_per_dim(score)});
      if (!scored.flagging) continue;
      const double p = scored.p_value(at);
      table.insert(table.end(), {p, scored.q_values[at]});
      if (scored.flagging->level) table.push_back(scored.flagging->flags(p) ? 1 : 0);
    }
    return data::write_npy(
        out, Tensor::from(table, {std::ssize(table)}).reshape({std::ssize(order), -1}));
  }
  const ScoreLines csv(density, scored.flagging);
  write_text(out, [&](const data::CsvWriter::Sink& write) {
    write(csv.header(/*q_values=*/true, whys));
    for (const std::int32_t i : order) {
      const auto at = static_cast<std::size_t>(i);
      write(csv.line(scored.rows.number[at], scored.scores[at], scored.in_file(at),
                     scored.flagging ? std::optional(scored.q_values[at]) : std::nullopt,
                     whys ? std::optional(scored.why[at]) : std::nullopt));
    }
  });
}

// The first of `order` as a table for people, and as JSON into `lowest`.
std::string table_of_lowest(const Scored& scored, const std::vector<std::int32_t>& order,
                            const flows::Density& density, Json& lowest) {
  constexpr std::size_t kShown = 10;
  const bool in_file = !scored.rows.in_file.empty() && scored.rows.split != "all";
  std::vector<std::vector<std::string>> lines = {{"row", "nats", "bits/dim"}};
  if (scored.flagging) lines[0].insert(lines[0].end(), {"p-value", "q-value"});
  if (in_file) lines[0].push_back("row of the file");
  if (!scored.why.empty()) lines[0].push_back("why");
  for (std::size_t i = 0; i < std::min(kShown, order.size()); ++i) {
    const auto at = static_cast<std::size_t>(order[i]);
    const double nats = density.nats(scored.scores[at]);
    const double bits = density.bits_per_dim(scored.scores[at]);
    const std::optional<std::int64_t> file_row = scored.in_file(at);
    lowest.push_back({{"row", scored.rows.number[at]},
                      {"nats", number(nats)},
                      {"bits_per_dim", number(bits)},
                      {"file_row", file_row ? Json(*file_row) : Json()}});
    lines.push_back({str(scored.rows.number[at]), fixed(nats, 3), fixed(bits, 4)});
    if (scored.flagging) {
      const double p = scored.p_value(at);
      lowest.back()["p_value"] = p;
      lowest.back()["q_value"] = scored.q_values[at];
      if (scored.flagging->level) lowest.back()["flag"] = scored.flagging->flags(p);
      lines.back().insert(lines.back().end(), {fixed(p, 4), fixed(scored.q_values[at], 4)});
    }
    if (in_file) lines.back().push_back(str(*file_row));
    if (scored.why.empty()) continue;
    lowest.back()["why"] = scored.why[at];
    lines.back().push_back(printable(scored.why[at], 40));
  }
  return table_text(lines, output_width(), {.left = 0});
}

// Whether the rows as a whole are like the held-out ones, and how fine p-values are.
std::string drift_text(const Scored& scored, Json& json) {
  constexpr double kUsual = 0.01;
  const flows::HeldOutScores& held_out = scored.flagging->held_out;
  const flows::HeldOutScores::Drift drift = held_out.drift(scored.scores);
  json["p_value_least"] = held_out.least();
  json["drift_ks"] = number(drift.distance);
  json["drift_p_value"] = number(drift.p_value);
  return str("  p-values in steps of 1/", held_out.size() + 1,
             "; all together they are off uniform by ", fixed(drift.distance, 4),
             " (Kolmogorov-Smirnov, p-value ", short_number(drift.p_value), "): ",
             drift.p_value < kUsual ? "the rows are not drawn as the held-out ones were\n"
                                    : "no drift is seen\n");
}

// Also into JSON.
std::string flagged_text(const Scored& scored, const ScoreOptions& options,
                         const flows::Density& density, Json& json) {
  if (!scored.flagging) return "";
  const Flagging& flagging = *scored.flagging;
  json["held_out"] = flagging.held_out.size();
  json["held_out_split"] = flagging.split;
  json["typicality"] = options.typicality;
  std::string text;
  if (options.typicality) {
    const double mean = density.nats(flagging.held_out.mean());
    json["held_out_nats"] = number(mean);
    text += str("  unusual is what is far from ", fixed(mean, 2), " nats, the mean of ",
                flagging.held_out.size(), " ", flagging.split, " rows\n");
  }
  text += drift_text(scored, json);
  if (!flagging.level) return text;
  const std::int64_t flagged = scored.flagged();
  json["flagged"] = flagged;
  json["flag_level"] = *flagging.level;
  return text + str("  flagged: ", flagged, " of ", scored.scores.size(), ", with a p-value below ",
                    *flagging.level, " beside ", flagging.held_out.size(), " ", flagging.split,
                    " rows\n");
}

// Of each row the columns that make it unusual, beside the held-out rows: "age;sex". Also how
// often an ordinary row has one, as text and into JSON.
std::vector<std::string> why_unusual(const TrainedModel& model, const Rows& rows, std::string& text,
                                     Json& json) {
  auto* const density = dynamic_cast<flows::AnyOrder*>(model.density.get());
  check_usage(density, "[why] ", model.run.path(), " is no model that knows any columns given any ",
              "others: train tabular");
  const std::optional<HeldOut> kept = held_out_of(model);
  NF_CHECK(kept && kept->surprises.defined(), "[why] ", model.run.path(),
           " has no held-out rows to compare with (heldout.safetensors): its training has not "
           "ended, or had no rows for validation or test");
  const flows::UsualSurprises usual(kept->surprises);
  const std::vector<std::string> names = data_columns(model.shape);
  const std::vector<double> all =
      flows::surprises(*density, rows.x, rows.given).to_vector<double>();
  std::vector<std::string> out;
  for (auto at = all.begin(); at != all.end(); at += std::ssize(names)) {
    std::vector<std::string> found;
    for (const std::size_t j : usual.unusual({at, at + std::ssize(names)})) {
      found.push_back(names[j]);
    }
    out.push_back(join(found, ";"));
  }
  const auto with = std::count_if(out.begin(), out.end(), [](const auto& w) { return !w.empty(); });
  json["why_level"] = usual.level();
  json["why_count"] = with;
  text = str("  why: ", with, " of ", out.size(), " rows have one; beside ", kept->surprises.dim(0),
             " held-out rows ", fixed(100 * usual.level(), 1), " % of ordinary ones do\n");
  return out;
}

// What scores are compared with: the part --split; else the test part of what is drawn and of the
// run's own data, and all rows of another file, with a note where some of them were trained on.
Rows rows_against(const ScoreOptions& options, const TrainedModel& model,
                  const std::string& source) {
  RowOptions choice;
  choice.data = source;
  choice.split = options.rows.split;
  if (!choice.split.empty()) return choice.load(model);
  const bool drawn = absolute_source(source).empty();
  data::Dataset data = load_data_for(model, source, /*whole=*/!drawn);
  const bool own = data.checksum == model.run.known().shape.checksum;
  if (own && !drawn) data = load_data_for(model, source);
  Rows rows;
  rows.name = own && !data.test_file.empty() ? data.test_file : data.name;
  const data::Split part = own || drawn ? part_of(data, "test") : all_rows(data);
  rows.x = part.x;
  rows.samples = part.numbers;
  rows.given = part.given;
  if (!own) count_trained_on(model, rows.name, rows.x, rows.given);  // which notes them
  return rows;
}

// Scores of other sources, and how well the density tells them from `scores`. Of more rows than
// there are scores, so many are drawn at random, since files may be sorted.
Json scores_against(const ScoreOptions& options, const TrainedModel& model,
                    const std::vector<double>& scores, const std::optional<Flagging>& flagging,
                    std::string& text) {
  Json out = Json::array();
  for (const std::string& source : options.against) {
    const Rows rows = rows_against(options, model, source);
    const Tensor& all = rows.x;
    Generator gen(0, kAgainstStream);
    const Tensor order = permutation(gen, all.dim(0));
    const std::int64_t count = std::min(all.dim(0), std::ssize(scores));
    const Tensor picked = order.narrow(0, 0, count), x = index_select(all, 0, picked);
    flows::EvaluateOptions evaluate = options.evaluate;
    evaluate.samples = rows.samples.defined() ? index_select(rows.samples, 0, picked) : picked;
    evaluate.given = flows::given_rows(rows.given, picked);
    const std::vector<double> others = flows::score(*model.density, x, evaluate);
    const double area = flows::auroc(scores, others);
    const double mean =
        std::accumulate(others.begin(), others.end(), 0.0) / static_cast<double>(others.size());
    const double nats = model.density->nats(mean);
    out.push_back(
        {{"source", rows.name}, {"count", others.size()}, {"auroc", area}, {"nats", number(nats)}});
    text += str("  AUROC ", fixed(area, 4));
    if (options.typicality) {
      const double of_distance =
          flows::auroc(ranks_of(scores, flagging), ranks_of(others, flagging));
      out.back()["typicality_auroc"] = of_distance;
      text += str(", of typicality ", fixed(of_distance, 4));
    }
    text += str(", mean ", fixed(nats, 2), " nats: ", printable(rows.name), " (", others.size(),
                " samples)\n");
  }
  return out;
}

void check_files(const ScoreOptions& options, const std::string& out, const TrainedModel& model) {
  if (out != kStandardOutput) check_ending("score", out, {".csv", ".npy"});
  check_stdout("score", out, options.common);
  check_usage(!options.why || is_csv(out),
              "[why] names of columns go into CSV: give --out FILE.csv");
  if (options.png.empty()) return;
  check_ending("score", options.png, {".png"});
  check_picture(options.png, options.strangest, model.shape, 0, options.scale);
}

void score_all(const ScoreOptions& options, const TrainedModel& model) {
  const std::string out = options.rows.results_path(options.out, model, "scores", ".csv");
  check_files(options, out, model);
  const std::optional<Flagging> flagging = flagging_of(options, model);
  const Rows rows = options.rows.load(model);
  if (flagging && rows.own && flagging->split == rows.split) {
    options.common.note(str("note: these are the very rows with which p-values compare (",
                            rows.split, "): they say nothing of new data"));
  }
  if (flagging && flows::has_gaps(rows.x)) {
    options.common.note(
        "note: a row with gaps has the score of the cells that are there, which is higher; its "
        "p-value is right where held-out rows have gaps as often");
  }
  const std::vector<double> scores =
      flows::score(*model.density, rows.x, rows.evaluated_with(options.evaluate));
  const std::string broken = describe_nan(*model.density, rows.x, scores, rows.given);
  if (std::all_of(scores.begin(), scores.end(), [](double s) { return std::isnan(s); })) {
    throw flows::Diverged("[score] " + broken);
  }
  if (!broken.empty()) options.common.note("note: " + broken);
  Scored scored{rows, scores, flagging, {}, {}};
  std::string why_text;
  Json json;
  if (options.why) scored.why = why_unusual(model, rows, why_text, json);
  if (flagging) {
    std::vector<double> p_values;
    for (std::size_t i = 0; i < scores.size(); ++i) p_values.push_back(scored.p_value(i));
    scored.q_values = flows::q_values(p_values);
  }
  const std::vector<std::int32_t> unusual = most_unusual_first(ranks_of(scores, flagging));
  std::vector<std::int32_t> as_given(unusual.size());
  std::iota(as_given.begin(), as_given.end(), 0);
  write_scores(out, scored, options.sort ? unusual : as_given, *model.density);

  const std::int64_t n = rows.x.dim(0);
  Json lowest = Json::array();
  std::string text = str("wrote ", n, " scores to ", shown_out(out), "; the most unusual of ",
                         printable(rows.name), " (", rows.split, "):\n") +
                     table_of_lowest(scored, unusual, *model.density, lowest);
  json.update(Json{{"file", out},
                   {"count", n},
                   {"data", rows.name},
                   {"split", rows.split},
                   {"trained_on", rows.trained_on ? Json(*rows.trained_on) : Json()},
                   {"lowest", lowest},
                   {"noise_draws", options.evaluate.noise_draws},
                   {"importance", options.importance > 0 ? Json(options.importance) : Json()},
                   {"bound", model.density->bound()},
                   {"estimated", flows::estimates_log_det(*model.density)},
                   {"convention", convention_of(*model.density)}});
  text += why_text + flagged_text(scored, options, *model.density, json);
  if (!options.png.empty()) {
    const std::int64_t strangest = std::min(n, options.strangest);
    const Tensor first = Tensor::from(unusual, {n}).narrow(0, 0, strangest);
    write_samples_png(options.png, index_select(rows.x, 0, first), model.shape, rows.x, 0,
                      options.scale);
    json["picture"] = options.png;
    text += str("  picture of the ", strangest, " strangest: ", options.png, "\n");
  }
  if (!options.against.empty())
    json["against"] = scores_against(options, model, scores, flagging, text);
  const std::string weighted =
      options.importance > 0 ? str(", importance weighted, draws for each: ", options.importance)
                             : "";
  tell_result(options.common, out, json,
              text + "  " + convention_of(*model.density) + weighted + "\n");
}

}  // namespace

void add_score(CLI::App& app) {
  auto options = std::make_shared<ScoreOptions>();
  CLI::App* command =
      app.add_subcommand("score", "Log density of each image or row: which are unusual?");
  options->model.add_to(*command);
  options->rows.add_to(*command);
  command->add_flag("--sort", options->sort, "Most unusual first, else in the order of the data");
  command->add_option("--out", options->out,
                      "FILE.csv, FILE.npy or - (CSV to standard output): row number, nats, "
                      "bits/dim, in CSV the row of the file (default: RUN/scores.csv; of other "
                      "rows than the test part RUN/scores-NAME.csv of --data NAME, "
                      "RUN/scores.PART.csv; of --data - standard output)");
  command
      ->add_option("--flag", options->flag,
                   "Also p_value, the share of held-out rows that are at least as unlikely, and "
                   "flag, 1 where it is below P")
      ->check(real(0, 1))
      ->type_name("P");
  command->add_flag("--typicality", options->typicality,
                    "Unusual is what is far from the mean nats of held-out rows, above or below: "
                    "p_value (also without --flag), --sort, --png and a second AUROC are of this "
                    "distance");
  command->add_flag("--why", options->why,
                    "Of tabular: also why, the columns that make a row unusual, at most 3: what "
                    "they hold, given the others, is rarer than anything in nearly all held-out "
                    "rows. One ordinary row in twenty has one; of fewer than 19 held-out rows, n, "
                    "one in n + 1");
  auto* png =
      command->add_option("--png", options->png, "Also a picture of the strangest (FILE.png)");
  command->add_option("--strangest", options->strangest, "How many the picture shows")
      ->needs(png)
      ->check(whole(1, 10'000))
      ->capture_default_str();
  add_scale(*command, options->scale)->needs(png);
  command
      ->add_option("--against", options->against,
                   "Another source: how well the density tells its samples from these (AUROC); all "
                   "rows of another file, else the test part; may be repeated")
      ->take_all()
      ->allow_extra_args(false)
      ->type_name(source_type());
  options->evaluate.add_to(*command);
  command
      ->add_option("--importance", options->importance,
                   "Of a model that is a lower bound: the importance-weighted bound of so many "
                   "draws for each row, nearer to its log density")
      ->check(whole(1, 1'000'000));
  options->common.add_to(*command);
  command->footer(
      "A log density says little by itself: whether -12 nats is low depends on the data. The\n"
      "p-value says how many of the rows that the run kept out of its training were as unlikely:\n"
      "of ordinary rows one in a hundred is flagged by --flag 0.01, whatever the data. Many more\n"
      "flags mean that the new rows are not like the old ones, or some are faulty. A p-value\n"
      "cannot be below 1/(n+1) of n held-out rows. A q-value is for many rows at once: of those "
      "whose\n"
      "q-value is at most 0.1 about one in ten, or fewer, is an ordinary row.\n\n"
      "Of images a foreign one can be more likely than all others, as a plain one under a model "
      "of\n"
      "photographs; --typicality finds it, too.\n\n"
      "With --data - rows are scored line by line, as they come. The first one that the run was\n"
      "trained on is told at once, how many there were at the end.\n\n"
      "Examples:\n  flowcli score runs/table --data new.csv --sort --out scores.csv\n"
      "  flowcli score runs/people --data people.csv --why    of tabular\n"
      "  flowcli score runs/mnist --sort --png strangest.png\n"
      "  flowcli score runs/mnist --against glyphs\n"
      "  flowcli score runs/mnist --against glyphs --typicality\n"
      "  flowcli score runs/mnist --data glyphs --flag 0.05\n"
      "  flowcli score runs/mnist --importance 16              of a bound\n"
      "  tail -n +1 -f new.csv | flowcli score runs/table --data - --flag 0.02");
  command->callback([options] {
    const Device device = options->common.apply();
    const TrainedModel model = options->model.load(options->common, device);
    check_importance(model, options->importance);
    if (options->importance > 0) {
      check_usage(options->evaluate.noise_draws == 1,
                  "[importance] has draws of its own: leave --noise-draws out");
      static_cast<flows::EvaluateOptions&>(options->evaluate) =
          importance_weighted(options->evaluate, options->importance);
    }
    options->line_by_line() ? score_line_by_line(*options, model) : score_all(*options, model);
  });
}

}  // namespace nf::cli
