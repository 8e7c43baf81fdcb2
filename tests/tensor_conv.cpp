// Convolutions of every device against seven loops in double: values, both gradients, what is at
// the edge, what is refused.
#include <array>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "tensor/graph.h"
#include "tensor/threads.h"
#include "tests/data_util.h"
#include "tests/devices.h"

BOOST_AUTO_TEST_SUITE(tensor_conv)

using namespace nf;
using namespace nf::test;

namespace {

struct DefaultThreads : DefaultWinograd {
  ~DefaultThreads() { set_num_threads(0); }
};

std::vector<Device> all_devices() {
  std::vector<Device> devices = other_devices();
  devices.insert(devices.begin(), Device::CPU);
  return devices;
}

struct Case {
  Shape x, w;
  ConvGeometry geometry;

  Shape out() const {
    const auto [s, ph, pw, exact] = geometry;
    return {x[0], (x[1] + 2 * ph - w[2]) / s + 1, (x[2] + 2 * pw - w[3]) / s + 1, w[0]};
  }
  bool legal() const {
    const auto [s, ph, pw, exact] = geometry;
    return ph < w[2] && pw < w[3] && x[1] + 2 * ph >= w[2] && x[2] + 2 * pw >= w[3];
  }
};

std::ostream& operator<<(std::ostream& stream, const Case& c) {
  return stream << c.x << " with " << c.w << ", stride " << c.geometry.stride << ", padding "
                << c.geometry.pad_h << " " << c.geometry.pad_w;
}

/// body(place in out, place in x, place in w) for every product of the convolution.
template <class Body>
void for_products(const Case& c, const Body& body) {
  const Shape out = c.out();
  std::size_t to = 0;
  for (std::int64_t n = 0; n < out[0]; ++n) {
    for (std::int64_t i = 0; i < out[1]; ++i) {
      for (std::int64_t j = 0; j < out[2]; ++j) {
        for (std::int64_t o = 0; o < out[3]; ++o, ++to) {
          std::size_t weight = static_cast<std::size_t>(o * c.w[1] * c.w[2] * c.w[3]);
          for (std::int64_t ch = 0; ch < c.w[1]; ++ch) {
            for (std::int64_t ky = 0; ky < c.w[2]; ++ky) {
              for (std::int64_t kx = 0; kx < c.w[3]; ++kx, ++weight) {
                const std::int64_t y = i * c.geometry.stride + ky - c.geometry.pad_h;
                const std::int64_t x = j * c.geometry.stride + kx - c.geometry.pad_w;
                if (y < 0 || x < 0 || y >= c.x[1] || x >= c.x[2]) continue;
                const std::int64_t from = ((n * c.x[1] + y) * c.x[2] + x) * c.x[3] + ch;
                body(to, static_cast<std::size_t>(from), weight);
              }
            }
          }
        }
      }
    }
  }
}

/// Sums of products in double, the sums of their sizes, and how many there are in each.
struct Sums {
  explicit Sums(const Shape& shape)
      : sum(static_cast<std::size_t>(shape.numel())), size(sum), count(sum) {}
  std::vector<double> sum, size, count;
  void add(std::size_t i, double product) {
    sum[i] += product;
    size[i] += std::abs(product);
    ++count[i];
  }
};

/// Empty when every element is within 2 eps K (sum of |products|) of its sum.
std::string far_off(const Tensor& got, const Sums& expected) {
  const double eps = got.dtype() == DType::F32 ? 0x1p-24 : 0x1p-53;
  const std::vector<double> v = values(got);
  if (v.size() != expected.sum.size()) return str("the shape is ", got.shape());
  for (std::size_t i = 0; i < v.size(); ++i) {
    const double allowed = 2 * eps * (expected.count[i] + 1) * expected.size[i];
    if (!(std::abs(v[i] - expected.sum[i]) <= allowed)) {
      return str("element ", i, " of ", got.shape(), " is ", v[i], " instead of ", expected.sum[i]);
    }
  }
  return "";
}

/// Every kernel, stride and padding on every map; the numbers of channels and images take turns.
std::vector<Case> all_cases() {
  const std::array<std::int64_t, 2> kernels[] = {{1, 1}, {3, 3}, {5, 5}, {1, 3}, {4, 4}, {2, 2}};
  const std::array<std::int64_t, 2> maps[] = {{1, 1}, {2, 1}, {3, 3}, {4, 5},
                                              {6, 4}, {7, 8}, {8, 8}, {9, 9}};
  const std::int64_t channels[] = {1, 3, 5, 16, 33, 64}, images[] = {1, 3, 2, 0, 1};
  std::vector<Case> cases;
  std::size_t turn = 0;
  for (const auto& [kh, kw] : kernels) {
    for (const std::int64_t stride : {1, 2}) {
      for (const std::int64_t pad : {0, 1, 2}) {
        for (const auto& [h, w] : maps) {
          ++turn;
          const std::int64_t c = channels[turn % 6], o = channels[(turn / 6 + turn * 5) % 6];
          const ConvGeometry geometry{stride, std::min(pad, kh - 1), std::min(pad, kw - 1)};
          const Case made{{images[turn % 5], h, w, c}, {o, c, kh, kw}, geometry};
          if (made.legal() && std::max(geometry.pad_h, geometry.pad_w) == pad) {
            cases.push_back(made);
          }
        }
      }
    }
  }
  cases.push_back({{1, 32, 32, 16}, {5, 16, 3, 3}, {1, 1, 1}});
  cases.push_back({{2, 32, 32, 3}, {33, 3, 4, 4}, {2, 1, 1}});
  cases.push_back({{2, 9, 9, 64}, {64, 64, 3, 3}, {1, 1, 1}});
  // So many outputs that the sums of dx are cut between the kernel's rows, and a last row of x that
  // no window reaches.
  cases.push_back({{1, 6, 6, 4}, {200, 4, 3, 3}, {2, 0, 0}});
  cases.push_back({{1, 9, 9, 3}, {600, 3, 4, 4}, {2, 0, 0}});
  // Rows that are cut, read where they are and with padding, in steps of 1 and 2, on few and many
  // channels.
  cases.push_back({{1, 1, 2003, 4}, {5, 4, 1, 3}, {1, 0, 1}});
  cases.push_back({{2, 1, 1100, 3}, {16, 3, 1, 3}, {1, 0, 0}});
  cases.push_back({{1, 3, 2501, 2}, {3, 2, 3, 4}, {2, 1, 2}});
  cases.push_back({{1, 2, 1500, 33}, {2, 33, 3, 3}, {1, 1, 1}});
  // So few outputs of one pass that the CPU multiplies pixels with all taps at once: in parts of an
  // image, and with padding of every size.
  for (const std::int64_t few : {1, 2, 3, 6}) {
    cases.push_back({{1, 40, 7, few}, {32, few, 3, 3}, {1, few % 3, 2}});
    cases.push_back({{3, 6, 9, 33}, {few, 33, 4, 3}, {1, few % 4, 0}});
  }
  return cases;
}

/// The convolution and its gradients, on every device.
void check_sums(const Case& c, DType dtype) {
  const Tensor x = draw(c.x, dtype, 1), w = draw(c.w, dtype, 2), dout = draw(c.out(), dtype, 3);
  const std::vector<double> vx = values(x), vw = values(w), vd = values(dout);
  Sums out(c.out()), dx(c.x), dw(c.w);
  for_products(c, [&](std::size_t i, std::size_t from, std::size_t weight) {
    out.add(i, vx[from] * vw[weight]);
    dx.add(from, vd[i] * vw[weight]);
    dw.add(weight, vd[i] * vx[from]);
  });
  for (const Device device : all_devices()) {
    const Tensor there_x = x.to(device), there_w = w.to(device), there_d = dout.to(device);
    const auto check = [&](const char* what, const Tensor& got, const Sums& expected) {
      const std::string wrong = far_off(got, expected);
      BOOST_CHECK_MESSAGE(wrong.empty(), c << ", " << name(dtype) << " " << name(device) << ", "
                                           << what << ": " << wrong);
    };
    check("out", conv2d(there_x, there_w, {}, c.geometry), out);
    Tensor::full(c.x, 777, dtype, device);  // memory that dx gets: what it leaves is seen
    check("dx", conv2d_backward_data(there_d, there_w, c.x, c.geometry), dx);
    check("dw", conv2d_backward_weights(there_x, there_d, c.w, c.geometry), dw);
  }
}

}  // namespace

BOOST_FIXTURE_TEST_CASE(values_and_gradients_are_the_sums, DefaultWinograd) {
  set_winograd(Winograd::Off);
  for (const Case& c : all_cases()) {
    for (const DType dtype : kFloats) check_sums(c, dtype);
  }
}

// What CUDA gathers goes through a workspace of 64 MiB: here in parts, which begin within an image
// where they hold patches. First the patches are of x and the columns of dout, then the reverse.
BOOST_AUTO_TEST_CASE(values_and_gradients_in_parts) {
  check_sums({{2, 96, 96, 1}, {1, 1, 48, 48}, {1, 0, 0}}, DType::F64);
  check_sums({{9, 32, 32, 3}, {1, 3, 31, 31}, {1, 15, 15}}, DType::F64);
}

// <dout, conv(x, w)> = <dx, x> = <dw, w>, of shapes that the seven loops are too slow for.
BOOST_AUTO_TEST_CASE(gradients_are_the_adjoints) {
  const Case cases[] = {{{3, 32, 32, 64}, {64, 64, 3, 3}, {1, 1, 1}},
                        {{2, 33, 31, 6}, {96, 6, 3, 3}, {1, 1, 1}},
                        {{2, 16, 17, 96}, {12, 96, 3, 3}, {1, 1, 1}},
                        {{2, 32, 32, 33}, {64, 33, 5, 4}, {2, 2, 1}},
                        {{5, 21, 20, 16}, {7, 16, 1, 1}, {2, 0, 0}}};
  for (const Case& c : cases) {
    const Tensor x = draw(c.x, DType::F64, 1), w = draw(c.w, DType::F64, 2);
    const Tensor dout = draw(c.out(), DType::F64, 3);
    for (const Device device : all_devices()) {
      if (device != Device::CPU && c.x[3] == 64) continue;  // the emulator is slow
      const Tensor xs = x.to(device), ws = w.to(device), ds = dout.to(device);
      const auto inner = [](const Tensor& a, const Tensor& b) { return sum(a * b).item(); };
      const double value = inner(ds, conv2d(xs, ws, {}, c.geometry));
      const double data = inner(conv2d_backward_data(ds, ws, c.x, c.geometry), xs);
      const double weights = inner(conv2d_backward_weights(xs, ds, c.w, c.geometry), ws);
      const double allowed = 1e-12 * std::sqrt(sum_squares(ds).item()) *
                             std::sqrt(sum_squares(conv2d(xs, ws, {}, c.geometry)).item());
      BOOST_CHECK_MESSAGE(std::abs(data - value) <= allowed,
                          c << ": " << data << " instead of " << value);
      BOOST_CHECK_MESSAGE(std::abs(weights - value) <= allowed,
                          c << ": " << weights << " instead of " << value);
    }
  }
}

BOOST_FIXTURE_TEST_CASE(bias_and_activation_are_fused, DefaultWinograd) {
  set_winograd(Winograd::On);  // where it is possible
  const Case cases[] = {{{2, 5, 4, 3}, {7, 3, 3, 3}, {1, 1, 1}},
                        {{2, 5, 4, 7}, {3, 7, 3, 3}, {1, 1, 1}},  // fewer outputs than inputs
                        {{2, 5, 4, 32}, {2, 32, 3, 4}, {1, 1, 2}},
                        {{3, 5, 5, 4}, {5, 4, 2, 2}, {2, 1, 0}},
                        {{3, 5, 5, 4}, {5, 4, 1, 1}, {1, 0, 0}}};
  const UnaryOp acts[] = {UnaryOp::Relu, UnaryOp::LeakyRelu, UnaryOp::Tanh, UnaryOp::Affine};
  const OpArgs args{0.3, 0.1};
  for (const Device device : all_devices()) {
    for (const DType dtype : kFloats) {
      for (const Case& c : cases) {
        const Tensor x = draw(c.x, dtype, 1).to(device), w = draw(c.w, dtype, 2).to(device);
        const Tensor bias = draw({c.w[0]}, dtype, 3).to(device);
        const double tolerance = dtype == DType::F32 ? 1e-5 : 1e-13;
        const Tensor plain = conv2d(x, w, {}, c.geometry);
        CHECK_SAME(conv2d(x, w, bias, c.geometry), plain + bias, tolerance, c, ", bias");
        for (const UnaryOp& act : acts) {
          for (const Tensor& b : {bias, Tensor()}) {
            CHECK_SAME(conv2d(x, w, b, c.geometry, &act, args),
                       unary(act, b.defined() ? plain + b : plain, args), tolerance, c, ", ",
                       name_of(act));
          }
        }
      }
    }
  }
}

BOOST_FIXTURE_TEST_CASE(views_give_what_their_copies_give, DefaultWinograd) {
  set_winograd(Winograd::On);
  const Case cases[] = {{{2, 5, 4, 3}, {6, 3, 3, 3}, {1, 1, 1}},
                        {{3, 6, 5, 8}, {4, 8, 3, 3}, {1, 1, 1}},
                        {{1, 1, 5, 2}, {3, 2, 1, 2}, {2, 0, 1}},
                        {{3, 4, 1, 4}, {3, 4, 2, 1}, {2, 1, 0}},
                        {{2, 3, 4, 4}, {5, 4, 1, 1}, {1, 0, 0}}};
  for (const Device device : all_devices()) {
    for (const Case& c : cases) {
      const Tensor x = draw(c.x, DType::F32, 1).to(device), w = draw(c.w, DType::F32, 2).to(device);
      const Tensor dout = draw(c.out(), DType::F32, 3).to(device);
      const Tensor out = conv2d(x, w, {}, c.geometry);
      const Tensor dx = conv2d_backward_data(dout, w, c.x, c.geometry);
      const Tensor dw = conv2d_backward_weights(x, dout, c.w, c.geometry);
      for (const View& view : kViews) {  // "windowed" is a slice of channels
        const Tensor vx = view.make(x), vw = view.make(w), vd = view.make(dout);
        CHECK_SAME(conv2d(vx, vw, {}, c.geometry), out, 1e-5, c, " ", view.name);
        CHECK_SAME(conv2d_backward_data(vd, vw, c.x, c.geometry), dx, 1e-5, c, " ", view.name);
        CHECK_SAME(conv2d_backward_weights(vx, vd, c.w, c.geometry), dw, 1e-5, c, " ", view.name);
      }
    }
  }
}

// A pixel that is NaN or infinite is in the outputs whose window holds it and in no other, and so
// an element of dout in dx. A weight that is not finite, and whatever makes dw so, is seen at least
// where it belongs: a device may multiply with the padding's zeros.
BOOST_FIXTURE_TEST_CASE(what_is_not_finite_stays_in_its_windows, DefaultWinograd) {
  set_winograd(Winograd::Off);
  const double inf = std::numeric_limits<double>::infinity();
  const Case cases[] = {{{2, 5, 6, 3}, {4, 3, 3, 3}, {1, 1, 1}},
                        {{2, 5, 6, 4}, {3, 4, 3, 3}, {1, 1, 1}},
                        {{1, 6, 5, 2}, {32, 2, 3, 3}, {1, 1, 1}},  // dx by columns
                        {{2, 5, 6, 2}, {2, 2, 4, 2}, {2, 2, 1}},
                        {{1, 7, 7, 3}, {5, 3, 1, 1}, {2, 0, 0}}};
  for (const Device device : all_devices()) {
    for (const Case& c : cases) {
      for (const double bad : {std::nan(""), inf}) {
        // One element of each operand in turn, and which results have a product with it.
        const auto check = [&](int operand) {
          std::vector<double> x(static_cast<std::size_t>(c.x.numel()), 1.0);
          std::vector<double> w(static_cast<std::size_t>(c.w.numel()), 0.5);
          std::vector<double> d(static_cast<std::size_t>(c.out().numel()), 0.25);
          std::vector<double>& hit = operand == 0 ? x : operand == 1 ? w : d;
          for (const std::size_t at : {std::size_t{0}, hit.size() / 2, hit.size() - 1}) {
            hit[at] = bad;
            std::vector<bool> out(d.size()), dx(x.size()), dw(w.size());
            for_products(c, [&](std::size_t i, std::size_t from, std::size_t weight) {
              out[i] = out[i] || !std::isfinite(x[from] * w[weight]);
              dx[from] = dx[from] || !std::isfinite(d[i] * w[weight]);
              dw[weight] = dw[weight] || !std::isfinite(d[i] * x[from]);
            });
            const auto tensor = [&](const std::vector<double>& v, const Shape& shape) {
              return Tensor::from(v, shape).to(DType::F32).to(device);
            };
            const Tensor tx = tensor(x, c.x), tw = tensor(w, c.w), td = tensor(d, c.out());
            const auto reached = [&](const char* what, const Tensor& got, bool exactly,
                                     const std::vector<bool>& expected) {
              const std::vector<double> v = values(got);
              for (std::size_t i = 0; i < v.size(); ++i) {
                const bool fits = std::isfinite(v[i]) != expected[i];
                BOOST_CHECK_MESSAGE(fits || (!exactly && !expected[i]),
                                    c << ", " << what << " " << i << " is " << v[i]);
              }
            };
            reached("out", conv2d(tx, tw, {}, c.geometry), operand == 0, out);
            reached("dx", conv2d_backward_data(td, tw, c.x, c.geometry), operand == 2, dx);
            reached("dw", conv2d_backward_weights(tx, td, c.w, c.geometry), false, dw);
            hit[at] = 1;
          }
        };
        for (const int operand : {0, 1, 2}) check(operand);
      }
    }
  }
}

BOOST_FIXTURE_TEST_CASE(the_number_of_threads_changes_no_bit, DefaultThreads) {
  const Case cases[] = {
      {{3, 32, 32, 16}, {33, 16, 3, 3}, {1, 1, 1}}, {{5, 9, 8, 33}, {16, 33, 5, 4}, {2, 2, 1}},
      {{1, 32, 32, 3}, {64, 3, 3, 3}, {1, 1, 1}},   {{1, 1, 9000, 5}, {33, 5, 1, 3}, {1, 0, 1}},
      {{1, 70, 5, 2}, {33, 2, 3, 3}, {1, 1, 1}},    {{64, 4, 4, 64}, {6, 64, 3, 3}, {1, 1, 1}},
      {{2, 31, 30, 12}, {40, 12, 1, 1}, {1, 0, 0}}};
  for (const DType dtype : kFloats) {
    for (const Case& c : cases) {
      const Tensor x = draw(c.x, dtype, 1), w = draw(c.w, dtype, 2), dout = draw(c.out(), dtype, 3);
      const Tensor bias = draw({c.w[0]}, dtype, 4);
      const UnaryOp act = UnaryOp::Tanh;
      const auto all = [&] {
        return std::array{values(conv2d(x, w, bias, c.geometry, &act)),
                          values(conv2d_backward_data(dout, w, c.x, c.geometry)),
                          values(conv2d_backward_weights(x, dout, c.w, c.geometry))};
      };
      for (const Winograd way : {Winograd::Off, Winograd::On}) {
        set_winograd(way);
        set_num_threads(1);
        const auto one = all();
        for (const int threads : {2, 3}) {
          set_num_threads(threads);
          BOOST_CHECK_MESSAGE(all() == one, c << ", " << name(dtype) << ": " << threads
                                              << " threads, way " << static_cast<int>(way));
        }
      }
    }
  }
}

// Winograd's way beside the seven loops. With the points 0, 5/8, 3/2 and infinity the largest error
// of normal numbers is 8e-6 of the outputs' standard deviation sqrt(9 C) at 128 channels, and less
// at fewer; numbers of a tile that are multiplied with other signs or taps would be off by more
// than 0.1 of it.
BOOST_FIXTURE_TEST_CASE(winograd_gives_the_sums, DefaultWinograd) {
  const std::array<std::int64_t, 2> maps[] = {{3, 3}, {4, 4}, {1, 5},  {5, 2},
                                              {8, 8}, {7, 9}, {11, 6}, {16, 13}};
  const std::array<std::int64_t, 2> channels[] = {{1, 1},   {3, 33},  {16, 5}, {33, 16},
                                                  {64, 64}, {17, 31}, {5, 70}, {128, 12}};
  set_winograd(Winograd::On);
  std::size_t turn = 0;
  for (const std::int64_t pad_h : {0, 1, 2}) {
    for (const std::int64_t pad_w : {0, 1, 2}) {
      for (const auto& [h, w] : maps) {
        ++turn;
        const auto [in, out] = channels[(turn + turn / 8) % 8];
        const Case c{{turn % 2 == 0 ? 1 : 3, h, w, in}, {out, in, 3, 3}, {1, pad_h, pad_w}};
        if (!c.legal()) continue;
        const Tensor x = draw(c.x, DType::F32, 1), k = draw(c.w, DType::F32, 2);
        const Tensor dout = draw(c.out(), DType::F32, 3);
        Sums sums(c.out()), dx(c.x);
        const std::vector<double> vx = values(x), vk = values(k), vd = values(dout);
        for_products(c, [&](std::size_t i, std::size_t from, std::size_t weight) {
          sums.add(i, vx[from] * vk[weight]);
          dx.add(from, vd[i] * vk[weight]);
        });
        const auto largest = [](const Tensor& got, const Sums& expected, std::int64_t depth) {
          const std::vector<double> v = values(got);
          double most = 0;
          for (std::size_t i = 0; i < v.size(); ++i) {
            const double off = std::abs(v[i] - expected.sum[i]);
            most = std::isnan(off) ? off : std::max(most, off);
          }
          return most / std::sqrt(9.0 * static_cast<double>(depth));
        };
        BOOST_TEST_CONTEXT(c) {
          BOOST_TEST(largest(conv2d(x, k, {}, c.geometry), sums, in) <= 2e-5);
          BOOST_TEST(largest(conv2d_backward_data(dout, k, c.x, c.geometry), dx, out) <= 2e-5);
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(recorded_convolutions) {
  const Case c{{2, 5, 4, 3}, {6, 3, 3, 3}, {1, 1, 1}};
  const Tensor w = draw(c.w, DType::F32, 2), dout = draw(c.out(), DType::F32, 3);
  for (const Device device : other_devices()) {
    Tensor x = Tensor::zeros(c.x, DType::F32, device), out, dx, dw;
    const Tensor ws = w.to(device), ds = dout.to(device);
    Graph graph(device, {}, [&] {
      out = conv2d(x, ws, {}, c.geometry);
      dx = conv2d_backward_data(mul(out, ds), ws, c.x, c.geometry);
      dw = conv2d_backward_weights(x, out, c.w, c.geometry);
    });
    for (const std::uint64_t seed : {5, 6}) {
      const Tensor here = draw(c.x, DType::F32, seed), result = conv2d(here, w, {}, c.geometry);
      x.copy_(here);
      graph.replay();
      CHECK_SAME(out, result, 2e-5, "out");
      CHECK_SAME(dx, conv2d_backward_data(mul(result, dout), w, c.x, c.geometry), 2e-5, "dx");
      CHECK_SAME(dw, conv2d_backward_weights(here, result, c.w, c.geometry), 2e-5, "dw");
    }
  }
}

BOOST_AUTO_TEST_CASE(wrong_calls_are_refused) {
  const Tensor x = Tensor::zeros({2, 4, 5, 3}), w = Tensor::zeros({6, 3, 3, 3});
  const Tensor bias = Tensor::zeros({6});
  const UnaryOp gelu = UnaryOp::Gelu;
  check_error(
      [&] {
        conv2d(x, Tensor::zeros({6, 2, 3, 3}), {}, {});
      },
      {"[conv2d] x (2, 4, 5, 3) and weight (6, 2, 3, 3) do not fit",
       "(N, H, W, C) and (O, C, kh, kw)"});
  check_error([&] { conv2d(x.reshape({8, 15}), w, {}, {}); }, {"[conv2d] x (8, 15)", "expected"});
  check_error([&] { conv2d(x, w, {}, {3}); }, {"[conv2d] stride 3", "1 or 2"});
  check_error([&] { conv2d(x, w, {}, {0}); }, {"[conv2d] stride 0"});
  check_error(
      [&] {
        conv2d(x, w, {}, {1, 3, 0});
      },
      {"[conv2d] padding (3, 0)", "(3, 3)", "smaller"});
  check_error([&] { conv2d(x, w, {}, {1, 0, -1}); }, {"[conv2d] padding (0, -1)", "at least 0"});
  check_error(
      [&] {
        conv2d(x, Tensor::zeros({6, 3, 5, 5}), {}, {});
      },
      {"[conv2d] a kernel of (5, 5) is larger than images of (4, 5)", "pad more"});
  check_error(
      [&] {
        conv2d(Tensor::zeros({2, 0, 5, 3}), w, {}, {1, 2, 2});
      },
      {"[conv2d] x (2, 0, 5, 3)", "only the batch may be empty"});
  check_error([&] { conv2d(x, w, Tensor::zeros({3}), {}); },
              {"[conv2d] bias (3,) for weight (6, 3, 3, 3): expected (6,)"});
  check_error([&] { conv2d(x, w, bias, {}, &gelu); }, {"[conv2d] gelu cannot be fused"});
  check_error([&] { conv2d(x, w.to(DType::F64), {}, {}); }, {"[conv2d] needs one dtype", "f64"});
  check_error([&] { conv2d(x.to(DType::U8), w, {}, {}); }, {"[conv2d] needs an f32 or f64", "u8"});
  check_error([&] { conv2d(Tensor(), w, {}, {}); }, {"[conv2d] needs an f32 or f64"});
  check_error([&] { conv2d_backward_data(x, w, x.shape(), {}); },
              {"[conv2d] a gradient of shape (2, 4, 5, 3)", "(2, 2, 3, 6)"});
  check_error([&] { conv2d_backward_weights(x, x, w.shape(), {}); },
              {"[conv2d] a gradient of shape (2, 4, 5, 3)", "(2, 2, 3, 6)"});
}

BOOST_AUTO_TEST_SUITE_END()
