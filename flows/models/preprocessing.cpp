#include "flows/models/preprocessing.h"

#include <cmath>
#include <utility>
#include <vector>

#include "data/columns.h"
#include "data/dataset.h"
#include "data/setting_error.h"
#include "flows/layers/bounded.h"
#include "flows/layers/dequantize.h"
#include "flows/layers/level_cdf.h"
#include "flows/layers/logit.h"
#include "flows/layers/scaling.h"
#include "flows/layers/standardize.h"
#include "flows/models/kinds.h"

namespace nf::flows {

std::vector<Field> Preprocessing::fields() {
  return {
      {"preprocess",
       "auto: for images unit in nice and realnvp-2d, symmetric in glow, logit in others; standard "
       "for real data, none for built-in densities; symmetric: "
       "pixels in [-1,1]; cdf: every pixel through its own distribution function",
       &preprocess, preprocessings().all()},
      {"alpha", "of logit preprocessing", &alpha, {}, kLeastAlpha, 0.49},
  };
}

std::string resolved_preprocess(const std::string& preprocess, const DataShape& data) {
  if (preprocess != "auto") return preprocess;
  return data.discrete ? "unit" : data.unit_scale ? "none" : "standard";
}

bool has_logit(const Preprocessing& settings, const DataShape& data) {
  return settings.preprocess == "logit" || (settings.preprocess == "cdf" && data.discrete);
}

namespace {

// What does not apply is an error, never ignored.
void check_kind(const std::string& kind, const DataShape& data) {
  const bool of_levels = kind == "unit" || kind == "symmetric" || kind == "cdf";
  data::check_setting(!data.discrete || of_levels || kind == "logit", "preprocess",
                      "[preprocess] pixels need preprocess = unit, symmetric, logit or cdf, not ",
                      kind);
  data::check_setting(
      data.discrete || !of_levels, "preprocess", "[preprocess] preprocess = ", kind,
      " is for pixels; these data are real numbers: standard, logit (of numbers in [0,1]) or "
      "none");
}

// Pixels to the space in which the couplings work, and how their density is told.
Convention add_pixels(const Preprocessing& settings, const DataShape& data, Compose& flow,
                      const Generator& noise, std::shared_ptr<Transform> variational) {
  const std::string& kind = settings.preprocess;
  const bool symmetric = kind == "symmetric";
  const std::string drawn = variational ? "variational" : "uniform";
  const std::int64_t dims = data.dims;
  const double unit = symmetric ? data.levels / 2.0 : data.levels;  // levels in one unit of x
  if (variational) {
    flow.add("dequantize", std::move(variational));
  } else {
    flow.add("dequantize", std::make_shared<Dequantize>(noise, data.levels));
  }
  if (kind == "cdf") {
    flow.add("cdf", std::make_shared<LevelCdf>(dims, data.levels));
  } else {
    flow.add("scale", std::make_shared<Scale>(1 / unit, symmetric ? -1 : 0));
  }
  if (kind == "logit" || kind == "cdf") flow.add("logit", std::make_shared<Logit>(settings.alpha));
  return {static_cast<double>(dims) * std::log(unit),
          str("nats of x in ", symmetric ? "[-1,1]^" : "[0,1]^", dims,
              data.levels < data::kLevels ? str(", ", data.levels, " levels") : "", ", ", drawn,
              " dequantisation; bits/dim = ", std::log2(unit), " - nats/(", dims, " ln 2)")};
}

// The same for real numbers.
Convention add_reals(const Preprocessing& settings, const std::string& types, const DataShape& data,
                     Compose& flow, const Generator& noise) {
  const std::vector<std::int32_t> integers = data::integer_columns(types, data.columns, data.dims);
  if (!integers.empty()) {
    flow.add("dequantize", std::make_shared<DequantizeColumns>(noise, data.dims, integers));
  }
  std::vector<std::pair<double, double>> bounds;
  bool bounded = false;
  for (const data::ColumnType& type : data::column_types(types, data.columns, data.dims)) {
    bounds.emplace_back(type.low, type.high);
    bounded = bounded || type.bounded();
  }
  if (bounded) flow.add("bounds", std::make_shared<Bounded>(bounds));
  if (settings.preprocess == "standard") {
    flow.add("standardize",
             std::make_shared<Standardize>(data.dims, data.columns, /*wide=*/true, data.spread));
  }
  if (settings.preprocess == "logit") flow.add("logit", std::make_shared<Logit>(settings.alpha));
  const std::string noisy = integers.empty() ? ""
                                             : str(", uniform dequantisation of ", integers.size(),
                                                   integers.size() == 1 ? " column" : " columns");
  return {0, str("nats of x in R^", data.dims, " as given", noisy, "; bits/dim = -nats/(",
                 data.dims, " ln 2)")};
}

}  // namespace

void check_preprocessing(const Preprocessing& settings, const DataSettings& data_settings,
                         const DataShape& data) {
  const std::string &kind = settings.preprocess, &types = data_settings.types;
  preprocessings().at(kind);  // throws for what is no name
  check_kind(kind, data);
  data::check_setting(types.empty() || !data.discrete, "types",
                      "[types] pixels are whole numbers already; types is for tables");
  data::check_setting(types.empty() || kind == "standard", "types",
                      "[types] whole numbers and bounds need preprocess = standard, not ", kind);
}

Convention add_preprocessing(const Preprocessing& settings, const DataSettings& data_settings,
                             const DataShape& data, Compose& flow, const Generator& noise,
                             std::shared_ptr<Transform> variational) {
  return data.discrete ? add_pixels(settings, data, flow, noise, std::move(variational))
                       : add_reals(settings, data_settings.types, data, flow, noise);
}

}  // namespace nf::flows
