// Matrix products, linear layers, linear algebra, optimizer steps and memory of every device,
// against the same on the CPU.
#include <array>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "tensor/graph.h"
#include "tensor/linalg.h"
#include "tests/devices.h"

BOOST_AUTO_TEST_SUITE(tensor_devices_matrix)

using namespace nf;
using namespace nf::test;

namespace {

double tolerance_of(DType dtype) { return dtype == DType::F32 ? 2e-5 : 1e-12; }

}  // namespace

BOOST_AUTO_TEST_CASE(products_over_layouts) {
  struct Case {
    Shape a, b;
  };
  const Case cases[] = {{{1, 1}, {1, 1}},      {{3, 5}, {5, 2}},     {{33, 1}, {1, 20}},
                        {{1, 64}, {64, 48}},   {{70, 65}, {65, 33}}, {{4, 3, 5}, {4, 5, 2}},
                        {{4, 3, 5}, {5, 2}},   {{3, 5}, {4, 5, 2}},  {{2, 1, 3, 5}, {3, 5, 2}},
                        {{2, 1, 5}, {2, 5, 1}}};
  for (const Device device : other_devices()) {
    for (const DType dtype : kFloats) {
      for (const Case& c : cases) {
        const Tensor a = draw(c.a, dtype, 1), b = draw(c.b, dtype, 2);
        for (const View& lie_a : kViews) {
          for (const View& lie_b : kViews) {
            const Tensor x = lie_a.make(a.to(device)), y = lie_b.make(b.to(device));
            CHECK_SAME(matmul(x, y), matmul(a, b), tolerance_of(dtype), c.a, " x ", c.b, " ",
                       lie_a.name, " ", lie_b.name);
          }
        }
        const Tensor ta = a.transpose(-2, -1).clone().to(device).transpose(-2, -1);
        const Tensor tb = b.transpose(-2, -1).clone().to(device).transpose(-2, -1);
        CHECK_SAME(matmul(ta, tb), matmul(a, b), tolerance_of(dtype), "both transposed");
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(linear_layers) {
  const UnaryOp relu = UnaryOp::Relu, leaky = UnaryOp::LeakyRelu, tanh = UnaryOp::Tanh;
  for (const Device device : other_devices()) {
    for (const DType dtype : kFloats) {
      for (const auto& [rows, in, width] :
           {std::array{1, 1, 1}, std::array{5, 3, 7}, std::array{130, 40, 65},
            std::array{200, 2, 300}, std::array{4, 0, 3}}) {
        const Tensor x = draw({rows, in}, dtype), w = draw({width, in}, dtype, 2);
        const Tensor bias = draw({width}, dtype, 3), dout = draw({rows, width}, dtype, 4);
        for (const UnaryOp* act : {static_cast<const UnaryOp*>(nullptr), &relu, &leaky, &tanh}) {
          for (const Tensor& b : {bias, Tensor()}) {
            const OpArgs args{0.1, 0};
            const Tensor here = linear(x, w, b, act, args);
            const Tensor there =
                linear(x.to(device), w.to(device), b.defined() ? b.to(device) : b, act, args);
            CHECK_SAME(there, here, tolerance_of(dtype), act ? name_of(*act) : "no activation");
            if (!act) continue;
            Tensor pre = here.empty_like(), db = bias.empty_like();
            cpu_backend().linear_backward(dout, here, *act, args, pre, &db);
            for (const View& view : kViews) {
              Tensor pre2 = there.empty_like(), db2 = db.to(device).zeros_like();
              const Tensor g = view.make(dout.to(device)), y = view.make(here.to(device));
              backend_for(device).linear_backward(g, y, *act, args, pre2, &db2);
              CHECK_SAME(pre2, pre, tolerance_of(dtype), "gradient of ", view.name);
              CHECK_SAME(db2, db, tolerance_of(dtype), "bias gradient of ", view.name);
            }
            Tensor in_place = dout.to(device).clone();
            backend_for(device).linear_backward(in_place, here.to(device), *act, args, in_place,
                                                nullptr);
            CHECK_SAME(in_place, pre, tolerance_of(dtype), "gradient in place");
          }
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(precision_is_a_setting) {
  BOOST_CHECK_THROW(cpu_backend().set_precision(Precision::TF32), Error);
  for (const Device device : other_devices()) {
    Backend& backend = backend_for(device);
    const Tensor a = draw({40, 64}, DType::F32), b = draw({64, 24}, DType::F32, 2);
    // Factors lose 13 or 16 of 24 bits, sums of 64 products do not.
    for (const auto& [precision, tolerance] :
         {std::pair{Precision::TF32, 0.02}, std::pair{Precision::BF16, 0.2}}) {
      backend.set_precision(precision);
      BOOST_CHECK(backend.precision() == precision);
      CHECK_SAME(matmul(a.to(device), b.to(device)), matmul(a, b), tolerance, name_of(precision));
    }
    backend.set_precision(Precision::F32);
  }
}

BOOST_AUTO_TEST_CASE(optimizer_steps) {
  constexpr UpdateArgs kArgs{.lr = 0.01,
                             .beta1 = 0.8,
                             .beta2 = 0.95,
                             .eps = 1e-3,
                             .weight_decay = 0.1,
                             .correction1 = 0.36,
                             .correction2 = 0.0975};
#define NF_ONE(Rule) UpdateRule::Rule,
  for (const UpdateRule rule : {NF_UPDATE_RULES(NF_ONE)}) {
#undef NF_ONE
    for (const Device device : other_devices()) {
      for (const DType dtype : kFloats) {
        for (const bool scaled : {false, true}) {
          std::vector<Tensor> here[4], there[4];  // p, g, m, v
          for (int i = 0; i < 170; ++i) {         // more than fit into the arguments of one kernel
            const Shape shape = i == 100 ? Shape{30011} : Shape{1 + i % 7, i % 3 + 1};
            for (int k = 0; k < (states_of(rule) + 2); ++k) {
              here[k].push_back(square(draw(shape, dtype, static_cast<std::uint64_t>(4 * i + k))));
              there[k].push_back(here[k].back().to(device));
            }
          }
          const Tensor scale = scaled ? Tensor::scalar(0.25) : Tensor();
          std::vector<UpdateFactors> factors;  // some, or none given
          for (int i = 0; scaled && i < 170; ++i) {
            factors.push_back(
                {.lr = 1.0 + i % 5, .eps = 1.0 / (1 + i % 4), .weight_decay = 1.0 * (i % 3)});
          }
          cpu_backend().update(rule, kArgs, scale, here[0], here[1], here[2], here[3], factors);
          backend_for(device).update(rule, kArgs, scaled ? scale.to(device) : scale, there[0],
                                     there[1], there[2], there[3], factors);
          for (int k = 0; k < 4; ++k) {
            for (std::size_t i = 0; i < here[k].size(); ++i) {
              CHECK_SAME(there[k][i], here[k][i], dtype == DType::F32 ? 1e-6 : 1e-14, name_of(rule),
                         " tensor ", i, " part ", k);
            }
          }
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(gradient_norms) {
  for (const Device device : other_devices()) {
    for (const DType dtype : kFloats) {
      std::vector<Tensor> here, there;
      for (int i = 0; i < 170; ++i) {  // more than one kernel takes, in one part and in several
        const Shape shape = i == 100 ? Shape{30011} : i == 7 ? Shape{8192} : Shape{1 + i % 7, 2};
        here.push_back(draw(shape, dtype, static_cast<std::uint64_t>(i)));
        there.push_back(here.back().to(device));
      }
      for (const std::size_t count : {170, 80, 1}) {
        Tensor a = Tensor::empty({}, DType::F64), b = a.to(device), c = b.empty_like();
        cpu_backend().norm({here.data(), count}, a);
        backend_for(device).norm({there.data(), count}, b);
        backend_for(device).norm({there.data(), count}, c);
        CHECK_SAME(b, a, 1e-6, "norm of ", count, " tensors");
        CHECK_SAME(c, b, 0, "the same once more");
      }
      for (const double value : {1e20, std::nan(""), HUGE_VAL}) {
        const Tensor large[] = {Tensor::full({3}, value, dtype), Tensor::ones({2}, dtype)};
        const Tensor moved[] = {large[0].to(device), large[1].to(device)};
        Tensor a = Tensor::empty({}, DType::F64), b = a.to(device);
        cpu_backend().norm(large, a);
        backend_for(device).norm(moved, b);
        CHECK_SAME(b, a, 1e-14, "norm with ", value);
        BOOST_TEST(std::isfinite(a.item()) == std::isfinite(value));
      }
    }
  }
}

// --- linear algebra -----------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(linear_algebra) {
  for (const Device device : other_devices()) {
    for (const DType dtype : kFloats) {
      const double tolerance = dtype == DType::F32 ? 1e-6 : 1e-11;  // a GPU rounds a*b + c once
      for (const std::int64_t n : {1, 2, 9, 33, 70}) {
        const Tensor a = draw({n, n}, dtype) + Tensor::eye(n, dtype) * 2.0;
        const Tensor other = draw({n, 37}, dtype, 2), narrow = other.narrow(1, 3, 1);
        const Tensor definite = matmul(a, a.t()) + Tensor::eye(n, dtype);
        CHECK_SAME(cholesky(definite.to(device)), cholesky(definite), tolerance, "cholesky");
        for (const Tensor& m : {a, a.flip(0), a.t()}) {
          CHECK_SAME(inverse(m.to(device)), inverse(m), tolerance, "inverse ", n);
          CHECK_SAME(lu(m.to(device)).packed, lu(m).packed, tolerance, "lu ", n);
          CHECK_SAME(lu(m.to(device)).pivots, lu(m).pivots, 0, "pivots ", n);
          CHECK_SAME(slogdet(m.to(device)).logdet, slogdet(m).logdet, tolerance, "slogdet ", n);
          CHECK_SAME(slogdet(m.to(device)).sign, slogdet(m).sign, 0, "sign ", n);
        }
        const Tensor triangle = cholesky(definite) + cholesky(definite).t();
        for (const bool lower : {true, false}) {
          for (const bool transpose : {true, false}) {
            for (const Tensor& b : {other, narrow}) {
              const TriangularOptions as{lower, transpose, false};
              CHECK_SAME(triangular_solve(triangle.to(device), b.to(device), as),
                         triangular_solve(triangle, b, as), tolerance, "triangular_solve ", n);
              const TriangularOptions unit{lower, transpose, true};
              const Tensor flat = triangle * (0.1 / static_cast<double>(n));
              CHECK_SAME(triangular_solve(flat.to(device), b.to(device), unit),
                         triangular_solve(flat, b, unit), tolerance, "unit triangle ", n);
            }
          }
        }
      }
      const Tensor a = draw({9, 9}, dtype), tall = draw({9, 4}, dtype, 2);
      const Tensor definite = matmul(a, a.t()) + Tensor::eye(9, dtype);
      CHECK_SAME(qr(tall.to(device)).q, qr(tall).q, tolerance, "qr");
      CHECK_SAME(qr(tall.to(device)).r, qr(tall).r, tolerance, "qr");
      CHECK_SAME(eigh(definite.to(device)).values, eigh(definite).values, tolerance, "eigh");
    }
  }
}

namespace {

const Tensor kSingular = Tensor::from<double>({1, 2, 3, 2, 4, 6, 1, 0, 1}, {3, 3});

std::string message_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

}  // namespace

BOOST_AUTO_TEST_CASE(bad_matrices_are_the_same_errors) {
  const Tensor gap = Tensor::from<double>({1, 0, 2, 0}, {2, 2});
  Tensor holed = Tensor::eye(3, DType::F64);
  holed.slice(0, 2, 1).fill_(std::nan(""));
  const Tensor matrices[] = {kSingular,
                             gap,
                             holed,
                             Tensor::full({2, 2}, -1, DType::F64),
                             Tensor::zeros({4, 4}),
                             Tensor::full({2, 2}, HUGE_VAL)};
  const std::function<void(const Tensor&)> functions[] = {
      [](const Tensor& t) { cholesky(t); }, [](const Tensor& t) { inverse(t); },
      [](const Tensor& t) { slogdet(t); }, [](const Tensor& t) { triangular_solve(t, t); }};
  int errors = 0;
  for (const Device device : other_devices()) {
    for (const Tensor& m : matrices) {
      for (const auto& f : functions) {
        const std::string here = message_of([&] { f(m); });
        BOOST_TEST(message_of([&] { f(m.to(device)); }) == here);
        errors += here.empty() ? 0 : 1;
      }
    }
    BOOST_TEST(errors > 12);
    CHECK_SAME(slogdet(kSingular.to(device)).logdet, slogdet(kSingular).logdet, 0, "-inf");
    CHECK_SAME(slogdet(kSingular.to(device)).sign, slogdet(kSingular).sign, 0, "sign 0");
    BOOST_TEST(slogdet(Tensor::empty({0, 0}, DType::F32, device)).sign.item() == 1);
  }
}

BOOST_AUTO_TEST_CASE(recorded_linear_algebra) {
  const Tensor first = draw({3, 3}, DType::F64), good = matmul(first, first.t()) + first * 0.0;
  const Tensor right = draw({3, 5}, DType::F64, 2);
  for (const Device device : other_devices()) {
    const Tensor b = right.to(device);
    Tensor a = good.to(device);
    std::vector<Tensor> results;
    const auto step = [&] {
      results = {slogdet(a).logdet, inverse(a), cholesky(a), triangular_solve(a, b)};
    };
    step();
    const std::vector<Tensor> expected = results;
    Graph graph(device, {}, step);
    const auto replayed = [&](const Tensor& matrix) {
      a.copy_(matrix);
      graph.replay();
      return results;
    };
    for (std::size_t i = 0; i < 4; ++i) {
      CHECK_SAME(replayed(good)[i], expected[i], 0, "result ", i);
      Tensor holed = good.clone();
      holed.slice(0, 1, 1).fill_(std::nan(""));
      BOOST_CHECK_MESSAGE(!all_finite(replayed(holed)[i]), "result " << i << " hides a NaN");
      BOOST_CHECK_MESSAGE(!all_finite(replayed(Tensor::zeros({3, 3}))[i]),
                          "result " << i << " hides a singular matrix");
      CHECK_SAME(replayed(good)[i], expected[i], 0, "result ", i, " afterwards");
    }
    for (std::size_t i = 0; i < 2; ++i) {
      BOOST_CHECK_MESSAGE(!all_finite(replayed(kSingular)[i]), "result " << i);
    }
    const Tensor indefinite = Tensor::from<double>({1, 0, 0, 0, 1, 0, 0, 0, 0}, {3, 3});
    for (const std::size_t i : {2, 3}) {
      BOOST_CHECK_MESSAGE(!all_finite(replayed(indefinite)[i]), "result " << i);
    }
  }
}

BOOST_AUTO_TEST_CASE(recorded_look_ups) {
  const Tensor table = draw({5, 3}, DType::F32);
  for (const Device device : other_devices()) {
    Tensor x = Tensor::from<float>({0, 1, 2, 3, 4, 5}, {2, 3}).to(device), found;
    const Tensor there = table.to(device);
    Graph graph(device, {}, [&] { found = gather(there, 0, clamped_indices(x, 5)); });
    for (const float scale : {1.0F, 0.4F, -3.0F, 1e20F, std::nanf("")}) {
      const Tensor here = Tensor::from<float>({0, 1, 2, 3, 4, 5}, {2, 3}) * scale;
      x.copy_(here);
      graph.replay();
      CHECK_SAME(found, gather(table, 0, clamped_indices(here, 5)), 0, "scale ", scale);
    }
  }
}

BOOST_AUTO_TEST_CASE(memory_is_counted_and_its_end_is_named) {
  for (const Device device : other_devices()) {
    Backend& backend = backend_for(device);
    const std::size_t before = backend.bytes_in_use();
    {
      const Tensor held = Tensor::zeros({1 << 18}, DType::F32, device);
      BOOST_TEST(backend.bytes_in_use() - before == 1u << 20);
      for (const std::int64_t elements : {std::int64_t{1} << 44, std::int64_t{1} << 58}) {
        BOOST_CHECK_EXCEPTION(
            Tensor::empty({elements}, DType::F32, device), Error, [&](const Error& error) {
              const std::string what = error.what();
              for (const std::string& part :
                   {std::to_string(elements >> 18) + " MiB asked for", std::string("MiB in use"),
                    std::string("--batch-size"), std::string("--device cpu")}) {
                if (what.find(part) == std::string::npos) return false;
              }
              return true;
            });
      }
    }
    BOOST_TEST(backend.bytes_in_use() == before);
    BOOST_TEST(backend.peak_bytes() >= before + (1u << 20));
    backend.synchronize();
    const Tensor empty = Tensor::zeros({0, 3}, DType::F32, device);
    BOOST_TEST(empty.to(Device::CPU).numel() == 0);
  }
}

// --- recorded steps -----------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(the_cpu_records_nothing) {
  Generator gen(1);
  BOOST_CHECK_THROW(Graph(Device::CPU, {&gen}, [] {}), Error);
}

BOOST_AUTO_TEST_CASE(replays_do_what_the_steps_would) {
  for (const Device device : other_devices()) {
    // A step with a batch, noise, an index, an upload from the host, a reduction and an update.
    struct State {
      Tensor batch, weight, m, v, loss;
      Generator gen;
    };
    const Tensor order = Tensor::from<std::int32_t>({2, 0, 1}, {3}).to(device);
    const auto state = [&] {
      return State{draw({4, 3}, DType::F32).to(device),
                   draw({2, 3}, DType::F32, 2).to(device),
                   Tensor::zeros({2, 3}, DType::F32, device),
                   Tensor::zeros({2, 3}, DType::F32, device),
                   Tensor(),
                   Generator(5, 9)};
    };
    const auto args = [](int t) {
      return UpdateArgs{.lr = 0.1 / t,
                        .correction1 = 1 - std::pow(0.9, t),
                        .correction2 = 1 - std::pow(0.999, t)};
    };
    const auto step = [&](State& s, int t) {
      const Tensor factor = Tensor::from<float>({1, 2, 3}, {3}).to(device);
      const Tensor noise = normal(s.gen, {4, 3}, DType::F32, device) * 0.1;
      const Tensor x = index_select(mul(s.batch + noise, factor), 1, order);
      const Tensor y = linear(x, s.weight, Tensor());
      s.loss = sum(square(y));
      const Tensor grads[] = {matmul(y.t(), x) * 2.0};
      backend_for(device).update(UpdateRule::Adam, args(t), Tensor(), {&s.weight, 1}, grads,
                                 {&s.m, 1}, {&s.v, 1});
    };
    State plain = state(), replayed = state();
    step(plain, 1);
    step(replayed, 1);
    Graph graph(device, {&replayed.gen}, [&] { step(replayed, 1); });
    BOOST_TEST(graph.updates() == 1u);
    BOOST_TEST(replayed.gen.offset() == plain.gen.offset());  // nothing is drawn yet
    for (int t = 2; t < 6; ++t) {
      const Tensor next = draw({4, 3}, DType::F32, static_cast<std::uint64_t>(t)).to(device);
      plain.batch.copy_(next);
      replayed.batch.copy_(next);
      step(plain, t);
      const UpdateArgs now[] = {args(t)};
      graph.replay(now);
      CHECK_SAME(replayed.loss, plain.loss, 0, "loss of step ", t);
      CHECK_SAME(replayed.weight, plain.weight, 0, "weights after step ", t);
      BOOST_TEST(replayed.gen.offset() == plain.gen.offset());
      // The generator may be used in between, and memory by others.
      normal(plain.gen, {7});
      normal(replayed.gen, {7});
      const Tensor other = Tensor::full({1000}, 7, DType::F32, device);
      BOOST_TEST(other.to_vector<float>()[999] == 7);
    }
    BOOST_CHECK_THROW(graph.replay(), Error);  // without the constants of the update
  }
}

// What was there before a step is read by all its replays, and what it leaves is written by them:
// results do not go into either's memory, though nobody else holds it.
BOOST_AUTO_TEST_CASE(recorded_memory_is_not_used_for_results) {
  for (const Device device : other_devices()) {
    const Tensor here = draw({64}, DType::F32);
    Tensor before = here.to(device), left, out;
    Graph graph(device, {}, [&] {
      out = square(std::move(before));
      left = exp(out);
    });
    graph.replay();
    graph.replay();
    CHECK_SAME(out, square(here), 1e-6, "replayed twice");
    const Tensor after = neg(std::move(left));
    const Tensor seen = after.clone();
    graph.replay();
    CHECK_SAME(after, seen, 0, "what was made of a recorded tensor");
  }
}

// What a placed generator draws follows the samples in their tensor, and the round.
BOOST_AUTO_TEST_CASE(replays_draw_for_the_samples_and_the_round_of_their_step) {
  for (const Device device : other_devices()) {
    const Tensor levels = numbers({9, 6}, DType::U8).to(device);
    Tensor samples = Tensor::from<std::int32_t>({1, 2, 3}, {3}).to(device), out;
    Generator one(5, 1), two(5, 2), three(5, 3);
    const auto step = [&] {
      const Tensor moved =
          move_images(three, levels.reshape({9, 3, 2, 1}), samples, {.flip = true, .shift = 1});
      out = dequantize(one, levels, samples) + normal(two, {3, 6}, DType::F32, device) +
            uniform(one, {3, 6}, DType::F32, device) + moved.reshape({3, 6}).to(DType::F32);
    };
    Generator* const all[] = {&one, &two, &three};
    const auto graph = [&] {
      const Placed placed(all, samples, 40);
      step();
      const Placed again(all, samples, 40);
      return Graph(device, {&one, &two, &three}, step);
    };
    Graph recorded = graph();
    const Tensor replayed = out;
    for (const std::uint64_t round : {40, 41, 7}) {
      for (const auto& rows : {std::vector<std::int32_t>{1, 2, 3}, {8, 3, 0}}) {
        samples.copy_(Tensor::from(rows, {3}).to(device));
        const Placed placed(all, samples, round);
        step();
        const Placed again(all, samples, round);
        recorded.replay();
        CHECK_SAME(replayed, out, 0, "round ", round);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(what_cannot_be_recorded_is_an_error) {
  for (const Device device : other_devices()) {
    const Tensor x = Tensor::ones({3}, DType::F32, device);
    Generator gen(1), other(2);
    BOOST_CHECK_EXCEPTION(Graph(device, {&gen}, [&] { sum(x).item(); }), Error, [](const Error& e) {
      return std::string(e.what()).find("after replay()") != std::string::npos;
    });
    BOOST_CHECK_THROW(Graph(device, {&gen}, [&] { normal(other, {3}, DType::F32, device); }),
                      Error);
    BOOST_TEST(gen.offset() == 0u);
    BOOST_TEST(sum(x).item() == 3);  // the device goes on as before
  }
}

BOOST_AUTO_TEST_SUITE_END()
