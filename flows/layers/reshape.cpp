#include "flows/layers/reshape.h"

namespace nf::flows {

namespace {

Mapped to_samples(const char* layer, const Var& rows, const Shape& sample) {
  NF_CHECK(rows.rank() == 2 && rows.dim(1) == sample.numel(), "[", layer, "] expected (N, ",
           sample.numel(), ") for samples ", sample, ", got ", rows.shape());
  return {reshape(rows, sample.with_inserted(0, rows.dim(0))), zero_log_det(rows)};
}

Mapped to_rows(const char* layer, const Var& x, const Shape& sample) {
  NF_CHECK(x.shape() == sample.with_inserted(0, x.dim(0)), "[", layer, "] expected samples ",
           sample, ", got ", x.shape());
  return {reshape(x, {x.dim(0), sample.numel()}), zero_log_det(x)};
}

}  // namespace

// --- Unflatten, Flatten --------------------------------------------------------------------------

Unflatten::Unflatten(const Shape& sample) : sample_(sample) {}

Mapped Unflatten::forward(const Var& x, const Var&) { return to_samples("Unflatten", x, sample_); }

Mapped Unflatten::inverse(const Var& z, const Var&) { return to_rows("Unflatten", z, sample_); }

Shape Unflatten::out_shape(const Shape& in) const { return sample_.with_inserted(0, in.dim(0)); }

Flatten::Flatten(const Shape& sample) : sample_(sample) {}

Mapped Flatten::forward(const Var& x, const Var&) { return to_rows("Flatten", x, sample_); }

Mapped Flatten::inverse(const Var& z, const Var&) { return to_samples("Flatten", z, sample_); }

Shape Flatten::out_shape(const Shape& in) const { return {in.dim(0), sample_.numel()}; }

// --- Squeeze -------------------------------------------------------------------------------------

Mapped Squeeze::forward(const Var& x, const Var&) {
  const Shape out = out_shape(x.shape());
  const std::int64_t n = out.dim(0), h = out.dim(1), w = out.dim(2), c = x.dim(3);
  const Var squares = permute(reshape(x, {n, h, 2, w, 2, c}), {0, 1, 3, 5, 2, 4});
  return {reshape(squares, out), zero_log_det(x)};
}

Mapped Squeeze::inverse(const Var& z, const Var&) {
  NF_CHECK(z.rank() == 4 && z.dim(3) % 4 == 0, "[Squeeze] expected (N, H, W, 4 C), got ",
           z.shape());
  const std::int64_t n = z.dim(0), h = z.dim(1), w = z.dim(2), c = z.dim(3) / 4;
  const Var squares = permute(reshape(z, {n, h, w, c, 2, 2}), {0, 1, 4, 2, 5, 3});
  return {reshape(squares, {n, 2 * h, 2 * w, c}), zero_log_det(z)};
}

Shape Squeeze::out_shape(const Shape& in) const {
  NF_CHECK(in.rank() == 4 && in.dim(1) % 2 == 0 && in.dim(2) % 2 == 0,
           "[Squeeze] expected images (N, H, W, C) with even H and W, got ", in);
  return {in.dim(0), in.dim(1) / 2, in.dim(2) / 2, 4 * in.dim(3)};
}

}  // namespace nf::flows
