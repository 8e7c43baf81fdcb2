// The op table: one row (or more) for every differentiable function, walked by
// autograd_op_table.cpp, which fails when a function has none.
//
// A row says how to call the function, where it is smooth, and what the value is, written once more
// with plain loops over std::vector<double> that share no code with the library.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <numbers>
#include <numeric>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "autograd/functions.h"
#include "autograd/gradcheck.h"

namespace nf::test {

using Index = std::vector<std::int64_t>;

/// A row-major array.
struct Array {
  Shape shape;
  std::vector<double> values;

  explicit Array(const Shape& s) : shape(s), values(static_cast<std::size_t>(s.numel())) {}
  double& at(const Index& index) {
    std::int64_t flat = 0;
    for (int d = 0; d < shape.rank(); ++d) flat = flat * shape[d] + index[d];
    return values.at(static_cast<std::size_t>(flat));
  }
  double at(const Index& index) const { return const_cast<Array*>(this)->at(index); }
};

/// body(index) for every element, in row-major order.
template <class Body>
void for_each_index(const Shape& shape, const Body& body) {
  Index index(static_cast<std::size_t>(shape.rank()), 0);
  for (std::int64_t i = 0; i < shape.numel(); ++i) {
    body(index);
    for (int d = shape.rank(); d-- > 0;) {
      if (++index[d] < shape[d]) break;
      index[d] = 0;
    }
  }
}

struct Range {
  double low, high;
};

struct OpRow {
  std::string name;  ///< the function, as the lists in elementwise.h and functions.h have it
  std::string what;  ///< which of its forms; may be empty
  std::function<Var(const std::vector<Var>&)> call;
  std::vector<Range> domain;               ///< of each input: smooth there
  std::vector<std::vector<Shape>> shapes;  ///< the cases: a shape for each input
  std::function<Array(const std::vector<Array>&)> reference;
  bool elementwise = false;
  /// Inputs so large that several threads work: the bits must not depend on how many.
  std::vector<Shape> large = {};
  std::function<void()> wrong = {};  ///< a call that must throw ...
  std::string message = {};          ///< ... an error with this text
  double f32_tolerance = 2e-5;       ///< |f32 - f64| <= this * (1 + |f64|)
  GradCheckOptions check = {};
};

// --- references ---------------------------------------------------------------------------------

/// f(scalars) at every element, broadcast by NumPy's rules.
template <class F>
std::function<Array(const std::vector<Array>&)> elementwise(F f) {
  return [f](const std::vector<Array>& in) {
    std::size_t rank = 0;
    for (const Array& a : in) rank = std::max(rank, static_cast<std::size_t>(a.shape.rank()));
    Index sizes(rank, 1);
    for (const Array& a : in) {
      for (int d = 0; d < a.shape.rank(); ++d) {
        if (a.shape[d] != 1) sizes[rank - a.shape.rank() + d] = a.shape[d];
      }
    }
    Array out{Shape(sizes)};
    for_each_index(out.shape, [&](const Index& index) {
      std::vector<double> x;
      for (const Array& a : in) {
        Index at(index.end() - a.shape.rank(), index.end());
        for (int d = 0; d < a.shape.rank(); ++d) at[d] = a.shape[d] == 1 ? 0 : at[d];
        x.push_back(a.at(at));
      }
      out.at(index) = f(x);
    });
    return out;
  };
}

/// f(elements) over the axes listed; those that stay keep their order.
template <class F>
std::function<Array(const std::vector<Array>&)> over_axes(std::vector<int> axes, bool keep, F f) {
  return [=](const std::vector<Array>& in) {
    const Array& x = in[0];
    const auto reduced = [&](int d) {
      return axes.empty() || std::count(axes.begin(), axes.end(), d) ||
             std::count(axes.begin(), axes.end(), d - x.shape.rank());
    };
    Shape shape;
    for (int d = 0; d < x.shape.rank(); ++d) {
      if (!reduced(d)) {
        shape.push_back(x.shape[d]);
      } else if (keep) {
        shape.push_back(1);
      }
    }
    Array out(shape);
    std::map<Index, std::vector<double>> rows;
    for_each_index(shape, [&](const Index& index) { rows[index]; });
    for_each_index(x.shape, [&](const Index& index) {
      Index at;
      for (int d = 0; d < x.shape.rank(); ++d) {
        if (!reduced(d)) {
          at.push_back(index[d]);
        } else if (keep) {
          at.push_back(0);
        }
      }
      rows[at].push_back(x.at(index));
    });
    for (const auto& [index, elements] : rows) out.at(index) = f(elements);
    return out;
  };
}

/// out[index] = in[0][from(index)]; `shape` and `from` get the input's shape too.
template <class ShapeOf, class From>
std::function<Array(const std::vector<Array>&)> rearranged(ShapeOf shape, From from) {
  return [=](const std::vector<Array>& in) {
    Array out(shape(in[0].shape));
    for_each_index(out.shape,
                   [&](const Index& index) { out.at(index) = in[0].at(from(index, in[0].shape)); });
    return out;
  };
}

/// a b for matrices, with an optional batch in front of a.
inline Array naive_matmul(const Array& a, const Array& b) {
  Shape shape = a.shape;
  shape[shape.rank() - 1] = b.shape[b.shape.rank() - 1];
  Array out(shape);
  for_each_index(shape, [&](const Index& index) {
    Index at_a = index, at_b(index.end() - b.shape.rank(), index.end());
    for (std::int64_t k = 0; k < a.shape.dim(-1); ++k) {
      at_a.back() = k;
      at_b[at_b.size() - 2] = k;
      out.at(index) += a.at(at_a) * b.at(at_b);
    }
  });
  return out;
}

/// X with A X = B, by Gaussian elimination with pivoting; *log_det gets log|det A|.
inline Array naive_solve(Array a, Array b, double* log_det = nullptr) {
  const std::int64_t n = a.shape[0], columns = b.shape[1];
  double sum = 0;
  for (std::int64_t k = 0; k < n; ++k) {
    std::int64_t pivot = k;
    for (std::int64_t i = k; i < n; ++i) {
      if (std::abs(a.at({i, k})) > std::abs(a.at({pivot, k}))) pivot = i;
    }
    for (std::int64_t j = 0; j < n; ++j) std::swap(a.at({k, j}), a.at({pivot, j}));
    for (std::int64_t j = 0; j < columns; ++j) std::swap(b.at({k, j}), b.at({pivot, j}));
    sum += std::log(std::abs(a.at({k, k})));
    for (std::int64_t i = 0; i < n; ++i) {
      if (i == k) continue;
      const double factor = a.at({i, k}) / a.at({k, k});
      for (std::int64_t j = 0; j < n; ++j) a.at({i, j}) -= factor * a.at({k, j});
      for (std::int64_t j = 0; j < columns; ++j) b.at({i, j}) -= factor * b.at({k, j});
    }
  }
  for_each_index(b.shape, [&](const Index& index) { b.at(index) /= a.at({index[0], index[0]}); });
  if (log_det) *log_det = sum;
  return b;
}

/// x + diagonal * I, which keeps the matrices of the table away from singular ones.
inline Var with_diagonal(const Var& x, double diagonal) {
  return x + Var((Tensor::eye(x.dim(0), x.dtype()) * diagonal).to(x.device()));
}
inline Array with_diagonal(Array x, double diagonal) {
  for (std::int64_t i = 0; i < x.shape[0]; ++i) x.at({i, i}) += diagonal;
  return x;
}
inline Array triangle_of(Array x, bool lower) {
  for_each_index(x.shape, [&](const Index& index) {
    if (lower ? index[1] > index[0] : index[1] < index[0]) x.at(index) = 0;
  });
  return x;
}

inline Tensor indices(const std::vector<std::int32_t>& values, const Shape& shape, Device device) {
  return Tensor::from(values, shape).to(device);
}

// --- rows of elementwise functions --------------------------------------------------------------

template <class F>
OpRow unary_row(const std::string& name, std::function<Var(const Var&)> call, Range domain, F f) {
  OpRow row{name, "", [call](const std::vector<Var>& in) { return call(in[0]); }, {domain}, {}, {}};
  row.shapes = {{{3, 4}}, {{}}, {{0}}, {{0, 3}}, {{1}}, {{1, 1}}, {{2, 3, 2}}};
  row.reference = elementwise([f](const std::vector<double>& x) { return f(x[0]); });
  row.elementwise = true;
  row.large = {{100'000}};
  row.wrong = [call] { call(Tensor::zeros({2}, DType::U8)); };
  row.message = "[" + name + "] needs an f32 or f64 tensor, got u8 (2,)";
  return row;
}

template <class F>
OpRow binary_row(const std::string& name, const std::string& op,
                 std::function<Var(const Var&, const Var&)> call, Range a, Range b, F f) {
  OpRow row{name,   "", [call](const std::vector<Var>& in) { return call(in[0], in[1]); },
            {a, b}, {}, {}};
  row.shapes = {{{3, 4}, {3, 4}}, {{3, 4}, {4}},      {{3, 4}, {3, 1}}, {{3, 4}, {}},
                {{3, 4}, {1, 4}}, {{4}, {3, 4}},      {{3, 1}, {1, 4}}, {{}, {2, 3}},
                {{0, 3}, {3}},    {{0}, {1}},         {{0}, {}},        {{1}, {1}},
                {{}, {}},         {{2, 1, 3}, {2, 1}}};
  row.reference = elementwise([f](const std::vector<double>& x) { return f(x[0], x[1]); });
  row.elementwise = true;
  row.large = {{100'000}, {100'000}};
  row.wrong = [call] { call(Tensor::zeros({2, 3}), Tensor::zeros({4})); };
  row.message = "[" + op + "] shapes (2, 3) and (4,) do not broadcast";
  return row;
}

inline std::vector<OpRow> elementwise_rows() {
#define NF_ROW(function, low, high, formula)                                 \
  unary_row(                                                                 \
      #function, [](const Var& x) { return function(x); }, Range{low, high}, \
      [](double x) { return static_cast<double>(formula); })
#define NF_ROW_WITH(name, call, low, high, formula)              \
  unary_row(                                                     \
      name, [](const Var& x) { return call; }, Range{low, high}, \
      [](double x) { return static_cast<double>(formula); })
#define NF_ROW2(function, op, range_a, range_b, formula)                                       \
  binary_row(                                                                                  \
      #function, op, [](const Var& a, const Var& b) { return function(a, b); }, Range range_a, \
      Range range_b, [](double a, double b) { return static_cast<double>(formula); })
  // clang-format off
  return {
      NF_ROW(neg, -3, 3, -x),
      NF_ROW(abs, -3, 3, x < 0 ? -x : x),
      NF_ROW(sign, -3, 3, x < 0 ? -1 : 1),
      NF_ROW(exp, -3, 3, std::exp(x)),
      NF_ROW(log, 0.1, 4, std::log(x)),
      NF_ROW(log1p, -0.6, 3, std::log1p(x)),
      NF_ROW(expm1, -3, 3, std::expm1(x)),
      NF_ROW(sqrt, 0.1, 4, std::sqrt(x)),
      NF_ROW(rsqrt, 0.2, 4, 1 / std::sqrt(x)),
      NF_ROW(square, -3, 3, x * x),
      NF_ROW(reciprocal, 0.3, 4, 1 / x),
      NF_ROW(sin, -4, 4, std::sin(x)),
      NF_ROW(cos, -4, 4, std::cos(x)),
      NF_ROW(atan, -4, 4, std::atan(x)),
      NF_ROW(asinh, -4, 4, x < 0 ? -std::log(std::sqrt(x * x + 1) - x) : std::log(x + std::sqrt(x * x + 1))),
      NF_ROW(tanh, -3, 3, std::tanh(x)),
      NF_ROW(softsign, -4, 4, x / (1 + std::abs(x))),
      NF_ROW(sigmoid, -5, 5, 1 / (1 + std::exp(-x))),
      NF_ROW(softplus, -5, 5, std::log1p(std::exp(x))),
      NF_ROW(log_sigmoid, -5, 5, -std::log1p(std::exp(-x))),
      NF_ROW(relu, -3, 3, x > 0 ? x : 0),
      NF_ROW(gelu, -3, 3, x * 0.5 * (1 + std::erf(x / std::numbers::sqrt2))),
      NF_ROW(silu, -5, 5, x / (1 + std::exp(-x))),
      NF_ROW_WITH("affine", affine(x, 2.5, -0.75), -3, 3, 2.5 * x - 0.75),
      NF_ROW_WITH("leaky_relu", leaky_relu(x, 0.2), -3, 3, x > 0 ? x : 0.2 * x),
      NF_ROW_WITH("leaky_relu", leaky_relu(x, 0), -3, 3, x > 0 ? x : 0),
      NF_ROW_WITH("elu", elu(x, 1.5), -3, 3, x > 0 ? x : 1.5 * (std::exp(x) - 1)),
      NF_ROW_WITH("clamp", clamp(x, -1, 1.5), -3, 3, x < -1 ? -1 : x > 1.5 ? 1.5 : x),
      NF_ROW2(add, "add", ({-3, 3}), ({-3, 3}), a + b),
      NF_ROW2(sub, "sub", ({-3, 3}), ({-3, 3}), a - b),
      NF_ROW2(mul, "mul", ({-3, 3}), ({-3, 3}), a * b),
      NF_ROW2(div, "div", ({-3, 3}), ({0.4, 3}), a / b),
      NF_ROW2(pow, "pow", ({0.3, 3}), ({-2, 3}), std::pow(a, b)),
      NF_ROW2(minimum, "min", ({-3, 3}), ({-3, 3}), a < b ? a : b),
      NF_ROW2(maximum, "max", ({-3, 3}), ({-3, 3}), a > b ? a : b),
  };
  // clang-format on
#undef NF_ROW
#undef NF_ROW_WITH
#undef NF_ROW2
}

// --- reductions ---------------------------------------------------------------------------------

template <class F>
void add_reduction(std::vector<OpRow>& rows, const std::string& name,
                   Var (*call)(const Var&, const Axes&, bool), Range domain, bool of_nothing, F f) {
  for (const auto& [axes, keep] : std::vector<std::pair<Axes, bool>>{
           {{}, false}, {{}, true}, {{0}, false}, {{-1}, true}, {{0, 2}, false}, {{1, 0}, true}}) {
    OpRow row{name,
              str("over ", axes.size(), " axes", keep ? ", kept" : ""),
              [=, axes = axes, keep = keep](const std::vector<Var>& in) {
                return call(in[0], axes, keep);
              },
              {domain},
              {{{2, 3, 4}}, {{1, 1, 1}}},
              over_axes(axes, keep, f)};
    if (of_nothing) row.shapes.insert(row.shapes.end(), {{{0, 2, 3}}, {{2, 3, 0}}});
    row.large = {{50, 50, 40}};
    row.wrong = [=] { call(Tensor::zeros({2, 3}), {2}, false); };
    row.message = "[" + name + "] axis 2 is not in shape (2, 3)";
    rows.push_back(std::move(row));
  }
}

inline std::vector<OpRow> reduction_rows() {
  using Elements = std::vector<double>;
  const auto total = [](const Elements& x) { return std::accumulate(x.begin(), x.end(), 0.0); };
  const auto average = [=](const Elements& x) { return total(x) / static_cast<double>(x.size()); };
  std::vector<OpRow> rows;
  add_reduction(rows, "sum", sum, {-3, 3}, true, total);
  add_reduction(rows, "mean", mean, {-3, 3}, false, average);
  add_reduction(rows, "sum_squares", sum_squares, {-3, 3}, true, [](const Elements& x) {
    return std::inner_product(x.begin(), x.end(), x.begin(), 0.0);
  });
  add_reduction(rows, "prod", prod, {0.5, 1.5}, true, [](const Elements& x) {
    return std::accumulate(x.begin(), x.end(), 1.0, std::multiplies<>());
  });
  add_reduction(rows, "max", max, {-3, 3}, false,
                [](const Elements& x) { return *std::max_element(x.begin(), x.end()); });
  add_reduction(rows, "min", min, {-3, 3}, false,
                [](const Elements& x) { return *std::min_element(x.begin(), x.end()); });
  add_reduction(rows, "logsumexp", logsumexp, {-3, 3}, false, [](const Elements& x) {
    double sum = 0;
    for (double v : x) sum += std::exp(v);
    return std::log(sum);
  });
  add_reduction(rows, "variance", variance, {-3, 3}, false, [=](const Elements& x) {
    double sum = 0;
    for (double v : x) sum += (v - average(x)) * (v - average(x));
    return sum / static_cast<double>(x.size());
  });
  return rows;
}

// --- matrix products and linear algebra ---------------------------------------------------------

inline OpRow linear_row(const std::string& what, bool bias, std::optional<UnaryOp> act,
                        double (*f)(double)) {
  OpRow row{"linear",
            what,
            [=](const std::vector<Var>& in) {
              return linear(in[0], in[1], bias ? in[2] : Var(), act ? &*act : nullptr, {0.2, 0});
            },
            {{-2, 2}, {-2, 2}},
            {{{5, 3}, {4, 3}}, {{1, 1}, {1, 1}}, {{0, 3}, {4, 3}}, {{1, 3}, {4, 3}}},
            {}};
  row.large = {{200, 392}, {1000, 392}};
  if (bias) {
    row.domain.push_back({-2, 2});
    row.large.push_back({1000});
    for (auto& shapes : row.shapes) shapes.push_back({shapes[1][0]});
  }
  row.reference = [=](const std::vector<Array>& in) {
    Array out({in[0].shape[0], in[1].shape[0]});
    for_each_index(out.shape, [&](const Index& at) {
      double sum = bias ? in[2].at({at[1]}) : 0;
      for (std::int64_t k = 0; k < in[0].shape[1]; ++k) {
        sum += in[0].at({at[0], k}) * in[1].at({at[1], k});
      }
      out.at(at) = f(sum);
    });
    return out;
  };
  row.wrong = [] { linear(Tensor::zeros({2, 3}), Tensor::zeros({4, 5}), Var()); };
  row.message = "[linear] x (2, 3) and weight (4, 5) do not fit";
  return row;
}

/// f(conv(x, w) + bias) by seven loops: x (N, H, W, C), w (O, C, kh, kw).
inline Array naive_conv2d(const std::vector<Array>& in, const ConvGeometry& g,
                          double (*f)(double)) {
  const Shape &x = in[0].shape, &w = in[1].shape;
  Array out({x[0], (x[1] + 2 * g.pad_h - w[2]) / g.stride + 1,
             (x[2] + 2 * g.pad_w - w[3]) / g.stride + 1, w[0]});
  for_each_index(out.shape, [&](const Index& at) {
    double sum = in.size() > 2 ? in[2].at({at[3]}) : 0;
    for_each_index({x[3], w[2], w[3]}, [&](const Index& k) {
      const std::int64_t row = at[1] * g.stride - g.pad_h + k[1];
      const std::int64_t col = at[2] * g.stride - g.pad_w + k[2];
      if (row < 0 || row >= x[1] || col < 0 || col >= x[2]) return;
      sum += in[0].at({at[0], row, col, k[0]}) * in[1].at({at[3], k[0], k[1], k[2]});
    });
    out.at(at) = f(sum);
  });
  return out;
}

inline OpRow conv2d_row(const std::string& what, const ConvGeometry& geometry,
                        const std::vector<std::pair<Shape, Shape>>& cases, bool bias,
                        std::optional<UnaryOp> act, double (*f)(double)) {
  OpRow row{"conv2d",
            what,
            [=](const std::vector<Var>& in) {
              return conv2d(in[0], in[1], bias ? in[2] : Var(), geometry, act ? &*act : nullptr,
                            {0.2, 0});
            },
            {{-2, 2}, {-2, 2}},
            {},
            [=](const std::vector<Array>& in) { return naive_conv2d(in, geometry, f); }};
  for (const auto& [x, w] : cases) row.shapes.push_back({x, w});
  row.large = {{5, 13, 11, 33}, {17, 33, cases[0].second[2], cases[0].second[3]}};
  if (bias) {
    row.domain.push_back({-2, 2});
    row.large.push_back({17});
    for (auto& shapes : row.shapes) shapes.push_back({shapes[1][0]});
  }
  row.wrong = [] { conv2d(Tensor::zeros({2, 5, 5, 3}), Tensor::zeros({4, 2, 3, 3}), Var(), {}); };
  row.message = "[conv2d] x (2, 5, 5, 3) and weight (4, 2, 3, 3) do not fit";
  return row;
}

inline std::vector<OpRow> conv_rows() {
  const auto plain = [](double x) { return x; };
  return {
      conv2d_row("3x3, padded", {1, 1, 1},
                 {{{2, 4, 3, 2}, {3, 2, 3, 3}},
                  {{1, 1, 1, 1}, {1, 1, 3, 3}},
                  {{0, 3, 3, 2}, {3, 2, 3, 3}}},
                 true, {}, plain),
      conv2d_row("3x3, without bias, stride 2, relu", {2, 1, 1},
                 {{{1, 5, 4, 3}, {2, 3, 3, 3}}, {{2, 2, 3, 1}, {1, 1, 3, 3}}}, false, UnaryOp::Relu,
                 [](double x) { return x > 0 ? x : 0; }),
      conv2d_row("2x3, stride 2, tanh", {2, 0, 2},
                 {{{2, 5, 3, 1}, {3, 1, 2, 3}}, {{0, 4, 4, 1}, {2, 1, 2, 3}}}, true, UnaryOp::Tanh,
                 [](double x) { return std::tanh(x); }),
      conv2d_row("5x5, larger than the image", {1, 2, 2}, {{{2, 3, 2, 2}, {2, 2, 5, 5}}}, true, {},
                 plain),
      conv2d_row("1x1, leaky_relu", {1, 0, 0},
                 {{{2, 2, 3, 4}, {3, 4, 1, 1}}, {{0, 2, 3, 4}, {3, 4, 1, 1}}}, true,
                 UnaryOp::LeakyRelu, [](double x) { return x > 0 ? x : 0.2 * x; }),
      conv2d_row("1x1, stride 2, without bias", {2, 0, 0}, {{{2, 5, 4, 3}, {2, 3, 1, 1}}}, false,
                 {}, plain),
  };
}

inline std::vector<OpRow> matrix_rows() {
  const Range wide{-2, 2}, narrow_range{-1, 1};
  const auto plain = [](double x) { return x; };
  std::vector<OpRow> rows;
  rows.push_back({"matmul",
                  "",
                  [](const std::vector<Var>& in) { return matmul(in[0], in[1]); },
                  {wide, wide},
                  {{{3, 4}, {4, 5}},
                   {{1, 1}, {1, 1}},
                   {{2, 3, 4}, {2, 4, 5}},
                   {{2, 3, 4}, {4, 5}},
                   {{2, 2, 3, 2}, {2, 2, 2, 3}},
                   {{0, 4}, {4, 5}},
                   {{3, 0}, {0, 5}},
                   {{0, 3, 4}, {4, 2}}},
                  [](const std::vector<Array>& in) { return naive_matmul(in[0], in[1]); }});
  rows.back().wrong = [] { matmul(Var(Tensor::zeros({2, 3})), Var(Tensor::zeros({4, 5}))); };
  rows.back().message = "[matmul] inner dimensions differ: (2, 3) x (4, 5)";
  rows.back().large = {{211, 391}, {391, 509}};
  rows.push_back(
      {"matmul",
       "by a transposed view",
       [](const std::vector<Var>& in) { return matmul(in[0], transpose(in[1], 0, 1)); },
       {wide, wide},
       {{{3, 4}, {5, 4}}, {{2, 3, 4}, {5, 4}}},
       [](const std::vector<Array>& in) {
         Array b({in[1].shape[1], in[1].shape[0]});
         for_each_index(b.shape, [&](const Index& at) { b.at(at) = in[1].at({at[1], at[0]}); });
         return naive_matmul(in[0], b);
       },
       false,
       {{9, 70, 50}, {61, 50}}});

  rows.push_back(linear_row("plain", true, {}, plain));
  rows.push_back(linear_row("without bias", false, {}, plain));
  rows.push_back(linear_row("relu", true, UnaryOp::Relu, [](double x) { return x > 0 ? x : 0; }));
  rows.push_back(linear_row("tanh", true, UnaryOp::Tanh, [](double x) { return std::tanh(x); }));
  rows.push_back(linear_row("leaky_relu, without bias", false, UnaryOp::LeakyRelu,
                            [](double x) { return x > 0 ? x : 0.2 * x; }));
  rows.push_back(linear_row("neg", true, UnaryOp::Neg, [](double x) { return -x; }));

  for (const bool lower : {true, false}) {
    rows.push_back({"triangular_solve",
                    lower ? "lower" : "upper",
                    [=](const std::vector<Var>& in) {
                      return triangular_solve(with_diagonal(in[0], 3), in[1], lower);
                    },
                    {narrow_range, wide},
                    {{{3, 3}, {3, 2}}, {{1, 1}, {1, 1}}, {{0, 0}, {0, 2}}},
                    [=](const std::vector<Array>& in) {
                      return naive_solve(triangle_of(with_diagonal(in[0], 3), lower), in[1]);
                    }});
    rows.back().wrong = [] {
      triangular_solve(Var(Tensor::zeros({2, 3})), Var(Tensor::zeros({2, 1})));
    };
    rows.back().message = "[triangular_solve] needs a square matrix, got (2, 3)";
    rows.back().large = {{12, 12}, {12, 5000}};
  }
  rows.push_back({"cholesky",
                  "of x x^T + I",
                  [](const std::vector<Var>& in) {
                    return cholesky(with_diagonal(matmul(in[0], transpose(in[0], 0, 1)), 1));
                  },
                  {wide},
                  {{{3, 3}}, {{1, 1}}, {{2, 5}}, {{0, 0}}},
                  [](const std::vector<Array>& in) {
                    const std::int64_t n = in[0].shape[0];
                    Array a({n, n}), l({n, n});
                    for_each_index(a.shape, [&](const Index& at) {
                      a.at(at) = at[0] == at[1];
                      for (std::int64_t k = 0; k < in[0].shape[1]; ++k) {
                        a.at(at) += in[0].at({at[0], k}) * in[0].at({at[1], k});
                      }
                    });
                    for_each_index(a.shape, [&](const Index& at) {
                      const std::int64_t i = at[0], j = at[1];
                      if (j > i) return;
                      double rest = a.at(at);
                      for (std::int64_t k = 0; k < j; ++k) rest -= l.at({i, k}) * l.at({j, k});
                      l.at(at) = i == j ? std::sqrt(rest) : rest / l.at({j, j});
                    });
                    return l;
                  }});
  rows.back().wrong = [] { cholesky(Var(Tensor::eye(2) * -1.0)); };
  rows.back().message = "[cholesky] the matrix (2, 2) is not positive definite";
  rows.back().large = {{60, 80}};
  rows.push_back({"inverse",
                  "",
                  [](const std::vector<Var>& in) { return inverse(with_diagonal(in[0], 3)); },
                  {narrow_range},
                  {{{3, 3}}, {{1, 1}}, {{0, 0}}},
                  [](const std::vector<Array>& in) {
                    return naive_solve(with_diagonal(in[0], 3),
                                       with_diagonal(Array(in[0].shape), 1));
                  }});
  rows.back().wrong = [] { inverse(Var(Tensor::zeros({2, 2}))); };
  rows.back().message = "[inverse] the matrix (2, 2) is singular";
  rows.back().large = {{60, 60}};
  rows.push_back(
      {"slogdet",
       "",
       [](const std::vector<Var>& in) { return slogdet(with_diagonal(in[0], -3)); },
       {narrow_range},
       {{{3, 3}}, {{1, 1}}, {{4, 4}}, {{0, 0}}},
       [](const std::vector<Array>& in) {
         Array out{Shape{}};
         naive_solve(with_diagonal(in[0], -3), Array({in[0].shape[0], 0}), &out.values[0]);
         return out;
       }});
  rows.back().wrong = [] { slogdet(Var(Tensor::zeros({2, 3}))); };
  rows.back().message = "[slogdet] needs a square matrix, got (2, 3)";
  rows.back().large = {{60, 60}};
  return rows;
}

// --- maps by mixtures of logistics --------------------------------------------------------------

/// x (.., A), parameters (.., P A): value and log_slope of a mixture, in f64 where nothing
/// underflows.
inline Array naive_mixture(const Array& x, const Array& p, std::int64_t components, double limit) {
  const std::int64_t dims = x.shape.dim(-1);
  Shape shape = x.shape;
  shape[shape.rank() - 1] *= 2;
  Array out(shape);
  for_each_index(x.shape, [&](const Index& at) {
    const auto parameter = [&](std::int64_t j) {
      Index from = at;
      from.back() += p.shape.dim(-1) + (j - 3 * components) * dims;
      return p.at(from);
    };
    double weights = 0, below = 0, above = 0, density = 0;
    const auto add = [&](double w, double mean, double s) {
      const double e = std::exp((mean - x.at(at)) * std::exp(-s));
      weights += w;
      below += w / (1 + e);
      above += w * e / (1 + e);
      density += w * e / ((1 + e) * (1 + e)) * std::exp(-s);
    };
    for (std::int64_t k = 0; k < components; ++k) {
      const double s = limit * std::tanh(parameter(2 * components + k) / limit);
      add(std::exp(parameter(k)), parameter(components + k), s);
    }
    add(weights / 127, 0, 0);  // the fixed component: 1/128 of all
    Index to = at;
    out.at(to) = std::log(below / above);
    to.back() += dims;
    out.at(to) = std::log(density * weights / (below * above));
  });
  return out;
}

inline std::vector<OpRow> mixture_rows() {
  std::vector<OpRow> rows;
  for (const int components : {1, 3}) {
    const std::int64_t own = 3 * components;
    OpRow row{
        "mixture_log_odds",
        str(components, " components"),
        [=](const std::vector<Var>& in) {
          const LogOdds<Var> out = mixture_log_odds(in[0], in[1], components, 5);
          return concat({out.value, out.log_slope}, -1);
        },
        {{-3, 3}, {-1.5, 1.5}},
        {{{3, 4}, {3, 4 * own}},
         {{1}, {own}},
         {{2, 3, 2}, {2, 3, 2 * (own + 2)}},
         {{70, 1}, {70, own}},
         {{0, 2}, {0, 2 * own}},
         {{2, 0}, {2, 0}}},
        [=](const std::vector<Array>& in) { return naive_mixture(in[0], in[1], components, 5); }};
    row.large = {{900, 5}, {900, 5 * (own + 1)}};
    row.wrong = [] { mixture_log_odds(Var(Tensor::zeros({2, 3})), Tensor::zeros({2, 8}), 1, 5); };
    row.message = "[mixture_log_odds] parameters (2, 8) for x (2, 3) and 1 components";
    rows.push_back(row);
  }
  // One of both: no gradient arrives at the other.
  for (const bool slope : {false, true}) {
    rows.push_back({"mixture_log_odds",
                    slope ? "log_slope" : "value",
                    [=](const std::vector<Var>& in) {
                      const LogOdds<Var> out = mixture_log_odds(in[0], in[1], 2, 5);
                      return slope ? out.log_slope : out.value;
                    },
                    {{-3, 3}, {-1.5, 1.5}},
                    {{{3, 2}, {3, 12}}},
                    [=](const std::vector<Array>& in) {
                      const Array both = naive_mixture(in[0], in[1], 2, 5);
                      Array out(in[0].shape);
                      for_each_index(out.shape, [&](const Index& at) {
                        out.at(at) = both.at({at[0], at[1] + (slope ? 2 : 0)});
                      });
                      return out;
                    }});
  }
  return rows;
}

// --- shapes and indexing ------------------------------------------------------------------------

inline std::vector<OpRow> shape_rows() {
  const Range wide{-2, 2};
  const auto same = [](const Shape& in) { return in; };
  std::vector<OpRow> rows;
  const auto add = [&](OpRow row, std::function<void()> wrong, std::string message) {
    row.wrong = std::move(wrong);
    row.message = std::move(message);
    rows.push_back(std::move(row));
  };
  static const Tensor matrix = Tensor::zeros({2, 3});  // for the wrong calls
  static const Var x = matrix;

  add(
      {"reshape",
       "",
       [](const std::vector<Var>& in) {
         return reshape(in[0], {-1, 2});
       },
       {wide},
       {{{3, 4}}, {{2}}, {{2, 1, 3}}, {{0, 2}}},
       [](const std::vector<Array>& in) {
         Array out({in[0].shape.numel() / 2, 2});
         out.values = in[0].values;
         return out;
       },
       false,
       {{300, 400}}},
      [] {
        reshape(x, {4, 2});
      },
      "[reshape] (2, 3) has 6 elements, (4, 2) has 8");
  add(
      {"permute",
       "",
       [](const std::vector<Var>& in) {
         return permute(in[0], {2, 0, -2});
       },
       {wide},
       {{{2, 3, 4}}, {{1, 1, 1}}, {{2, 0, 3}}},
       rearranged(
           [](const Shape& s) {
             return Shape{s[2], s[0], s[1]};
           },
           [](const Index& i, const Shape&) {
             return Index{i[1], i[2], i[0]};
           }),
       false,
       {{50, 50, 40}}},
      [] {
        permute(x, {0, 0});
      },
      "[permute] axis 0 given twice for shape (2, 3)");
  add(
      {"broadcast_to",
       "",
       [](const std::vector<Var>& in) {
         return broadcast_to(in[0], {2, 3, 4});
       },
       {wide},
       {{{3, 4}}, {{4}}, {{3, 1}}, {{}}, {{2, 3, 4}}},
       [](const std::vector<Array>& in) {
         return elementwise([](const std::vector<double>& v) { return v[0]; })(
             {in[0], Array({2, 3, 4})});
       }},
      [] {
        broadcast_to(x, {2, 4});
      },
      "[broadcast_to] shape (2, 3) does not stretch to (2, 4)");
  add(
      {"slice",
       "step 2",
       [](const std::vector<Var>& in) { return slice(in[0], -1, 1, 2, 2); },
       {wide},
       {{{3, 4}}, {{5}}, {{0, 4}}},
       rearranged(
           [](Shape s) {
             s[s.rank() - 1] = 2;
             return s;
           },
           [](Index i, const Shape&) {
             i.back() = 1 + 2 * i.back();
             return i;
           }),
       false,
       {{300, 400}}},
      [] { slice(x, 1, 2, 2); }, "[slice] start 2, count 2, step 1 do not fit axis 1");
  add(
      {"flip",
       "",
       [](const std::vector<Var>& in) { return flip(in[0], 0); },
       {wide},
       {{{3, 4}}, {{1}}, {{0, 2}}},
       rearranged(same,
                  [](Index i, const Shape& s) {
                    i[0] = s[0] - 1 - i[0];
                    return i;
                  }),
       false,
       {{300, 400}}},
      [] { flip(x, 2); }, "[flip] axis 2 is not in shape (2, 3)");
  add(
      {"concat",
       "of x, y and x again",
       [](const std::vector<Var>& in) {
         return concat({in[0], in[1], in[0]}, 1);
       },
       {wide, wide},
       {{{3, 2}, {3, 4}}, {{1, 1}, {1, 1}}, {{0, 2}, {0, 1}}, {{3, 2}, {3, 0}}},
       [](const std::vector<Array>& in) {
         const std::int64_t a = in[0].shape[1], b = in[1].shape[1];
         Array out({in[0].shape[0], a + b + a});
         for_each_index(out.shape, [&](const Index& i) {
           out.at(i) = i[1] < a       ? in[0].at(i)
                       : i[1] < a + b ? in[1].at({i[0], i[1] - a})
                                      : in[0].at({i[0], i[1] - a - b});
         });
         return out;
       },
       false,
       {{300, 200}, {300, 100}}},
      [] {
        concat({x, Var(Tensor::zeros({3, 3}))}, 1);
      },
      "[concat] (3, 3) beside (2, 3): only axis 1 may differ");
  add(
      {"append",
       "of x and y, from the front and from the back",
       [](const std::vector<Var>& in) {
         const std::int64_t a = in[0].dim(1), b = in[1].dim(1);
         const Var room =
             Tensor::empty({in[0].dim(0), a + b}, in[0].dtype(), in[0].value().device());
         return append(append(room, 1, b, in[0]), 1, 0, in[1]);
       },
       {wide, wide},
       {{{3, 2}, {3, 4}}, {{1, 1}, {1, 1}}, {{0, 2}, {0, 1}}, {{3, 2}, {3, 0}}},
       [](const std::vector<Array>& in) {
         const std::int64_t a = in[0].shape[1], b = in[1].shape[1];
         Array out({in[0].shape[0], a + b});
         for_each_index(out.shape, [&](const Index& i) {
           out.at(i) = i[1] < b ? in[1].at(i) : in[0].at({i[0], i[1] - b});
         });
         return out;
       },
       false,
       {{300, 200}, {300, 100}}},
      [] {
        append(Var(Tensor::empty({2, 3})), 1, 2, x);
      },
      "[slice]");
  add(
      {"pad",
       "",
       [](const std::vector<Var>& in) { return pad(in[0], -1, 2, 1, 7); },
       {wide},
       {{{3, 4}}, {{1}}, {{0, 3}}, {{3, 0}}},
       [](const std::vector<Array>& in) {
         Shape shape = in[0].shape;
         const std::int64_t size = shape.dim(-1);
         shape[shape.rank() - 1] += 3;
         Array out(shape);
         for_each_index(shape, [&](Index i) {
           const Index to = i;
           i.back() -= 2;
           out.at(to) = i.back() >= 0 && i.back() < size ? in[0].at(i) : 7;
         });
         return out;
       },
       false,
       {{300, 400}}},
      [] { pad(x, 0, -1, 0); }, "[pad] negative padding -1, 0");
  OpRow cast_row{"cast",
                 "to the other type and back",
                 [](const std::vector<Var>& in) {
                   const DType other = in[0].dtype() == DType::F64 ? DType::F32 : DType::F64;
                   return cast(cast(in[0], other), in[0].dtype());
                 },
                 {wide},
                 {{{3, 4}}, {{}}, {{0}}},
                 elementwise([](const std::vector<double>& v) {
                   return static_cast<double>(static_cast<float>(v[0]));
                 })};
  cast_row.check = {.step = 0.0625, .tolerance = 1e-5};  // f32 has few digits
  cast_row.large = {{100'000}};
  add(
      std::move(cast_row), [] { cast(x, DType::U8); }, "[cast] to u8 has no gradient");
  return rows;
}

inline std::vector<OpRow> index_rows() {
  const Range wide{-2, 2};
  std::vector<OpRow> rows;
  const auto add = [&](OpRow row, std::function<void()> wrong, std::string message) {
    row.wrong = std::move(wrong);
    row.message = std::move(message);
    rows.push_back(std::move(row));
  };
  static const Var x = Tensor::zeros({2, 3});
  // Where the tests read or write: repeated entries, and one that is never touched.
  static const std::vector<std::int32_t> picks = {2, 0, 2, 2};
  const auto picked = [](Device device) { return indices(picks, {4}, device); };
  // The same for each of n rows, moved on by one from row to row.
  const auto picks_of = [](std::int64_t row, std::int64_t j) {
    return (picks[static_cast<std::size_t>(j)] + row) % 3;
  };
  const auto table = [=](std::int64_t n, Device device) {
    std::vector<std::int32_t> all;
    for (std::int64_t i = 0; i < n; ++i) {
      for (std::int64_t j = 0; j < 4; ++j) all.push_back(static_cast<std::int32_t>(picks_of(i, j)));
    }
    return indices(all, {n, 4}, device);
  };

  for (const int axis : {0, -1}) {
    add(
        {"index_select",
         str("axis ", axis),
         [=](const std::vector<Var>& in) {
           return index_select(in[0], axis, picked(in[0].device()));
         },
         {wide},
         {{{3, 3}}, {{3}}, {{3, 0, 3}}, {{3, 2, 3}}},
         rearranged(
             [=](Shape s) {
               s[s.axis(axis)] = 4;
               return s;
             },
             [=](Index i, const Shape& s) {
               std::int64_t& at = i[static_cast<std::size_t>(s.axis(axis))];
               at = picks[static_cast<std::size_t>(at)];
               return i;
             }),
         false,
         {{3, 300, 3}}},
        [] { index_select(x, 1, Tensor::from<std::int32_t>({3}, {1})); },
        "[index_select] index 3 is out of range: the axis has size 3");
    add(
        {"index_add",
         str("axis ", axis),
         [=](const std::vector<Var>& in) {
           return index_add(in[0], axis, picked(in[0].device()), in[1]);
         },
         {wide, wide},
         {{{3, 3}, axis == 0 ? Shape{4, 3} : Shape{3, 4}}, {{3}, {4}}},
         [=](const std::vector<Array>& in) {
           Array out = in[0];
           for_each_index(in[1].shape, [&](Index i) {
             const double value = in[1].at(i);
             std::int64_t& at = i[static_cast<std::size_t>(in[0].shape.axis(axis))];
             at = picks[static_cast<std::size_t>(at)];
             out.at(i) += value;
           });
           return out;
         },
         false,
         axis == 0 ? std::vector<Shape>{{3, 40'000}, {4, 40'000}}
                   : std::vector<Shape>{{40'000, 3}, {40'000, 4}}},
        [] {
          index_add(x, 1, Tensor::from<std::int32_t>({-1}, {1}), Var(Tensor::zeros({2, 1})));
        },
        "[index_add] index -1 is out of range: the axis has size 3");
  }
  add(
      {"gather",
       "",
       [=](const std::vector<Var>& in) {
         return gather(in[0], 1, table(in[0].dim(0), in[0].device()));
       },
       {wide},
       {{{2, 3}}, {{0, 3}}, {{5, 3}}},
       rearranged(
           [](const Shape& s) {
             return Shape{s[0], 4};
           },
           [=](const Index& i, const Shape&) {
             return Index{i[0], picks_of(i[0], i[1])};
           }),
       false,
       {{30'000, 3}}},
      [=] { gather(x, 1, table(3, Device::CPU)); },
      "[gather] index (3, 4) does not fit (2, 3): only axis 1 may differ");
  add(
      {"scatter_add",
       "",
       [=](const std::vector<Var>& in) {
         return scatter_add(in[0], 1, table(in[0].dim(0), in[0].device()), in[1]);
       },
       {wide, wide},
       {{{2, 3}, {2, 4}}, {{0, 3}, {0, 4}}, {{5, 3}, {5, 4}}},
       [=](const std::vector<Array>& in) {
         Array out = in[0];
         for_each_index(in[1].shape, [&](const Index& i) {
           out.at({i[0], picks_of(i[0], i[1])}) += in[1].at(i);
         });
         return out;
       },
       false,
       {{30'000, 3}, {30'000, 4}}},
      [=] {
        scatter_add(x, 1, table(2, Device::CPU), Var(Tensor::zeros({2, 3})));
      },
      "[scatter_add] index (2, 4) for a source of shape (2, 3)");
  return rows;
}

// --- rational-quadratic splines -----------------------------------------------------------------

/// Of one number and its parameters: value and log_slope, the inverse's by halving.
inline std::pair<double, double> naive_spline(double x, const std::vector<double>& p, int bins,
                                              double bound, bool inverse) {
  const auto knots = [&](int first) {
    double total = 0;
    for (int k = 0; k < bins; ++k) total += std::exp(p[first + k]);
    std::vector<double> at = {-bound};
    for (int k = 0; k < bins; ++k) {
      const double share = std::exp(p[first + k]) / total;
      at.push_back(at.back() + 2 * bound * (0.001 + (1 - 0.001 * bins) * share));
    }
    return at;
  };
  const std::vector<double> xs = knots(0), ys = knots(bins);
  const auto slope = [&](int knot) {
    if (knot == 0 || knot == bins) return 1.0;
    const double shift = std::log(std::exp(0.999) - 1);  // 0 gives the slope 1
    return 0.001 + std::log(1 + std::exp(p[2 * bins + knot - 1] + shift));
  };
  const auto ahead = [&](double at) -> std::pair<double, double> {
    if (std::abs(at) >= bound) return {at, 0};
    int k = 0;
    while (k + 1 < bins && at >= xs[k + 1]) ++k;
    const double w = xs[k + 1] - xs[k], h = ys[k + 1] - ys[k], s = h / w, t = (at - xs[k]) / w;
    const double d = slope(k), e = slope(k + 1), q = t * (1 - t), below = s + (d + e - 2 * s) * q;
    const double above = e * t * t + 2 * s * q + d * (1 - t) * (1 - t);
    return {ys[k] + h * (s * t * t + d * q) / below, std::log(s * s * above / (below * below))};
  };
  if (!inverse || std::abs(x) >= bound) return ahead(x);
  double low = -bound, high = bound;
  for (int i = 0; i < 100; ++i) {
    const double middle = (low + high) / 2;
    (ahead(middle).first < x ? low : high) = middle;
  }
  return {low, -ahead(low).second};
}

inline std::vector<OpRow> spline_rows() {
  std::vector<OpRow> rows;
  const auto add = [&](const std::string& what, const SplineArgs& args, int out,
                       std::vector<std::vector<Shape>> shapes) {
    const auto each = static_cast<int>(3 * args.bins - 1);
    OpRow row{"rational_quadratic_spline",
              what,
              [=](const std::vector<Var>& in) {
                const Sloped<Var> both = rational_quadratic_spline(in[0], in[1], args);
                if (out < 2) return out == 0 ? both.value : both.log_slope;
                return concat({both.value, both.log_slope}, -1);
              },
              {{-2, 2}, {-1, 1}},
              std::move(shapes),
              [=](const std::vector<Array>& in) {
                const Array &x = in[0], &p = in[1];
                const std::int64_t dims = x.shape.dim(-1);
                Shape shape = x.shape;
                if (out == 2) shape[shape.rank() - 1] *= 2;
                Array result(shape);
                for_each_index(x.shape, [&](const Index& at) {
                  std::vector<double> own;
                  for (int j = 0; j < each; ++j) {
                    Index from = at;
                    from.back() += j * dims;
                    own.push_back(p.at(from));
                  }
                  const auto [value, log_slope] = naive_spline(
                      x.at(at), own, static_cast<int>(args.bins), args.bound, args.inverse);
                  result.at(at) = out == 1 ? log_slope : value;
                  Index to = at;
                  to.back() += dims;
                  if (out == 2) result.at(to) = log_slope;
                });
                return result;
              }};
    row.wrong = [] {
      rational_quadratic_spline(Var(Tensor::zeros({2, 3})), Tensor::zeros({2, 18}), {2, 3});
    };
    row.message =
        "[rational_quadratic_spline] parameters (2, 18) for x (2, 3) and 2 bins: 5 for each";
    rows.push_back(std::move(row));
  };
  for (const bool inverse : {false, true}) {
    for (const int bins : {2, 5}) {
      const std::int64_t own = 3 * bins - 1;
      add(str(bins, inverse ? " bins, inverse" : " bins"), {bins, 1.5, inverse}, 2,
          {{{3, 4}, {3, 4 * own}},
           {{1}, {own}},
           {{2, 3, 2}, {2, 3, 2 * own}},
           {{70, 1}, {70, own}},
           {{0, 2}, {0, 2 * own}},
           {{2, 0}, {2, 0}}});
      rows.back().large = {{900, 5}, {900, 5 * own}};
    }
    // One of both: no gradient arrives at the other.
    for (const int out : {0, 1}) {
      add(str(out == 1 ? "log_slope" : "value", inverse ? ", inverse" : ""), {3, 1.5, inverse}, out,
          {{{3, 2}, {3, 16}}});
    }
  }
  return rows;
}

/// Every row.
inline std::vector<OpRow> op_table() {
  std::vector<OpRow> all = elementwise_rows();
  for (auto* rows : {&reduction_rows, &matrix_rows, &conv_rows, &mixture_rows, &spline_rows,
                     &shape_rows, &index_rows}) {
    for (OpRow& row : rows()) all.push_back(std::move(row));
  }

  OpRow where_row{"where",
                  "",
                  [](const std::vector<Var>& in) {
                    const Tensor condition =
                        Tensor::from<std::uint8_t>({1, 0, 1, 0, 0, 7, 1, 0, 1, 1, 0, 0}, {3, 4});
                    return where(condition.to(in[0].device()), in[0], in[1]);
                  },
                  {{-2, 2}, {-2, 2}},
                  {{{3, 4}, {3, 4}}, {{3, 4}, {4}}, {{3, 1}, {}}, {{}, {1, 4}}, {{}, {2, 3, 4}}},
                  [](const std::vector<Array>& in) {
                    Array condition({3, 4});
                    condition.values = {1, 0, 1, 0, 0, 7, 1, 0, 1, 1, 0, 0};
                    return elementwise([](const std::vector<double>& v) {
                      return v[0] != 0 ? v[1] : v[2];
                    })({condition, in[0], in[1]});
                  }};
  where_row.wrong = [] { where(Tensor::zeros({2}), Var(Tensor::zeros({2})), Tensor::zeros({2})); };
  where_row.message = "[where] the condition must be u8";
  where_row.large = {{9000, 3, 4}, {9000, 3, 4}};
  all.push_back(std::move(where_row));

  OpRow checkpoint_row{
      "checkpoint",
      "",
      [](const std::vector<Var>& in) {
        return checkpoint(
            [](const std::vector<Var>& v) { return std::vector<Var>{tanh(v[0]) * v[1] + v[0]}; },
            in)[0];
      },
      {{-2, 2}, {-2, 2}},
      {{{3, 4}, {4}}, {{}, {}}, {{0}, {0}}},
      elementwise([](const std::vector<double>& v) { return std::tanh(v[0]) * v[1] + v[0]; })};
  checkpoint_row.large = {{100'000}, {100'000}};
  all.push_back(std::move(checkpoint_row));
  return all;
}

}  // namespace nf::test
