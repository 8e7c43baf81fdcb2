#include <algorithm>
#include <cmath>

#include "cli/infer.h"
#include "cli/settings.h"
#include "data/columns.h"
#include "data/csv.h"
#include "data/edges.h"
#include "flows/models/model.h"
#include "tensor/text.h"

namespace nf::cli {

namespace {

data::Table read_table(const std::string& path, const Common& common) {
  data::Table table = data::read_csv(path);
  for (const std::string& note : table.notes) common.note("note: " + note);
  return table;
}

}  // namespace

std::string quoted_name(const std::string& name) { return '"' + name + '"'; }

Problem read_problem(const InferOptions& options) {
  const data::Table prior = read_table(options.prior, options.common);
  NF_CHECK(data::named(prior.columns), "[infer] '", printable(options.prior),
           "' has no line of names above its numbers: they are those of the parameters");
  data::Table observed = read_table(options.observed, options.common);
  if (!data::named(observed.columns)) {
    for (std::string& name : observed.columns) name.insert(0, "x");
  }
  Problem problem{prior.columns, observed.columns, prior.values, observed.values};
  std::vector<std::string> all = problem.parameters;
  all.insert(all.end(), problem.data.begin(), problem.data.end());
  for (const std::string& name : all) {
    NF_CHECK(std::count(all.begin(), all.end(), name) == 1, "[infer] the name '", printable(name),
             "' stands twice in the parameters and the data; rename it");
    NF_CHECK(data::named({name}) && name.find('"') == name.npos, "[infer] the name '",
             printable(name), "' is a number or has a double quote; rename it");
  }
  const std::int64_t rows = problem.observed.dim(0);
  check_usage(options.rounds == 1 || rows == 1, "[infer] rounds look at one observation, and '",
              printable(options.observed), "' has ", rows, " rows; leave out --rounds");
  return problem;
}

std::string types_of(const InferOptions& options, const Problem& problem) {
  std::vector<std::string> types, told;
  if (!options.types.empty()) types.push_back(options.types);
  try {
    data::column_types(options.types, problem.parameters, std::ssize(problem.parameters),
                       problem.data);
  } catch (const Error& error) {
    throw UsageError(error.what());
  }
  const auto given = data::named_types(options.types);
  for (std::size_t i = 0; i < problem.parameters.size(); ++i) {
    const std::string& name = problem.parameters[i];
    const auto is_this = [&](const auto& type) { return type.first == name; };
    if (std::any_of(given.begin(), given.end(), is_this)) continue;
    const auto column = static_cast<std::int64_t>(i);
    const data::Edges edges =
        data::edges_of(problem.prior.narrow(1, column, 1).to_vector<double>());
    const auto text = [](double edge) { return std::isfinite(edge) ? digits(edge) : ""; };
    if (!std::isfinite(edges.low) && !std::isfinite(edges.high)) continue;
    const std::string bounds = str("=bounded:", text(edges.low), ":", text(edges.high));
    types.push_back(quoted_name(name) + bounds);
    told.push_back(printable(name) + bounds);
  }
  if (!told.empty()) {
    options.common.note("bounds, where draws of the prior end at an edge: " + join(told, ", ") +
                        " (--types says otherwise)");
  }
  return join(types, ",");
}

void check_settings(const InferOptions& options) {
  flows::Config config = flows::preset(options.model);
  for (const std::string& setting : options.settings) {
    try {
      flows::set(config, setting);
    } catch (const Error& error) {
      throw UsageError(error.what());
    }
    for (const char* key : {"data", "given", "types", "missing", "seed", "columns", "drop"}) {
      check_usage(setting.substr(0, setting.find('=')) != key, "[infer] --set ", key,
                  " is decided by the simulations");
    }
  }
}

}  // namespace nf::cli
