// flowcli score: the log density of every image or row, to find the unusual ones.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <memory>
#include <numeric>

#include "cli/choice.h"
#include "cli/cli.h"
#include "cli/lines.h"
#include "data/npy.h"
#include "tensor/files.h"
#include "tensor/ops.h"
#include "tensor/random.h"

namespace nf::cli {

namespace {

constexpr std::uint64_t kAgainstStream = 0x6761696E;  // "gain"

struct ScoreOptions {
  Common common;
  ModelOptions model;
  RowOptions rows;
  std::string out, png;
  std::vector<std::string> against;
  bool sort = false;
  EvaluateOptions evaluate;
  std::int64_t strangest = 64;
  int scale = 0;
};

// Positions of the scores, the lowest first; NaN, a density that cannot even be told, before all.
std::vector<std::int32_t> most_unusual_first(const std::vector<double>& scores) {
  std::vector<std::int32_t> order(scores.size());
  std::iota(order.begin(), order.end(), 0);
  const auto rank = [&](std::int32_t i) {
    const double score = scores[static_cast<std::size_t>(i)];
    return std::isnan(score) ? -std::numeric_limits<double>::infinity() : score;
  };
  std::stable_sort(order.begin(), order.end(),
                   [&](std::int32_t a, std::int32_t b) { return rank(a) < rank(b); });
  return order;
}

// (N, 3): row number, nats in the model's convention, bits/dim.
Tensor table_of(const std::vector<double>& scores, const std::vector<std::int32_t>& order,
                const std::vector<std::int64_t>& number, const flows::Density& density) {
  std::vector<double> table;
  table.reserve(3 * order.size());
  for (const std::int32_t i : order) {
    const auto at = static_cast<std::size_t>(i);
    table.insert(table.end(), {static_cast<double>(number[at]), density.nats(scores[at]),
                               density.bits_per_dim(scores[at])});
  }
  return Tensor::from(table, {std::ssize(order), 3});
}

// `order`: which of `rows` each line of the table is.
void write_table(const std::string& path, const Tensor& table,
                 const std::vector<std::int32_t>& order, const Rows& rows) {
  if (path.ends_with(".npy")) return data::write_npy(path, table);
  atomic_write(path, [&](FileWriter& out) {
    out.write("row,nats,bits_per_dim,file_row\n");
    const double* row = table.data<double>();
    for (const std::int32_t i : order) {
      const std::string in_file =
          rows.in_file.empty() ? "" : str(rows.in_file[static_cast<std::size_t>(i)]);
      out.write(str(static_cast<std::int64_t>(row[0]), ",", fixed(row[1], 6), ",", fixed(row[2], 6),
                    ",", in_file, "\n"));
      row += 3;
    }
  });
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
  if (!own) count_trained_on(model, rows.name, rows.x);  // which notes them
  return rows;
}

// Scores of other sources, and how well the density tells them from `scores`. Of more rows than
// there are scores, so many are drawn at random, since files may be sorted.
Json scores_against(const ScoreOptions& options, const TrainedModel& model,
                    const std::vector<double>& scores, std::string& text) {
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
    const std::vector<double> others = flows::score(*model.density, x, evaluate);
    const double area = flows::auroc(scores, others);
    const double mean =
        std::accumulate(others.begin(), others.end(), 0.0) / static_cast<double>(others.size());
    const double nats = model.density->nats(mean);
    out.push_back(
        {{"source", rows.name}, {"count", others.size()}, {"auroc", area}, {"nats", number(nats)}});
    text += str("  AUROC ", fixed(area, 4), ", mean ", fixed(nats, 2), " nats: ", rows.name, " (",
                others.size(), " samples)\n");
  }
  return out;
}

void score(const ScoreOptions& options) {
  const Device device = options.common.apply();
  const TrainedModel model = options.model.load(options.common, device);
  const std::string out =
      out_path(options.out, model.run, options.rows.file_name("scores", ".csv"));
  check_ending("score", out, {".csv", ".npy"});
  if (!options.png.empty()) {
    check_ending("score", options.png, {".png"});
    check_picture(options.png, options.strangest, model.shape, 0, options.scale);
  }
  const Rows rows = options.rows.load(model);
  flows::EvaluateOptions evaluate = options.evaluate;
  evaluate.samples = rows.samples;
  const std::vector<double> scores = flows::score(*model.density, rows.x, evaluate);
  const std::string broken = describe_nan(*model.density, rows.x, scores);
  if (std::all_of(scores.begin(), scores.end(), [](double s) { return std::isnan(s); })) {
    throw flows::Diverged("[score] " + broken);
  }
  if (!broken.empty()) options.common.note("note: " + broken);
  const std::vector<std::int32_t> unusual = most_unusual_first(scores);
  std::vector<std::int32_t> as_given(unusual.size());
  std::iota(as_given.begin(), as_given.end(), 0);
  const Tensor sorted = table_of(scores, unusual, rows.number, *model.density);
  const std::vector<std::int32_t>& order = options.sort ? unusual : as_given;
  write_table(out, table_of(scores, order, rows.number, *model.density), order, rows);

  const std::int64_t n = rows.x.dim(0), shown = std::min<std::int64_t>(n, 10);
  Json lowest = Json::array();
  std::string text = str("wrote ", n, " scores to ", out, "; the most unusual of ", rows.name, " (",
                         rows.split, "):\n");
  const bool in_file = !rows.in_file.empty() && rows.split != "all";
  std::vector<std::vector<std::string>> lines = {{"row", "nats", "bits/dim"}};
  if (in_file) lines[0].push_back("row of the file");
  const double* row = sorted.data<double>();
  for (std::int64_t i = 0; i < shown; ++i, row += 3) {
    const auto at = static_cast<std::size_t>(unusual[static_cast<std::size_t>(i)]);
    const Json file_row = rows.in_file.empty() ? Json() : Json(rows.in_file[at]);
    lowest.push_back({{"row", static_cast<std::int64_t>(row[0])},
                      {"nats", number(row[1])},
                      {"bits_per_dim", number(row[2])},
                      {"file_row", file_row}});
    lines.push_back({str(static_cast<std::int64_t>(row[0])), fixed(row[1], 3), fixed(row[2], 4)});
    if (in_file) lines.back().push_back(str(rows.in_file[at]));
  }
  text += table_text(lines, output_width(), {.left = 0});
  Json json = {{"file", out},
               {"count", n},
               {"data", rows.name},
               {"split", rows.split},
               {"trained_on", rows.trained_on ? Json(*rows.trained_on) : Json()},
               {"lowest", lowest},
               {"noise_draws", options.evaluate.noise_draws},
               {"bound", model.density->bound()},
               {"convention", convention_of(*model.density)}};
  if (!options.png.empty()) {
    const std::int64_t strangest = std::min(n, options.strangest);
    const Tensor first = Tensor::from(unusual, {n}).narrow(0, 0, strangest);
    write_samples_png(options.png, index_select(rows.x, 0, first), model.shape, rows.x, 0,
                      options.scale);
    json["picture"] = options.png;
    text += str("  picture of the ", strangest, " strangest: ", options.png, "\n");
  }
  if (!options.against.empty()) json["against"] = scores_against(options, model, scores, text);
  options.common.result(json, text + "  " + convention_of(*model.density) + "\n");
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
                      "FILE.csv or FILE.npy: row number, nats, bits/dim, in .csv the row of the "
                      "file (default: RUN/scores.csv; of other rows than the test part "
                      "RUN/scores-NAME.csv of --data NAME, RUN/scores.PART.csv)");
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
  options->common.add_to(*command);
  command->footer(
      "Examples:\n  flowcli score runs/table --data new.csv --sort --out scores.csv\n"
      "  flowcli score runs/mnist --sort --png strangest.png\n"
      "  flowcli score runs/mnist --against glyphs");
  command->callback([options] { score(*options); });
}

}  // namespace nf::cli
