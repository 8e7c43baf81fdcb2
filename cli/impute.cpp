// flowcli impute: fills in the missing cells of a table by draws.
#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <numeric>

#include "cli/choice.h"
#include "cli/cli.h"
#include "cli/given.h"
#include "cli/partial.h"
#include "cli/table.h"
#include "data/csv.h"
#include "tensor/memory.h"
#include "tensor/ops.h"

namespace nf::cli {

namespace {

constexpr int kDrawsOfMedian = 101;
constexpr double kMostDraws = 1e7;

struct ImputeOptions {
  Common common;
  ModelOptions model;
  std::string data, out;
  std::int64_t draws = 1;
  bool median = false;
  std::uint64_t seed = 0;
};

// The middle one of these numbers; of a category the most frequent.
double typical(std::vector<double> draws, bool category) {
  if (!category) {
    const auto middle = draws.begin() + std::ssize(draws) / 2;
    std::nth_element(draws.begin(), middle, draws.end());
    return *middle;
  }
  std::map<double, int> counts;
  for (const double value : draws) ++counts[value];
  return std::max_element(counts.begin(), counts.end(),
                          [](const auto& a, const auto& b) { return a.second < b.second; })
      ->first;
}

// Each row `each` times in a row, its missing cells drawn anew.
Tensor drawn(flows::AnyOrder& density, const Tensor& rows, std::int64_t each, Generator& gen) {
  const std::int64_t n = rows.dim(0) * each;
  check_usage(static_cast<double>(n) <= kMostDraws, "[impute] ", each, " draws of ", rows.dim(0),
              " rows are more than ", kMostDraws, "; give a smaller -n or fewer rows");
  const Tensor x = spread_over(rows, n).to(density.device());
  return density.complete(gen, x, Tensor::ones(x.shape(), DType::F32, x.device())).to(Device::CPU);
}

// (M, D): for each cell that is missing in `rows` the typical one of `draws` (M each, D).
Tensor typical_rows(const Tensor& rows, const Tensor& draws, const data::Dataset& shape) {
  const std::vector<double> given = rows.to_vector<double>(), all = draws.to_vector<double>();
  const auto dims = static_cast<std::size_t>(shape.dims);
  const std::size_t each = all.size() / given.size();
  std::vector<double> out = given;
  for (std::size_t at = 0; at < given.size(); ++at) {
    if (!std::isnan(given[at])) continue;
    std::vector<double> values;
    const std::size_t row = at / dims, column = at % dims;
    for (std::size_t k = 0; k < each; ++k) values.push_back(all[(row * each + k) * dims + column]);
    out[at] = typical(values, data::is_category(shape, static_cast<std::int64_t>(column)));
  }
  return Tensor::from(out, rows.shape());
}

// Rows (from 0) that lack something, and how many cells that is.
std::pair<std::vector<std::int32_t>, std::int64_t> gaps_of(const Tensor& rows) {
  const std::vector<double> cells = rows.to_vector<double>();
  const auto dims = static_cast<std::size_t>(rows.dim(1));
  std::vector<std::int32_t> lacking;
  std::int64_t count = 0;
  for (std::size_t at = 0; at < cells.size(); ++at) {
    if (!std::isnan(cells[at])) continue;
    ++count;
    const auto row = static_cast<std::int32_t>(at / dims);
    if (lacking.empty() || lacking.back() != row) lacking.push_back(row);
  }
  return {lacking, count};
}

void write_completed(const std::string& out, const Tensor& rows, std::int64_t each,
                     const TrainedModel& model) {
  std::vector<std::string> names = data_columns(model.shape);
  std::vector<bool> whole = whole_columns(model);
  auto words = words_of(model.shape, names.size(), /*with_data=*/true, /*with_given=*/false);
  Tensor table = rows;
  if (each > 1) {
    std::vector<double> numbers(static_cast<std::size_t>(rows.dim(0)));
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      numbers[i] = static_cast<double>(static_cast<std::int64_t>(i) / each);
    }
    table = concat(std::vector{Tensor::from(numbers, {rows.dim(0), 1}), rows}, 1);
    names.insert(names.begin(), "row");
    whole.insert(whole.begin(), true);
    words.insert(words.begin(), std::vector<std::string>());
  }
  write_text(out, [&](const data::CsvWriter::Sink& sink) {
    data::CsvWriter(sink, names, whole, words).add(table);
  });
}

void impute(const ImputeOptions& options) {
  const Device device = options.common.apply();
  const TrainedModel model = options.model.load(options.common, device);
  flows::AnyOrder& density = need_any_order(model, "impute");
  const std::string out = out_path(options.out, model.run, "imputed.csv");
  if (out != kStandardOutput) check_ending("impute", out, {".csv"});
  check_stdout("impute", out, options.common);
  const Tensor rows = known_cells_of_file(options.data, model);
  const auto [lacking, cells] = gaps_of(rows);
  const std::int64_t each = options.draws;
  Tensor completed = spread_over(rows, rows.dim(0) * each);
  if (!lacking.empty()) {
    Generator gen(options.seed);
    const Tensor index = Tensor::from(lacking, {std::ssize(lacking)});
    const Tensor part = index_select(rows, 0, index);
    const Tensor draws = drawn(density, part, options.median ? kDrawsOfMedian : each, gen);
    const Tensor filled = options.median ? typical_rows(part, draws, model.shape) : draws;
    std::vector<std::int32_t> all(static_cast<std::size_t>(rows.dim(0))), places;
    std::int32_t next = 0;  // of each row of the output, where it is in (rows, filled)
    for (std::int32_t row = 0; row < static_cast<std::int32_t>(rows.dim(0)); ++row) {
      const bool lacks = next < static_cast<std::int32_t>(lacking.size()) &&
                         lacking[static_cast<std::size_t>(next)] == row;
      for (std::int32_t k = 0; k < static_cast<std::int32_t>(each); ++k) {
        const auto at = static_cast<std::int32_t>(each);
        places.push_back(lacks ? static_cast<std::int32_t>(rows.dim(0)) + next * at + k : row);
      }
      next += lacks ? 1 : 0;
    }
    completed = index_select(concat(std::vector{rows, filled}, 0), 0,
                             Tensor::from(places, {std::ssize(places)}));
  }
  write_completed(out, completed, each, model);
  tell_result(options.common, out,
              {{"file", out},
               {"rows", rows.dim(0)},
               {"rows_with_gaps", lacking.size()},
               {"cells", cells},
               {"draws", each}},
              str("filled in ", cells, cells == 1 ? " cell" : " cells", " in ", lacking.size(),
                  " of ", rows.dim(0), " rows", each > 1 ? str(", ", each, " times") : "",
                  "; wrote ", shown_out(out), "\n"));
}

}  // namespace

void add_impute(CLI::App& app) {
  auto options = std::make_shared<ImputeOptions>();
  CLI::App* command =
      app.add_subcommand("impute", "Missing cells of a table, drawn given the others");
  options->model.add_to(*command);
  command
      ->add_option("--data", options->data,
                   "CSV file whose empty cells (NA, ?, ...) are filled in; -: standard input. "
                   "Columns that it does not have are drawn, too")
      ->required()
      ->type_name("FILE");
  auto* draws = command
                    ->add_option("-n,--count", options->draws,
                                 "How many completed rows for each row, with its number (from 0) "
                                 "in a first column: multiple imputation")
                    ->check(whole(1, 100'000))
                    ->capture_default_str();
  command
      ->add_flag("--median", options->median,
                 "No draw but the median of 101, of a category the most frequent: best for one "
                 "cell, but less varied than the data")
      ->excludes(draws);
  add_seed(*command, options->seed, "Of the draws");
  command->add_option("--out", options->out,
                      "FILE.csv or - (standard output) (default: RUN/imputed.csv)");
  options->common.add_to(*command);
  command->footer(
      "For runs of tabular. A cell that is there stays as it is. Columns that the model does not\n"
      "know are left out.\n\n"
      "Examples:\n  flowcli impute runs/people --data people.csv --out whole.csv\n"
      "  flowcli impute runs/people --data people.csv -n 20 --out draws.csv\n");
  command->callback([options] { impute(*options); });
}

}  // namespace nf::cli
