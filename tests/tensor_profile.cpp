// Profile: whose the time is, by a clock that ticks once a look; and bytes of operations, by hand.
#include "tensor/profile.h"

#include <boost/test/unit_test.hpp>
#include <map>
#include <thread>

#include "tensor/backend.h"
#include "tensor/linalg.h"
#include "tensor/ops.h"
#include "tests/data_util.h"

using namespace nf;

namespace {

std::map<std::string, Profile::Part> by_label(const Profile& profile) {
  std::map<std::string, Profile::Part> parts;
  for (const Profile::Part& part : profile.parts()) parts.emplace(part.label, part);
  return parts;
}

void some_operation() { Tensor::zeros({1}); }

}  // namespace

BOOST_AUTO_TEST_SUITE(tensor_profile)

// Every look at this clock costs a second, and every end of a Scope is a look.
BOOST_AUTO_TEST_CASE(time_is_of_the_innermost_part) {
  double seconds = 0;
  Profile profile([&] { return seconds++; });  // 0
  for (int round = 0; round < 2; ++round) {
    const Profile::Scope outer("outer", Profile::Forward);  // 1, 16
    {
      const Profile::Scope inner("inner");  // 2, 17
      some_operation();
      seconds += 10;
    }                                                      // 13, 28
    const Profile::Scope back("back", Profile::Backward);  // 14, 29
    some_operation();
  }  // 15 and 16, 30 and 31
  const auto parts = by_label(profile);
  BOOST_TEST_REQUIRE(parts.size() == 3U);
  BOOST_TEST(parts.at("outer").passes[Profile::Forward].seconds == 6);
  BOOST_TEST(parts.at("inner").passes[Profile::None].seconds == 22);
  BOOST_TEST(parts.at("back").passes[Profile::Backward].seconds == 2);
  BOOST_TEST(parts.at("back").total().operations == 2);
  BOOST_TEST(profile.rest().seconds == 2);
  BOOST_TEST(profile.whole().seconds == 32);
}

BOOST_AUTO_TEST_CASE(parts_come_in_the_order_in_which_they_end) {
  Profile profile;
  const int a = 0, b = 0, c = 0;
  {
    const Profile::Scope around(&a);
    some_operation();
    const Profile::Scope first(&b);
    some_operation();
  }
  const Profile::Scope open(&c);
  const std::vector<Profile::Part> parts = profile.parts();
  BOOST_TEST_REQUIRE(parts.size() == 2U);  // not what is still open
  BOOST_TEST(parts[0].of == &b);
  BOOST_TEST(parts[1].of == &a);
}

// Lists of lists of layers are no lines of their own.
BOOST_AUTO_TEST_CASE(a_part_without_operations_is_counted_with_what_holds_it) {
  double seconds = 0;
  Profile profile([&] { return seconds++; });
  {
    const Profile::Scope waits("waits");  // nothing holds it: it stays
  }
  {
    const Profile::Scope coupling("coupling");
    some_operation();
    const Profile::Scope list("list", Profile::Forward);
    const Profile::Scope inner_list("inner list", Profile::Forward);
    const Profile::Scope layer("layer", Profile::Forward);
    some_operation();
  }
  const auto parts = by_label(profile);
  BOOST_TEST_REQUIRE(parts.size() == 3U);
  BOOST_TEST(parts.at("layer").total().seconds == 1);
  BOOST_TEST(parts.at("coupling").passes[Profile::None].seconds == 2);
  BOOST_TEST(parts.at("coupling").passes[Profile::Forward].seconds == 4);
  BOOST_TEST(parts.at("waits").total().seconds == 1);
  double sum = profile.rest().seconds;
  for (const auto& [label, part] : parts) sum += part.total().seconds;
  BOOST_TEST(sum == profile.whole().seconds);
}

BOOST_AUTO_TEST_CASE(bytes_and_products_of_operations) {
  const Tensor a = Tensor::ones({30, 20}), b = Tensor::ones({20, 10}), row = Tensor::ones({20});
  const Tensor index = Tensor::arange(5, DType::I32);
  const Tensor batch = Tensor::ones({4, 6, 5}), shared = Tensor::ones({5, 3});
  const Tensor images = Tensor::ones({2, 5, 4, 3}), kernels = Tensor::ones({6, 3, 3, 3});
  const Tensor slopes = Tensor::ones({2, 3, 2, 6});
  struct Row {
    const char* what;
    std::function<void()> run;
    double bytes, flops;
  };
  const Row rows[] = {
      {"zeros",
       [] {
         Tensor::zeros({8, 3}, DType::F64);
       },
       8 * 24, 0},
      {"exp", [&] { exp(a); }, 4 * 2 * 600, 0},
      {"a row is read once", [&] { a + row; }, 4 * (600 + 20 + 600), 0},
      {"a product", [&] { matmul(a, b); }, 4 * (600 + 200 + 300), 2 * 30 * 20 * 10},
      {"one factor for a batch",
       [&] {
         matmul(batch, shared.broadcast_to({4, 5, 3}));
       },
       4 * (120 + 15 + 72), 2 * 4 * 6 * 5 * 3},
      {"a convolution",
       [&] {
         conv2d(images, kernels, {}, {2, 1, 1});
       },
       4 * (2 * 5 * 4 * 3 + 6 * 27 + 2 * 3 * 2 * 6), 2 * (2 * 3 * 2 * 6) * 27},
      {"its gradients",
       [&] {
         conv2d_backward_data(slopes, kernels, images.shape(), {2, 1, 1});
         conv2d_backward_weights(images, slopes, kernels.shape(), {2, 1, 1});
       },
       4 * 2 * (2 * 5 * 4 * 3 + 6 * 27 + 2 * 3 * 2 * 6), 4 * (2 * 3 * 2 * 6) * 27},
      {"one of a pixel is a product",
       [&] {
         conv2d(images, Tensor::ones({6, 3, 1, 1}), {}, {});
       },
       4 * (6 * 3 + 2 * 20 * 3 + 6 * 3 + 2 * 20 * 6), 2 * 2 * 20 * 6 * 3},
      {"a view", [&] { a.narrow(1, 0, 5).clone(); }, 4 * 2 * 150, 0},
      {"added in place",
       [&] {
         Tensor::empty({30, 20}).add_(a);
       },
       4 * 3 * 600, 0},
      {"a sum", [&] { sum(a, {1}); }, 4 * (600 + 30), 0},
      {"five rows, and a look at the index", [&] { index_select(a, 0, index); },
       4 * (5 + 5 + 2 * 100), 0},
      {"a comparison", [&] { less(a, a); }, 600 * (4 + 4 + 1), 0},
      {"nothing", [&] { a.reshape({600}); }, 0, 0},
  };
  for (const Row& row_of : rows) {
    Profile profile;
    row_of.run();
    BOOST_TEST(profile.whole().bytes == row_of.bytes, row_of.what << ": " << profile.whole().bytes);
    BOOST_TEST(profile.whole().flops == row_of.flops, row_of.what << ": " << profile.whole().flops);
  }
}

BOOST_AUTO_TEST_CASE(one_thread_one_profile) {
  Profile profile;
  test::check_error([] { Profile second; }, {"watched already"});
  std::thread([] { some_operation(); }).join();
  BOOST_TEST(profile.whole().operations == 0);
  some_operation();
  BOOST_TEST(profile.whole().operations == 1);
}

BOOST_AUTO_TEST_CASE(without_a_profile_nobody_is_told) {
  BOOST_TEST(!Profile::current());
  BOOST_TEST(&backend_for(Device::CPU) == &cpu_backend());
  const Profile::Scope scope("nothing");
  BOOST_TEST(!Profile::part_now());
}

BOOST_AUTO_TEST_SUITE_END()
