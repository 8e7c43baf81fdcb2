#include "cli/sweep_plan.h"

#include <algorithm>
#include <cstdio>
#include <numeric>

#include "cli/cli.h"
#include "data/csv_cells.h"
#include "data/given.h"
#include "tensor/ops.h"
#include "tensor/random.h"
#include "tensor/text.h"

namespace nf::cli {

std::vector<Try> parse_tries(const std::vector<std::string>& texts) {
  std::vector<Try> out;
  for (const std::string& text : texts) {
    const std::size_t equals = text.find('=');
    check_usage(equals != std::string::npos && equals > 0 && equals + 1 < text.size(), "[sweep] '",
                printable(text), "' is not SETTING=VALUE,VALUE,...");
    Try one{text.substr(0, equals), {}};
    std::replace(one.key.begin(), one.key.end(), '-', '_');
    for (const std::string& value : data::between_commas(text.substr(equals + 1))) {
      one.values.push_back(data::unquoted(value));
      check_usage(std::count(one.values.begin(), one.values.end(), one.values.back()) == 1,
                  "[sweep] ", printable(text), ": '", printable(one.values.back()),
                  "' stands twice");
    }
    for (const Try& other : out) {
      check_usage(other.key != one.key, "[sweep] ", one.key, " stands twice; give its values as ",
                  one.key, "=A,B");
    }
    out.push_back(one);
  }
  return out;
}

namespace {

using Values = std::vector<std::string>;

std::string numbered(std::size_t number) {
  char name[24];
  std::snprintf(name, sizeof name, "%03zu", number);
  return name;
}

std::vector<std::int64_t> counted(std::int64_t count) {
  std::vector<std::int64_t> all(static_cast<std::size_t>(count));
  std::iota(all.begin(), all.end(), 0);
  return all;
}

// --random different numbers below `combinations`. Of few they are the first of a random order; of
// many they are drawn one by one, since that order would not fit into memory.
std::vector<std::int64_t> drawn_of(std::int64_t combinations, std::int64_t random,
                                   std::uint64_t draw_seed) {
  constexpr std::int64_t kFew = 1'000'000;
  Generator gen(draw_seed, 0x7377656570);  // "sweep"
  const auto count = static_cast<std::size_t>(random);
  std::vector<std::int64_t> order;
  if (combinations <= kFew) {
    const auto all = permutation(gen, combinations).to_vector<std::int32_t>();
    order.assign(all.begin(), all.begin() + random);
  }
  while (order.size() < count) {
    const double u = uniform(gen, {1}, DType::F64).item();
    const auto one = static_cast<std::int64_t>(u * static_cast<double>(combinations));
    if (std::find(order.begin(), order.end(), one) == order.end()) order.push_back(one);
  }
  return order;
}

}  // namespace

std::vector<Trial> plan(const std::vector<Try>& tries, std::int64_t random,
                        std::uint64_t draw_seed) {
  double all = 1;
  for (const Try& one : tries) all *= static_cast<double>(one.values.size());
  constexpr double kMostCombinations = 1e15;
  check_usage(all <= kMostCombinations, "[sweep] ", all, " combinations are more than ",
              kMostCombinations);
  const auto combinations = static_cast<std::int64_t>(all);
  const bool drawn = random > 0;
  check_usage(!drawn || random <= combinations, "[sweep] there are ", combinations,
              " combinations only; give --random ", combinations, " or less");
  check_usage(drawn || combinations <= kMostRuns, "[sweep] ", combinations,
              " trainings are more than ", kMostRuns, "; give --random N");
  const std::vector<std::int64_t> order =
      drawn ? drawn_of(combinations, random, draw_seed) : counted(combinations);
  std::vector<Trial> trials;
  for (std::int64_t number : order) {
    Trial trial{.name = numbered(trials.size() + 1), .values = Values(tries.size())};
    for (std::size_t i = tries.size(); i-- > 0;) {
      const auto count = std::ssize(tries[i].values);
      trial.values[i] = tries[i].values[static_cast<std::size_t>(number % count)];
      number /= count;
    }
    trials.push_back(std::move(trial));
  }
  return trials;
}

std::vector<Trial> with_folds(const std::vector<Trial>& trials, std::int64_t folds,
                              std::vector<Try>& tries) {
  const auto all = std::ssize(trials) * folds;
  check_usage(all <= kMostRuns, "[sweep] ", all, " trainings are more than ", kMostRuns,
              "; give fewer --folds or --try");
  Try one{"fold", {}};
  for (std::int64_t fold = 1; fold <= folds; ++fold) {
    one.values.push_back(str(fold, "/", folds));
  }
  tries.push_back(one);
  std::vector<Trial> out;
  for (const Trial& trial : trials) {
    for (const std::string& fold : one.values) {
      out.push_back(trial);
      out.back().name = numbered(out.size());
      out.back().values.push_back(fold);
    }
  }
  return out;
}

std::string settings_text(const std::vector<Try>& tries, const Trial& trial, std::size_t count) {
  std::vector<std::string> parts;
  for (std::size_t i = 0; i < count; ++i) parts.push_back(tries[i].key + "=" + trial.values[i]);
  return printable(join(parts, " "));
}

}  // namespace nf::cli
