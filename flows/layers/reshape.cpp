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

namespace {

Shape squeezed_shape(const Shape& in) {
  NF_CHECK(in.rank() == 4 && in.dim(1) % 2 == 0 && in.dim(2) % 2 == 0,
           "[Squeeze] expected images (N, H, W, C) with even H and W, got ", in);
  return {in.dim(0), in.dim(1) / 2, in.dim(2) / 2, 4 * in.dim(3)};
}

Shape unsqueezed_shape(const Shape& in) {
  NF_CHECK(in.rank() == 4 && in.dim(3) % 4 == 0, "[Squeeze] expected (N, H, W, 4 C), got ", in);
  return {in.dim(0), 2 * in.dim(1), 2 * in.dim(2), in.dim(3) / 4};
}

Var squeeze(const Var& x, SqueezeOrder order) {
  const Shape out = squeezed_shape(x.shape());
  const std::int64_t n = out.dim(0), h = out.dim(1), w = out.dim(2), c = x.dim(3);
  const Var squares = reshape(x, {n, h, 2, w, 2, c});
  if (order == SqueezeOrder::ByChannel) {
    return reshape(permute(squares, {0, 1, 3, 5, 2, 4}), out);
  }
  const auto pixel = [&](std::int64_t row, std::int64_t column) {
    return reshape(narrow(narrow(squares, 2, row, 1), 4, column, 1), {n, h, w, c});
  };
  return concat({pixel(0, 0), pixel(1, 1), pixel(0, 1), pixel(1, 0)}, 3);
}

Var unsqueeze(const Var& z, SqueezeOrder order) {
  const Shape out = unsqueezed_shape(z.shape());
  const std::int64_t n = z.dim(0), h = z.dim(1), w = z.dim(2), c = out.dim(3);
  if (order == SqueezeOrder::ByChannel) {
    return reshape(permute(reshape(z, {n, h, w, c, 2, 2}), {0, 1, 4, 2, 5, 3}), out);
  }
  const auto part = [&](std::int64_t i) {
    return reshape(narrow(z, 3, i * c, c), {n, h, 1, w, 1, c});
  };
  const Var rows = concat({concat({part(0), part(2)}, 4), concat({part(3), part(1)}, 4)}, 2);
  return reshape(rows, out);
}

std::string in_order(const char* name, SqueezeOrder order) {
  return str(name, order == SqueezeOrder::ByColour ? "(by colour)" : "");
}

}  // namespace

Mapped Squeeze::forward(const Var& x, const Var&) { return {squeeze(x, order_), zero_log_det(x)}; }

Mapped Squeeze::inverse(const Var& z, const Var&) {
  return {unsqueeze(z, order_), zero_log_det(z)};
}

Shape Squeeze::out_shape(const Shape& in) const { return squeezed_shape(in); }

std::string Squeeze::kind() const { return in_order("Squeeze", order_); }

Mapped Unsqueeze::forward(const Var& x, const Var&) {
  return {unsqueeze(x, order_), zero_log_det(x)};
}

Mapped Unsqueeze::inverse(const Var& z, const Var&) {
  return {squeeze(z, order_), zero_log_det(z)};
}

Shape Unsqueeze::out_shape(const Shape& in) const { return unsqueezed_shape(in); }

std::string Unsqueeze::kind() const { return in_order("Unsqueeze", order_); }

}  // namespace nf::flows
