// Processes that add up, hand on and notice each other.
#include "comm/group.h"

#include <boost/test/unit_test.hpp>
#include <chrono>
#include <cmath>
#include <cstring>
#include <limits>
#include <mutex>
#include <thread>

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

float as_travels(float x, comm::Wire wire) {
  return wire == comm::Wire::BF16 ? comm::round_to_bf16(x) : x;
}

/// The sum over leaves first, .., first + count - 1 as the picture in shards.h has it.
float tree_sum(std::int64_t first, std::int64_t count, std::size_t i,
               comm::Wire wire = comm::Wire::Exact) {
  if (count == 1) return as_travels(value_of(first, i), wire);
  const float left = tree_sum(first, count / 2, i, wire);
  return as_travels(left + tree_sum(first + count / 2, count / 2, i, wire), wire);
}

std::vector<float> values_of(std::int64_t shard, std::size_t n) {
  std::vector<float> all(n);
  for (std::size_t i = 0; i < n; ++i) all[i] = value_of(shard, i);
  return all;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(comm_group)

BOOST_AUTO_TEST_CASE(sums_are_those_of_the_tree_at_every_size) {
  for (const int size : {1, 2, 4, 8}) {
    for (const std::size_t n : {0U, 1U, 7U, 10U, 1024U, 100'003U}) {
      std::vector<std::vector<float>> got(static_cast<std::size_t>(size));
      with_processes(size, [&](comm::Group& group) {
        std::vector<float> own = values_of(group.rank(), n);
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

BOOST_AUTO_TEST_CASE(bf16_is_the_nearest_number_with_8_bits) {
  struct Case {
    float x, rounded;
  };
  const float most = std::numeric_limits<float>::max(), infinite = INFINITY;
  const Case cases[] = {{0, 0},
                        {1, 1},
                        {-1.5F, -1.5F},
                        {0x1.02p0F, 0x1.02p0F},
                        {0x1.01p0F, 0x1.00p0F},  // a tie, to the even one
                        {0x1.03p0F, 0x1.04p0F},
                        {-0x1.010002p0F, -0x1.02p0F},
                        {0x1.feffp-126F, 0x1.fep-126F},
                        {most, infinite},
                        {-infinite, -infinite}};
  for (const auto& [x, rounded] : cases) {
    BOOST_TEST(comm::round_to_bf16(x) == rounded);
    BOOST_TEST(comm::Bf16::of(rounded).value() == rounded);
  }
  BOOST_TEST(std::signbit(comm::round_to_bf16(-0.0F)));
  for (const std::uint32_t bits : {0x7f800001U, 0x7fffffffU, 0xffffffffU}) {
    const float rounded = comm::round_to_bf16(std::bit_cast<float>(bits));
    BOOST_TEST(std::isnan(comm::Bf16::of(rounded).value()));
  }
}

BOOST_AUTO_TEST_CASE(buckets_are_worked_through_from_the_end_as_they_are_complete) {
  std::mutex mutex;
  std::vector<std::int64_t> begins;
  const auto seen = [&] {
    const std::lock_guard lock(mutex);
    return begins;
  };
  const comm::RangeWork work = [&](comm::Range range) {
    const std::lock_guard lock(mutex);
    begins.push_back(range.begin);
  };
  comm::for_buckets(10, 4, work);
  BOOST_TEST(begins == (std::vector<std::int64_t>{8, 4, 0}), boost::test_tools::per_element());
  begins.clear();
  {
    comm::BucketWorker worker(10, 4, work);
    worker.complete_from(5);
    while (seen().empty()) std::this_thread::yield();
    BOOST_TEST(seen().size() == 1U);  // 4 is not there yet
    worker.complete_from(7);          // an older word
    worker.complete_from(0);
    worker.finish();
    BOOST_TEST(begins == (std::vector<std::int64_t>{8, 4, 0}), boost::test_tools::per_element());
  }
  begins.clear();
  { const comm::BucketWorker left(10, 4, work); }
  BOOST_TEST(begins.empty());
  comm::BucketWorker failing(10, 4, [](comm::Range) { fail("[test] no work"); });
  failing.complete_from(0);
  test::check_error([&] { failing.finish(); }, {"[test] no work"});
}

namespace {

constexpr std::int64_t kNumbers = 33;

/// What the shards of this process add up to.
comm::Sum sum_of_values(const comm::Shards& shards, const comm::TreeOptions& options) {
  comm::TreeSum tree(shards, options);
  for (std::int64_t s = shards.own().begin; s < shards.own().end; ++s) {
    const Tensor leaf = Tensor::from(values_of(s, kNumbers), {kNumbers});
    Tensor values = leaf;
    if (s + 1 == shards.own().end) {  // written from the end on, as by backward
      values = Tensor::full({kNumbers}, 1e30);
      tree.expect(values);
      for (std::int64_t from = kNumbers; (from -= 3) >= 0;) {
        Tensor part = values.narrow(0, from, 3);
        part.copy_(leaf.narrow(0, from, 3));
        tree.complete_from(from);
      }
    }
    tree.add({values, {static_cast<double>(s), 0.5}});
  }
  return tree.total();
}

}  // namespace

// Also where the processes do not divide the shards, and whenever the values are exchanged.
BOOST_AUTO_TEST_CASE(a_sum_over_shards_is_the_same_for_every_number_of_processes) {
  for (const std::int64_t bucket : {0, 4, 10, 100}) {
    for (const comm::TreeOptions& options :
         {comm::TreeOptions{.bucket = bucket},
          {.wire = comm::Wire::BF16, .exact = 6, .bucket = bucket}}) {
      for (const std::int64_t count : {1, 2, 8}) {
        for (int size = 1; size <= count; ++size) {
          with_processes(size, [&](comm::Group& group) {
            const comm::Sum sum = sum_of_values({group, count}, options);
            const auto got = sum.values.to_vector<float>();
            for (std::int64_t i = 0; i < kNumbers; ++i) {
              const auto at = static_cast<std::size_t>(i);
              const comm::Wire wire = i < options.exact ? comm::Wire::Exact : options.wire;
              NF_CHECK(got[at] == tree_sum(0, count, at, wire), "value ", i, " of ", size);
            }
            NF_CHECK(sum.numbers[0] == static_cast<double>(count * (count - 1) / 2), "numbers");
          });
        }
      }
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
    // The second one gives a sign every half second, which may come late on a busy machine.
    group.watch(group.first() ? 4 : 1000, [&](int rank) { lost = rank; });
    while (lost < 0) std::this_thread::sleep_for(10ms);
    group.stop_watching();
  });
  BOOST_CHECK_EQUAL(lost, 2);
}

BOOST_AUTO_TEST_SUITE_END()
