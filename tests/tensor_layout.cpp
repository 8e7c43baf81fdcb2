// Shape, Layout and the views of Tensor, against index arithmetic done by hand.
#include "tensor/layout.h"

#include <boost/test/unit_test.hpp>
#include <random>

#include "tensor/ops.h"
#include "tests/data_util.h"

using namespace nf;
using test::check_error;

namespace {

using Values = std::vector<double>;

Tensor counted(const Shape& shape) {
  return Tensor::arange(shape.numel(), DType::F64).reshape(shape);
}
Values values(const Tensor& t) { return t.to_vector<double>(); }

}  // namespace

BOOST_AUTO_TEST_SUITE(tensor_layout)

BOOST_AUTO_TEST_CASE(shapes) {
  const Shape shape = {2, 3, 4};
  BOOST_CHECK_EQUAL(shape.numel(), 24);
  BOOST_CHECK_EQUAL(shape.dim(-1), 4);
  BOOST_CHECK_EQUAL(shape.without(1), Shape({2, 4}));
  BOOST_CHECK_EQUAL(shape.with_inserted(3, 5), Shape({2, 3, 4, 5}));
  BOOST_CHECK_EQUAL(Shape().numel(), 1);
  BOOST_CHECK_EQUAL(Shape({3, 0}).numel(), 0);
  BOOST_CHECK(Shape({2, 3}) != Shape({2, 3, 1}));
  BOOST_CHECK_EQUAL(str(Shape{}, Shape{3}, Shape{3, 4}), "()(3,)(3, 4)");
  check_error([&] { shape.dim(3); }, {"[shape]", "axis 3", "(2, 3, 4)"});
  check_error([&] { shape.axis(-4, "sum"); }, {"[sum]", "axis -4"});
  check_error([] { Shape({1, 1, 1, 1, 1, 1, 1}); }, {"[shape]", "more than 6"});
  check_error([] { Shape({2, -3}); }, {"[shape]", "-3"});
}

BOOST_AUTO_TEST_CASE(shapes_broadcast_as_in_numpy) {
  struct Case {
    Shape a, b, out;
  };
  for (const Case& c : {Case{{3, 4}, {4}, {3, 4}}, Case{{3, 1}, {1, 4}, {3, 4}},
                        Case{{}, {2, 3}, {2, 3}}, Case{{5, 1, 3}, {2, 1}, {5, 2, 3}},
                        Case{{0}, {1}, {0}}, Case{{1}, {0}, {0}}, Case{{0, 3}, {3}, {0, 3}}}) {
    BOOST_CHECK_EQUAL(broadcast_shapes("add", c.a, c.b), c.out);
    BOOST_CHECK_EQUAL(broadcast_shapes("add", c.b, c.a), c.out);
  }
  check_error([] { broadcast_shapes("add", {2, 3}, {2}); }, {"[add]", "(2, 3)", "(2,)"});
  check_error([] { broadcast_shapes("add", {0}, {2}); }, {"[add]", "(0,)", "(2,)"});
}

BOOST_AUTO_TEST_CASE(views_show_the_elements_that_they_should) {
  const Tensor x = counted({2, 3});
  struct Case {
    const char* what;
    Tensor view;
    Shape shape;
    Values values;
    bool contiguous;
  };
  const Case cases[] = {
      {"t", x.t(), {3, 2}, {0, 3, 1, 4, 2, 5}, false},
      {"permute", counted({2, 1, 2}).permute({1, 2, 0}), {1, 2, 2}, {0, 2, 1, 3}, false},
      {"slice", x.slice(1, 0, 2, 2), {2, 2}, {0, 2, 3, 5}, false},
      {"narrow of rows", x.narrow(0, 1, 1), {1, 3}, {3, 4, 5}, true},
      {"narrow of columns", x.narrow(-1, 1, 2), {2, 2}, {1, 2, 4, 5}, false},
      {"nothing", x.narrow(0, 2, 0), {0, 3}, {}, true},
      {"flip", x.flip(1), {2, 3}, {2, 1, 0, 5, 4, 3}, false},
      {"flip twice", x.flip(1).flip(1), {2, 3}, {0, 1, 2, 3, 4, 5}, true},
      {"flip of a slice", x.slice(1, 0, 2, 2).flip(1), {2, 2}, {2, 0, 5, 3}, false},
      {"broadcast",
       x.narrow(0, 0, 1).broadcast_to({2, 2, 3}),
       {2, 2, 3},
       {0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2},
       false},
      {"unsqueeze", x.unsqueeze(1), {2, 1, 3}, {0, 1, 2, 3, 4, 5}, true},
      {"unsqueeze at the end", x.unsqueeze(-1), {2, 3, 1}, {0, 1, 2, 3, 4, 5}, true},
      {"squeeze", x.unsqueeze(0).squeeze(0), {2, 3}, {0, 1, 2, 3, 4, 5}, true},
      {"reshape", x.reshape({3, -1}), {3, 2}, {0, 1, 2, 3, 4, 5}, true},
      {"reshape of a view", x.t().reshape({3, 1, 2}), {3, 1, 2}, {0, 3, 1, 4, 2, 5}, false},
      {"reshape to a scalar", x.narrow(0, 1, 1).narrow(1, 1, 1).reshape({}), {}, {4}, true},
  };
  for (const Case& c : cases) {
    BOOST_TEST_CONTEXT(c.what) {
      BOOST_CHECK_EQUAL(c.view.shape(), c.shape);
      BOOST_CHECK(values(c.view) == c.values);
      BOOST_CHECK_EQUAL(c.view.is_contiguous(), c.contiguous);
    }
  }
  // They are views: a write shows in all of them.
  Tensor base = Tensor::zeros({2, 3}, DType::F64);
  base.t().narrow(0, 1, 1).fill_(7);
  BOOST_CHECK(values(base) == Values({0, 7, 0, 0, 7, 0}));
  BOOST_CHECK_EQUAL(base.reshape({6}).slice(0, 1, 2, 3).reshape({2, 1}).storage(), base.storage());
}

// Any chain of views has the elements that the same chain of copies has.
BOOST_AUTO_TEST_CASE(random_chains_of_views) {
  std::mt19937 random(1);
  const auto pick = [&](std::int64_t n) { return static_cast<std::int64_t>(random() % n); };
  for (int round = 0; round < 300; ++round) {
    Tensor view = counted({2 + pick(3), 1 + pick(3), 2 + pick(4)}), copy = view.clone();
    for (int step = 0; step < 5; ++step) {
      const int axis = static_cast<int>(pick(view.rank()));
      const std::int64_t size = view.dim(axis);
      const auto both = [&](auto f) {
        view = f(view);
        copy = f(copy).clone();
      };
      switch (pick(6)) {
        case 0:
          both([&](const Tensor& t) { return t.transpose(axis, 0); });
          break;
        case 1:
          both([&](const Tensor& t) { return t.flip(axis); });
          break;
        case 2: {
          const std::int64_t start = pick(size), stride = 1 + pick(2);
          const std::int64_t count = (size - start + stride - 1) / stride;
          both([&](const Tensor& t) { return t.slice(axis, start, count, stride); });
          break;
        }
        case 3:
          if (view.rank() < 5) both([&](const Tensor& t) { return t.unsqueeze(axis); });
          break;
        case 4:
          both([&](const Tensor& t) { return t.reshape({t.numel() / t.dim(axis), t.dim(axis)}); });
          break;
        default:
          if (size == 1) {
            Shape wide = view.shape();
            wide[axis] = 2;
            both([&](const Tensor& t) { return t.broadcast_to(wide); });
          }
      }
      BOOST_REQUIRE_EQUAL(view.shape(), copy.shape());
      BOOST_REQUIRE(values(view) == values(copy));
      BOOST_REQUIRE(values(view + view) == values(copy * 2.0));
      BOOST_REQUIRE_EQUAL(view.is_contiguous(), view.contiguous().storage() == view.storage());
    }
  }
}

BOOST_AUTO_TEST_CASE(reshape_copies_only_when_it_must) {
  const Tensor x = counted({4, 6});
  const auto shares = [](const Tensor& a, const Tensor& b) { return a.storage() == b.storage(); };
  BOOST_CHECK(shares(x.reshape({2, 2, 6}), x));
  BOOST_CHECK(shares(x.narrow(1, 0, 3).reshape({2, 2, 3}), x));
  BOOST_CHECK(shares(x.slice(1, 0, 3, 2).reshape({4, 3, 1}), x));
  BOOST_CHECK(!shares(x.narrow(1, 0, 3).reshape({12}), x));
  BOOST_CHECK(!shares(x.t().reshape({24}), x));
  BOOST_CHECK(values(x.t().reshape({24})) == values(x.t()));
  BOOST_CHECK_EQUAL(Tensor::zeros({0, 3}).reshape({3, 0}).numel(), 0);
}

BOOST_AUTO_TEST_CASE(impossible_views_are_refused) {
  const Tensor x = counted({2, 3});
  const std::pair<std::function<void()>, std::string> cases[] = {
      {[&] {
         x.reshape({4, 2});
       },
       "[reshape] (2, 3) has 6 elements, (4, 2) has 8"},
      {[&] {
         x.reshape({-1, 4});
       },
       "[reshape] (2, 3) does not divide into"},
      {[&] {
         x.reshape({-1, -1});
       },
       "[reshape] more than one -1"},
      {[&] { x.permute({0}); }, "[permute] 1 axes given"},
      {[&] {
         x.permute({0, 0});
       },
       "[permute] axis 0 given twice"},
      {[&] { x.transpose(0, 2); }, "[transpose] axis 2"},
      {[&] { x.slice(1, 0, 4); }, "[slice] start 0, count 4"},
      {[&] { x.slice(1, -1, 1); }, "[slice] start -1"},
      {[&] { x.slice(1, 0, 2, 0); }, "step 0"},
      {[&] { x.flip(5); }, "[flip] axis 5"},
      {[&] { x.broadcast_to({3}); }, "[broadcast_to] shape (2, 3) has more dimensions than (3,)"},
      {[&] {
         x.broadcast_to({4, 3});
       },
       "[broadcast_to] shape (2, 3) does not stretch to (4, 3)"},
      {[&] {
         x.narrow(0, 0, 1).broadcast_to({-1, 3});
       },
       "[broadcast_to]"},
      {[&] { x.squeeze(0); }, "[squeeze] axis 0 of shape (2, 3) is not of size 1"},
      {[&] { x.unsqueeze(4); }, "[unsqueeze] axis 4"},
      {[&] { x.item(); }, "[item] needs exactly one element"},
      {[&] { x.data<float>(); }, "[data] a f64 tensor read as f32"},
      {[] { Tensor().data<float>(); }, "[data] the tensor is undefined"},
      {[] { Tensor().clone(); }, "[clone] the tensor is undefined"},
      {[] { Tensor::empty({-1}); }, "[empty] negative size"},
      {[] {
         Tensor::empty({1LL << 40, 1LL << 40});
       },
       "[empty] shape (1099511627776, 1099511627776)"},
      {[] { Tensor::empty({1LL << 62}); }, "[empty] shape"},
      {[] {
         Tensor::from<float>({1, 2}, {3});
       },
       "[from] 2 values do not fill shape (3,)"},
      {[&] { Tensor::zeros({2}, DType::F64).add_(x.to(DType::F32)); }, "[add_]"},
      {[&] { Tensor::zeros({2}, DType::U8).add_(Tensor::zeros({2}, DType::U8)); }, "[add_]"},
      {[&] {
         Tensor::zeros({2, 2}).t().mul_(2);
       },
       "[mul_] needs a contiguous float tensor"},
      {[&] { Tensor::zeros({2}).copy_(x); }, "[broadcast_to]"},
  };
  for (const auto& [call, message] : cases) check_error(call, {message});
}

BOOST_AUTO_TEST_CASE(copies_convert_and_broadcast) {
  Tensor to = Tensor::zeros({2, 3});
  to.copy_(Tensor::from<std::int32_t>({1, 2, 3}, {3}));
  BOOST_CHECK(to.to_vector<float>() == std::vector<float>({1, 2, 3, 1, 2, 3}));
  to.t().copy_(to.clone().flip(1).t());
  BOOST_CHECK(to.to_vector<float>() == std::vector<float>({3, 2, 1, 3, 2, 1}));
  BOOST_CHECK(to.to(DType::U8).to_vector<std::uint8_t>() ==
              std::vector<std::uint8_t>({3, 2, 1, 3, 2, 1}));
  BOOST_CHECK_EQUAL(to.to(DType::F32).storage(), to.storage());
  to.mul_(2).add_(Tensor::ones({1}));
  BOOST_CHECK(to.to_vector<float>() == std::vector<float>({7, 5, 3, 7, 5, 3}));
  // Onto itself, read and written in different orders.
  Tensor x = counted({5});
  x.copy_(x.flip(0));
  BOOST_CHECK(values(x) == Values({4, 3, 2, 1, 0}));
  Tensor square = counted({2, 2});
  square.add_(square.t());
  BOOST_CHECK(values(square) == Values({0, 3, 3, 6}));
  BOOST_CHECK(values(Tensor::eye(2, DType::F64)) == Values({1, 0, 0, 1}));
  BOOST_CHECK_EQUAL(describe(to), "f32 (2, 3) cpu");
}

BOOST_AUTO_TEST_CASE(versions_count_writes) {
  Tensor x = Tensor::zeros({3});
  const Tensor view = x.narrow(0, 0, 1);
  std::uint64_t last = x.version();
  const auto raised = [&] {
    const bool result = view.version() > last;
    last = view.version();
    return result;
  };
  x.fill_(1);
  BOOST_CHECK(raised());
  x.add_(x);
  BOOST_CHECK(raised());
  x.mul_(2);
  BOOST_CHECK(raised());
  x.copy_(view);
  BOOST_CHECK(raised());
  x.mutable_data<float>();
  BOOST_CHECK(raised());
  x.to_vector<float>();
  x.contiguous();
  (void)(x + x);
  BOOST_CHECK(!raised());
}

BOOST_AUTO_TEST_CASE(joining_and_taking_apart) {
  const Tensor x = counted({2, 3});
  BOOST_CHECK(values(concat(std::vector<Tensor>{x, x.flip(0)}, 0)) ==
              Values({0, 1, 2, 3, 4, 5, 3, 4, 5, 0, 1, 2}));
  const auto parts = split(x, {1, 0, 2}, -1);
  BOOST_CHECK_EQUAL(parts.size(), 3U);
  BOOST_CHECK_EQUAL(parts[1].shape(), Shape({2, 0}));
  BOOST_CHECK(values(concat(parts, 1)) == values(x));
  BOOST_CHECK(values(sum_to(x, {1, 3})) == Values({3, 5, 7}));
  BOOST_CHECK(values(sum_to(x, {2, 1})) == Values({3, 12}));
  BOOST_CHECK(values(sum_to(x, {})) == Values({15}));
  BOOST_CHECK(values(pad(x.narrow(0, 0, 1), 1, 1, 2, 9)) == Values({9, 0, 1, 2, 9, 9}));
  BOOST_CHECK(all_finite(x) && all_finite(x.narrow(0, 0, 0)));
  BOOST_CHECK(!all_finite(x / 0.0));
  check_error([&] { split(x, {1, 1}, 1); }, {"[split]", "add up to 2", "has 3"});
  check_error([] { concat(std::vector<Tensor>{}, 0); }, {"[concat]", "no tensors"});
  check_error([&] { concat(std::vector<Tensor>{x, x.to(DType::F32)}, 0); }, {"[concat]", "dtype"});
  check_error([&] { concat(std::vector<Tensor>{x, counted({3})}, 0); }, {"[concat]", "(3,)"});
}

BOOST_AUTO_TEST_SUITE_END()
