// Processes that add up, hand on and notice each other.
#include "comm/group.h"

#include <boost/test/unit_test.hpp>
#include <chrono>
#include <cmath>
#include <cstring>

#include "comm/shards.h"
#include "tensor/ops.h"
#include "tests/data_util.h"
#include "tests/processes.h"

using namespace nf;
using test::with_processes;

namespace {

/// Numbers whose sum depends on the order in f32.
float value_of(std::int64_t shard, std::size_t i) {
  return std::sin(static_cast<float>(shard * 31 + static_cast<std::int64_t>(i) * 7)) *
         std::pow(10.0F, static_cast<float>((shard + static_cast<std::int64_t>(i)) % 5));
}

/// The sum over leaves first, .., first + count - 1 as the picture in shards.h has it.
float tree_sum(std::int64_t first, std::int64_t count, std::size_t i) {
  if (count == 1) return value_of(first, i);
  return tree_sum(first, count / 2, i) + tree_sum(first + count / 2, count / 2, i);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(comm_group)

BOOST_AUTO_TEST_CASE(sums_are_those_of_the_tree_at_every_size) {
  for (const int size : {1, 2, 4, 8}) {
    for (const std::size_t n : {0U, 1U, 7U, 10U, 1024U, 100'003U}) {
      std::vector<std::vector<float>> got(static_cast<std::size_t>(size));
      with_processes(size, [&](comm::Group& group) {
        std::vector<float> own(n);
        for (std::size_t i = 0; i < n; ++i) own[i] = value_of(group.rank(), i);
        group.sum(std::span(own));
        got[static_cast<std::size_t>(group.rank())] = own;
      });
      for (const auto& values : got) {
        BOOST_REQUIRE_EQUAL(values.size(), n);
        for (std::size_t i = 0; i < n; ++i) BOOST_REQUIRE_EQUAL(values[i], tree_sum(0, size, i));
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(other_sizes_agree_too) {
  for (const int size : {3, 5, 6, 7}) {
    with_processes(size, [&](comm::Group& group) {
      std::vector<double> own = {1.0 * group.rank(), 0.1};
      group.sum(std::span(own));
      NF_CHECK(own[0] == size * (size - 1) / 2, "sum ", own[0]);
      NF_CHECK(std::abs(own[1] - 0.1 * size) < 1e-12, "sum ", own[1]);
      for (const std::string& bytes :
           group.gather(std::string(reinterpret_cast<char*>(&own[1]), 8)))
        NF_CHECK(std::memcmp(bytes.data(), &own[1], 8) == 0, "ranks have other sums");
    });
  }
}

BOOST_AUTO_TEST_CASE(what_each_has_is_gathered_in_order) {
  for (const int size : {1, 2, 3, 6}) {
    with_processes(size, [&](comm::Group& group) {
      const auto all =
          group.gather(std::string(static_cast<std::size_t>(group.rank()) * 50'000, 'a'));
      NF_CHECK(all.size() == static_cast<std::size_t>(size), "size");
      for (std::size_t r = 0; r < all.size(); ++r) NF_CHECK(all[r].size() == r * 50'000, "length");
      double value = group.first() ? 7 : 0;
      group.broadcast(std::as_writable_bytes(std::span(&value, 1)));
      NF_CHECK(value == 7, "broadcast");
    });
  }
}

BOOST_AUTO_TEST_CASE(shards_are_dealt_out_whole) {
  for (const int size : {1, 2, 3, 5, 8}) {
    with_processes(size, [&](comm::Group& group) {
      const comm::Shards shards(group, 8);
      std::int64_t next = 0, at = 0;
      for (int r = 0; r < size; ++r) {
        NF_CHECK(shards.of(r).begin == next && shards.of(r).count() > 0, "range");
        for (; next < shards.of(r).end; ++next) NF_CHECK(shards.owner(next) == r, "owner");
      }
      NF_CHECK(next == 8, "all");
      for (std::int64_t s = 0; s < 8; ++s) {
        NF_CHECK(shards.part(5, s).begin == at && shards.part(5, s).count() <= 1, "part");
        at = shards.part(5, s).end;
      }
      NF_CHECK(at == 5, "parts");
    });
  }
  const auto alone = comm::alone();
  test::check_error([&] { comm::Shards(*alone, 6); }, {"[shards] 6", "power of two"});
  with_processes(4, [](comm::Group& group) {
    if (!group.first()) return;
    test::check_error([&] { comm::Shards(group, 2); },
                      {"2 shards are too few for 4", "at least 4"});
  });
}

// Also where the processes do not divide the shards.
BOOST_AUTO_TEST_CASE(a_sum_over_shards_is_the_same_for_every_number_of_processes) {
  constexpr std::size_t kNumbers = 33;
  for (const std::int64_t count : {1, 2, 8}) {
    for (int size = 1; size <= count; ++size) {
      with_processes(size, [&](comm::Group& group) {
        const comm::Shards shards(group, count);
        comm::TreeSum tree(shards);
        for (std::int64_t s = shards.own().begin; s < shards.own().end; ++s) {
          std::vector<float> leaf(kNumbers);
          for (std::size_t i = 0; i < kNumbers; ++i) leaf[i] = value_of(s, i);
          tree.add({Tensor::from(leaf, {kNumbers}), {static_cast<double>(s), 0.5}});
        }
        const comm::Sum sum = tree.total();
        const auto got = sum.values.to_vector<float>();
        for (std::size_t i = 0; i < kNumbers; ++i) NF_CHECK(got[i] == tree_sum(0, count, i), i);
        NF_CHECK(sum.numbers[0] == static_cast<double>(count * (count - 1) / 2), "numbers");
      });
    }
  }
}

BOOST_AUTO_TEST_CASE(who_is_gone_is_named) {
  with_processes(3, [](comm::Group& group) {
    if (group.rank() == 1) return;
    group.at_step(12);
    if (group.first()) {
      test::check_error([&] { group.gather("x"); }, {"rank 1 of 3", "is gone", "step 12"});
    }
  });
}

BOOST_AUTO_TEST_CASE(who_is_silent_is_noticed) {
  using namespace std::chrono_literals;
  std::atomic<int> lost = -1;
  with_processes(3, [&](comm::Group& group) {
    if (group.rank() == 2) {  // never says a word
      while (lost < 0) std::this_thread::sleep_for(10ms);
      return;
    }
    group.watch(group.first() ? 0.4 : 1000, [&](int rank) { lost = rank; });
    while (lost < 0) std::this_thread::sleep_for(10ms);
    group.stop_watching();
  });
  BOOST_CHECK_EQUAL(lost, 2);
}

BOOST_AUTO_TEST_SUITE_END()
