#include "c/nf.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <memory>

#include "c/arrays.h"
#include "c/border.h"
#include "c/model.h"
#include "data/levels.h"
#include "flows/layers/residual.h"
#include "tensor/threads.h"

using namespace nf;
using c::check_call;

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

void check_model(const char* function, const nf_model* model) {
  check_call(model, "[", function, "] the model is NULL; nf_open makes one");
}

// A caller of an older nf.h knows fewer options, one of a newer may want what is not there.
nf_options all_options(const nf_options* given) {
  nf_options options = {};
  if (!given) return options;
  check_call(given->size >= sizeof(nf_options) && given->size % alignof(nf_options) == 0 &&
                 given->size < 4096,
             "[nf_open] options.size is ", given->size, "; set it to sizeof(nf_options), ",
             sizeof(nf_options));
  const auto* const bytes = reinterpret_cast<const unsigned char*>(given);
  for (std::size_t i = sizeof(nf_options); i < given->size; ++i) {
    check_call(bytes[i] == 0, "[nf_open] options of a newer nf.h, which this library (",
               nf_version(), ") does not know");
  }
  std::memcpy(&options, given, sizeof options);
  return options;
}

std::int64_t number_of(const nf_model& model, int what) {
  const data::Dataset& shape = model.shape;
  switch (what) {
    case NF_DIMS:
      return model.dims();
    case NF_HEIGHT:
      return shape.height;
    case NF_WIDTH:
      return shape.width;
    case NF_CHANNELS:
      return shape.channels;
    case NF_LEVELS:
      return shape.discrete ? shape.levels : 0;
    case NF_GIVEN:
      return std::ssize(shape.given);
    case NF_GIVEN_CLASSES:
      return shape.given_classes;
    case NF_PARAMETERS:
      return model.parameters;
    case NF_NOISE:
      return model.density->bound() || flows::estimates_log_det(*model.density) ? 1 : 0;
    case NF_LATENTS:
      return model.parts ? 1 : 0;
    case NF_LATENT_DIMS:
      return model.parts ? model.parts->density.latent_dims() : 0;
    case NF_NOTES:
      return std::ssize(model.notes);
    default:
      c::check_call(false, "[nf_number] there is no number ", what);
      return 0;
  }
}

const std::string& text_of(const nf_model& model, int what, std::int64_t index) {
  static const std::string* const none = new std::string;
  const auto at = [&](const std::vector<std::string>& texts,
                      std::int64_t count) -> const std::string& {
    check_call(index >= 0 && index < count, "[nf_text] index ", index, " of ", count,
               count == 1 ? " text" : " texts");
    return texts.empty() ? *none : texts[static_cast<std::size_t>(index)];
  };
  const auto only = [&](const std::string& text) -> const std::string& {
    check_call(index == 0, "[nf_text] index ", index, " of 1 text");
    return text;
  };
  switch (what) {
    case NF_MODEL:
      return only(model.run.config.model);
    case NF_PATH:
      return only(model.run.path);
    case NF_CONVENTION:
      return only(model.density->convention().text);
    case NF_COLUMN:
      return at(model.shape.columns, model.dims());
    case NF_GIVEN_NAME:
      return at(model.shape.given, std::ssize(model.shape.given));
    case NF_NOTE:
      return at(model.notes, std::ssize(model.notes));
    case NF_CLASS:
      return at(model.shape.class_names, model.shape.given_classes);
    default:
      check_call(false, "[nf_text] there is no text ", what);
      return *none;
  }
}

// Draws of the noise take turns; without any nobody waits. An encoding draws where it fails: to
// tell which layer it was that gave no finite numbers.
std::unique_lock<std::mutex> turn_of_noise(nf_model& model) {
  return model.noise.empty() ? std::unique_lock<std::mutex>() : std::unique_lock(model.noise_turn);
}

std::vector<double> scores_of(nf_model& model, const Tensor& x, const Tensor& given) {
  flows::EvaluateOptions options = model.evaluation;
  options.given = given;
  const c::Turn turn(model.bf16);
  const auto noise = turn_of_noise(model);
  return flows::score_examined(*model.density, x, options, model.noise);
}

// The data (n, D) that a model made, as a caller has them.
void write_data(const nf_model& model, const Tensor& x, const c::View& rows) {
  c::write_rows(model.discrete() ? data::pixels_of_levels(x, model.shape.levels) : x, rows);
}

// What is given where every row must be finite.
Tensor given_with(const char* function, const nf_model& model, const nf_array* given,
                  std::int64_t n) {
  std::vector<std::int64_t> broken;
  Tensor values = c::read_given(function, model, given, n, broken);
  check_call(broken.empty(), "[", function, "] given: row ", broken.empty() ? 0 : broken.front(),
             " has a number that is not finite");
  return values;
}

}  // namespace

extern "C" {

const char* nf_version(void) { return NF_VERSION; }

const char* nf_last_error(void) { return c::last_error(); }

int nf_threads(int32_t threads) {
  return c::guarded([&] {
    check_call(threads >= 0 && threads <= 1024, "[nf_threads] ", threads,
               " threads; give 1 to 1024, or 0 for the default");
    set_num_threads(threads);
  });
}

int nf_open(const char* path, const nf_options* options, nf_model** model) {
  return c::guarded([&] {
    check_call(model, "[nf_open] the place for the model is NULL");
    *model = nullptr;
    check_call(path && *path, "[nf_open] the path of the run is ", path ? "empty" : "NULL");
    *model = std::make_unique<nf_model>(path, all_options(options)).release();
  });
}

int nf_close(nf_model* model) {
  return c::guarded([&] { delete model; });
}

int nf_number(const nf_model* model, int what, int64_t* value) {
  return c::guarded([&] {
    check_model("nf_number", model);
    check_call(value, "[nf_number] the place for the number is NULL");
    *value = number_of(*model, what);
  });
}

int nf_text(const nf_model* model, int what, int64_t index, const char** text) {
  return c::guarded([&] {
    check_model("nf_text", model);
    check_call(text, "[nf_text] the place for the text is NULL");
    *text = text_of(*model, what, index).c_str();
  });
}

int nf_log_prob(nf_model* model, const nf_array* x, const nf_array* given, double* nats) {
  return c::guarded([&] {
    check_model("nf_log_prob", model);
    const c::View rows = c::readable("nf_log_prob", "x", x, model->dims());
    check_call(nats || rows.rows == 0, "[nf_log_prob] the place for the results is NULL");
    if (rows.rows == 0) return;
    std::vector<std::int64_t> broken;
    const Tensor beside = c::read_given("nf_log_prob", *model, given, rows.rows, broken);
    const Tensor values = c::read_data("nf_log_prob", *model, rows, broken);
    const std::vector<double> scores = scores_of(*model, values, beside);
    for (std::size_t i = 0; i < scores.size(); ++i) nats[i] = model->density->nats(scores[i]);
    for (const std::int64_t i : broken) nats[i] = kNaN;
  });
}

int nf_sample(nf_model* model, uint64_t seed, double temperature, const nf_array* given,
              const nf_array* x) {
  return c::guarded([&] {
    check_model("nf_sample", model);
    check_call(temperature >= 0 && std::isfinite(temperature), "[nf_sample] the temperature is ",
               temperature, "; give 0 or more");
    const c::View rows =
        c::writable("nf_sample", "x", x, x ? x->rows : 0, model->dims(), model->discrete());
    if (rows.rows == 0) return;
    const Tensor beside = given_with("nf_sample", *model, given, rows.rows);
    const c::Turn turn(model->bf16);
    Generator gen(seed);
    if (model->parts) {
      return write_data(
          *model,
          flows::sample_in_parts("nf_sample", *model->parts, rows.rows, temperature, gen, beside),
          rows);
    }
    const NoGrad no_grad;
    write_data(*model,
               model->density->sample(gen, rows.rows, temperature,
                                      flows::given_part(beside, 0, rows.rows, Device::CPU)),
               rows);
  });
}

int nf_encode(nf_model* model, const nf_array* x, const nf_array* given, const nf_array* z) {
  return c::guarded([&] {
    check_model("nf_encode", model);
    const flows::InParts& parts = model->latents("nf_encode");
    const c::View rows = c::readable("nf_encode", "x", x, model->dims());
    const c::View out =
        c::writable("nf_encode", "z", z, rows.rows, parts.density.latent_dims(), false);
    if (rows.rows == 0) return;
    const Tensor beside = given_with("nf_encode", *model, given, rows.rows);
    std::vector<std::int64_t> broken;
    const Tensor values = c::read_data("nf_encode", *model, rows, broken);
    check_call(broken.empty(), "[nf_encode] x: row ", broken.empty() ? 0 : broken.front(),
               " has a number that is not finite");
    const c::Turn turn(model->bf16);
    const auto noise = turn_of_noise(*model);
    c::write_rows(flows::encode_in_parts("nf_encode", parts, values, beside), out);
  });
}

int nf_decode(nf_model* model, const nf_array* z, const nf_array* given, const nf_array* x) {
  return c::guarded([&] {
    check_model("nf_decode", model);
    const flows::InParts& parts = model->latents("nf_decode");
    const c::View rows = c::readable("nf_decode", "z", z, parts.density.latent_dims());
    const c::View out =
        c::writable("nf_decode", "x", x, rows.rows, model->dims(), model->discrete());
    if (rows.rows == 0) return;
    const Tensor beside = given_with("nf_decode", *model, given, rows.rows);
    const Tensor latents = c::read_finite("nf_decode", "z", rows).to(DType::F32);
    const auto part = [&](std::int64_t first, std::int64_t count) {
      return latents.narrow(0, first, count);
    };
    const c::Turn turn(model->bf16);
    write_data(*model, flows::decode_in_parts("nf_decode", parts, rows.rows, part, beside), out);
  });
}

}  // extern "C"
