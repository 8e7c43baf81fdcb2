// The playground as functions that JavaScript calls. What goes wrong is told by last_error(): a
// function that fails returns NaN or null. Arrays are read by the caller before its next call.
#include <emscripten.h>

#include <exception>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "tensor/ops.h"
#include "tensor/text.h"
#include "web/playground.h"

namespace {

std::unique_ptr<nf::web::Playground> playground;
std::unique_ptr<nf::web::Digits> digits;
std::string error, names;
std::vector<float> numbers;

/// What `body` returns, or `otherwise` where it throws.
template <class Body, class Value>
Value guarded(const Body& body, Value otherwise) {
  try {
    error.clear();
    return body();
  } catch (const std::exception& e) {
    error = e.what();
  }
  return otherwise;
}

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

const float* array_of(const nf::Tensor& t) {
  numbers = t.to(nf::DType::F32).contiguous().to_vector<float>();
  return numbers.data();
}

nf::web::Playground& made() {
  if (!playground) nf::fail("[playground] make a model first");
  return *playground;
}

}  // namespace

#define NF_EXPORT extern "C" EMSCRIPTEN_KEEPALIVE

/// Why the last function failed; empty when it did not.
NF_EXPORT const char* last_error() { return error.c_str(); }

/// Names of the densities, with commas between.
NF_EXPORT const char* density_names() {
  names = nf::join(nf::web::densities(), ",");
  return names.c_str();
}

/// A model for a density of its name; 1, or 0 where it failed.
NF_EXPORT int make_model(const char* model, const char* density, int steps, int seed) {
  return guarded(
      [&] {
        playground.reset();
        playground = std::make_unique<nf::web::Playground>(model, density, steps, seed);
        return 1;
      },
      0);
}

/// A model for `count` drawn points.
NF_EXPORT int make_model_of_points(const char* model, const float* points, int count, double blur,
                                   int steps, int seed) {
  return guarded(
      [&] {
        playground.reset();
        if (count < 0) nf::fail(nf::str("[playground] ", count, " points"));
        const std::span<const float> all(points, 2 * static_cast<std::size_t>(count));
        playground = std::make_unique<nf::web::Playground>(model, all, blur, steps, seed);
        return 1;
      },
      0);
}

/// See Playground for these; arrays are f32.
NF_EXPORT double train(int updates) {
  return guarded([&] { return made().train(updates); }, kNone);
}
NF_EXPORT double loss() {
  return guarded([] { return made().loss(); }, kNone);
}
NF_EXPORT double entropy() {
  return guarded([] { return made().entropy(); }, kNone);
}
NF_EXPORT int steps_done() {
  return guarded([] { return static_cast<int>(made().step()); }, 0);
}
NF_EXPORT const float* data_rows(int n) {
  return guarded([&] { return array_of(made().data(n)); }, static_cast<const float*>(nullptr));
}
NF_EXPORT const float* model_samples(int n) {
  return guarded([&] { return array_of(made().samples(n)); }, static_cast<const float*>(nullptr));
}
NF_EXPORT const float* density_grid(int side, double extent) {
  return guarded([&] { return array_of(made().density(side, extent)); },
                 static_cast<const float*>(nullptr));
}
/// Of n latents (n, 2).
NF_EXPORT const float* warped(const float* latents, int n) {
  return guarded(
      [&] {
        if (n < 0) nf::fail(nf::str("[playground] ", n, " latents"));
        const std::vector<float> z(latents, latents + 2 * static_cast<std::ptrdiff_t>(n));
        return array_of(made().warped(nf::Tensor::from<float>(z, {n, 2})));
      },
      static_cast<const float*>(nullptr));
}

/// Reads the weights of a file; the pictures' side, or 0 where it failed.
NF_EXPORT int load_digits(const char* path) {
  return guarded(
      [&] {
        digits.reset();
        digits = std::make_unique<nf::web::Digits>(path);
        return static_cast<int>(digits->side());
      },
      0);
}
/// n pictures of side^2 numbers from 0 to 255.
NF_EXPORT const float* digit_samples(int n, double temperature) {
  return guarded(
      [&] {
        if (!digits) nf::fail("[playground] open a file of weights first");
        return array_of(digits->samples(n, temperature));
      },
      static_cast<const float*>(nullptr));
}
