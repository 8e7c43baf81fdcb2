#include "tensor/random.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "tensor/backend.h"
#include "tensor/ops.h"
#include "tensor/philox.h"

namespace nf {

namespace {

const char* name_of(Distribution kind) {
  switch (kind) {
    case Distribution::Uniform:
      return "uniform";
    case Distribution::Normal:
      return "normal";
    case Distribution::Logistic:
      return "logistic";
  }
  return "?";
}

// What a row of a draw may hold; philox.h has the layout of its counters.
RowDraw draw_for(Generator& gen, const Shape& shape, std::int64_t per_block, Device device) {
  NF_CHECK(shape.rank() >= 1, "[random] a generator that is placed draws rows (N, ...), not ",
           shape);
  const RowDraw draw = gen.next_draw(shape[0]);
  const std::int64_t width = shape[0] > 0 ? shape.numel() / shape[0] : 0;
  NF_CHECK(width <= kRowBlocks * per_block, "[random] a draw for samples has at most ",
           kRowBlocks * per_block, " numbers in a row, got ", shape);
  NF_CHECK(!draw.samples.defined() || draw.samples.device() == device,
           "[random] the samples of the rows are on ", name(draw.samples.device()),
           ", the draw is on ", name(device), "; place the generator with samples.to(device)");
  return draw;
}

// The same without a place: a number of its own, which no draw of a round has, of a new block.
RowDraw draw_of_rows(Generator& gen, const Shape& shape, Device device) {
  if (gen.placed()) return draw_for(gen, shape, 4, device);
  return {gen.seed(), gen.stream(), gen.advance(1), kRoundDraws, Tensor()};
}

// How many rows of `data` are asked for: those that `rows` names, or all.
std::int64_t rows_taken(const char* what, const Tensor& data, const Tensor& rows) {
  if (!rows.defined()) return data.dim(0);
  NF_CHECK(rows.rank() == 1 && rows.device() == data.device(), "[", what,
           "] rows must be i32 (B) on the device of what they are taken from, got ",
           describe(rows));
  check_indices(rows, data.dim(0));
  return rows.numel();
}

}  // namespace

std::uint64_t Generator::advance(std::uint64_t blocks) {
  NF_CHECK(!placed_ || blocks == 0,
           "[random] a generator that is placed draws rows of samples only");
  const std::uint64_t first = offset_;
  offset_ += blocks;
  return first;
}

void Generator::place(Tensor samples, std::uint64_t round) {
  NF_CHECK(!samples.defined() || (samples.rank() == 1 && samples.dtype() == DType::I32),
           "[random] the samples of rows must be i32 (B), got ", describe(samples));
  samples_ = samples.defined() ? samples.contiguous() : samples;
  offset_ = round;
  placed_ = true;
  draws_ = 0;
}

RowDraw Generator::next_draw(std::int64_t rows) {
  NF_CHECK(!samples_.defined() || samples_.numel() == rows, "[random] a draw of ", rows,
           " rows, but the generator is placed for ", samples_.defined() ? samples_.numel() : 0,
           " samples");
  NF_CHECK(draws_ < kRoundDraws, "[random] a generator makes at most ", kRoundDraws,
           " draws in a round");
  return {seed_, stream_, offset_, draws_++, samples_};
}

KeepGenerators::KeepGenerators(std::span<Generator* const> generators) {
  kept_.reserve(generators.size());
  for (Generator* gen : generators) kept_.emplace_back(gen, *gen);
}

KeepGenerators::~KeepGenerators() {
  for (auto& [gen, kept] : kept_) *gen = std::move(kept);
}

Tensor random(Distribution kind, Generator& gen, const Shape& shape, DType dtype, Device device) {
  NF_CHECK(is_float(dtype), "[", name_of(kind), "] draws are f32 or f64, not ", name(dtype),
           "; convert them with .to(DType)");
  Tensor out = Tensor::empty(shape, dtype, device);
  const std::int64_t per_block = dtype == DType::F32 ? 4 : 2;
  if (gen.placed()) {
    const RowDraw draw = draw_for(gen, shape, per_block, device);
    if (out.numel() > 0) backend_of(out).random_rows(kind, draw, out);
    return out;
  }
  if (out.numel() == 0) return out;
  const auto blocks = static_cast<std::uint64_t>((out.numel() + per_block - 1) / per_block);
  backend_of(out).random(kind, gen.seed(), gen.stream(), gen.advance(blocks), out);
  return out;
}

Tensor uniform(Generator& gen, const Shape& shape, DType dtype, Device device) {
  return random(Distribution::Uniform, gen, shape, dtype, device);
}

Tensor normal(Generator& gen, const Shape& shape, DType dtype, Device device) {
  return random(Distribution::Normal, gen, shape, dtype, device);
}

Tensor logistic(Generator& gen, const Shape& shape, DType dtype, Device device) {
  return random(Distribution::Logistic, gen, shape, dtype, device);
}

Tensor bernoulli(Generator& gen, double p, const Shape& shape, DType dtype, Device device) {
  NF_CHECK(p >= 0 && p <= 1, "[bernoulli] the probability must be in [0, 1], got ", p);
  // u < p with u in [0, 1): never for p = 0, always for p = 1.
  const Tensor u = uniform(gen, shape, DType::F32, device);
  return less(u, Tensor::full({}, p, DType::F32, device)).to(dtype);
}

Tensor dequantize(Generator& gen, const Tensor& levels, const Tensor& rows) {
  NF_CHECK(levels.rank() == 2 && levels.dtype() == DType::U8,
           "[dequantize] levels must be u8 (N, D), got ", describe(levels));
  const std::int64_t count = rows_taken("dequantize", levels, rows);
  Tensor out = Tensor::empty({count, levels.dim(1)}, DType::F32, levels.device());
  const RowDraw draw = draw_of_rows(gen, out.shape(), out.device());
  if (out.numel() > 0) {
    backend_of(out).dequantize(levels.contiguous(), rows.defined() ? &rows : nullptr, draw, out);
  }
  return out;
}

Tensor move_images(Generator& gen, const Tensor& images, const Tensor& rows,
                   const ImageMoves& moves) {
  NF_CHECK(images.rank() == 4, "[move_images] images must be (N, H, W, C), got ", describe(images));
  const std::int64_t height = images.dim(1), width = images.dim(2);
  NF_CHECK(moves.shift >= 0 && moves.shift < std::max<std::int64_t>(1, std::min(height, width)),
           "[move_images] images of ", width, " x ", height, " cannot be shifted by ", moves.shift,
           " pixels; a shift is below both sides");
  Shape shape = images.shape();
  shape[0] = rows_taken("move_images", images, rows);
  Tensor out = Tensor::empty(shape, images.dtype(), images.device());
  const RowDraw draw = draw_of_rows(gen, {shape[0], 1}, out.device());
  if (out.numel() > 0) {
    backend_of(out).move_images(images.contiguous(), rows.defined() ? &rows : nullptr, moves, draw,
                                out);
  }
  return out;
}

Tensor permutation(Generator& gen, std::int64_t n) {
  NF_CHECK(n >= 0 && n <= std::numeric_limits<std::int32_t>::max(), "[permutation] of ", n,
           " elements; indices are i32, so 0 to 2^31 - 1");
  Tensor out = Tensor::arange(n, DType::I32);
  std::int32_t* const order = out.mutable_data<std::int32_t>();
  const std::uint64_t first = gen.advance(static_cast<std::uint64_t>((n + 3) / 4));
  // Fisher & Yates. A 32-bit word times i+1, shifted down (Lemire 2019), is uniform to i / 2^32.
  for (std::int64_t i = n - 1; i > 0; --i) {
    const PhiloxBlock block =
        philox(gen.seed(), first + static_cast<std::uint64_t>(i / 4), gen.stream());
    const std::uint64_t j = std::uint64_t{block[i % 4]} * static_cast<std::uint64_t>(i + 1) >> 32;
    std::swap(order[i], order[j]);
  }
  return out;
}

}  // namespace nf
