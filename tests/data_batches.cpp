#include "data/batches.h"

#include <numeric>

#include "tensor/threads.h"
#include "tests/data_util.h"

using namespace nf;
using namespace nf::data;

namespace {

/// n rows of `dims` bytes; row i is filled with i, its label is 1000 + i.
Split numbered(std::int64_t n, std::int64_t dims) {
  std::vector<std::uint8_t> x(static_cast<std::size_t>(n * dims));
  for (std::size_t k = 0; k < x.size(); ++k) x[k] = static_cast<std::uint8_t>(k / dims);
  std::vector<std::int32_t> labels(static_cast<std::size_t>(n));
  std::iota(labels.begin(), labels.end(), 1000);
  return {Tensor::from(x, {n, dims}), Tensor::from(labels, {n})};
}

/// The rows of the next `count` batches; checks that labels and all columns go with them.
std::vector<int> rows_of(Batches& batches, std::int64_t count) {
  std::vector<int> rows;
  for (std::int64_t i = 0; i < count; ++i) {
    const Batch batch = batches.next();
    const auto labels = batch.labels.to_vector<std::int32_t>();
    const auto x = batch.x.to_vector<std::uint8_t>();
    const auto taken = batch.rows.to_vector<std::int32_t>();
    const std::size_t dims = x.size() / labels.size();
    bool match = true;
    for (std::size_t k = 0; k < x.size(); ++k) match = match && x[k] + 1000 == labels[k / dims];
    BOOST_CHECK(match);
    for (const std::int32_t label : labels) rows.push_back(label - 1000);
    BOOST_CHECK(
        std::equal(taken.begin(), taken.end(), rows.end() - std::ssize(labels), rows.end()));
  }
  return rows;
}

constexpr std::int64_t kSmall = 3;      // gathered on the caller's thread
constexpr std::int64_t kLarge = 20000;  // gathered on another one

}  // namespace

BOOST_AUTO_TEST_SUITE(data_batches)

BOOST_AUTO_TEST_CASE(every_sample_once_in_every_epoch) {
  for (const std::int64_t dims : {kSmall, kLarge}) {
    Batches batches(numbered(23, dims), {.batch_size = 5, .seed = 1});
    BOOST_CHECK_EQUAL(batches.per_epoch(), 5);
    std::vector<std::vector<int>> epochs;
    for (int epoch = 0; epoch < 3; ++epoch) {
      epochs.push_back(rows_of(batches, batches.per_epoch()));
      std::vector<int> sorted = epochs.back(), all(23);
      std::sort(sorted.begin(), sorted.end());
      std::iota(all.begin(), all.end(), 0);
      BOOST_CHECK(sorted == all);
    }
    BOOST_CHECK(epochs[0] != epochs[1] && epochs[1] != epochs[2]);
  }
}

BOOST_AUTO_TEST_CASE(batch_sizes_and_positions) {
  struct Case {
    std::int64_t n, size;
    bool drop_last;
    std::vector<std::int64_t> sizes;  // of one epoch
  };
  const Case cases[] = {{10, 4, false, {4, 4, 2}}, {10, 4, true, {4, 4}}, {8, 4, true, {4, 4}},
                        {8, 4, false, {4, 4}},     {3, 100, false, {3}},  {2, 1, false, {1, 1}}};
  for (const Case& c : cases) {
    Batches batches(numbered(c.n, kSmall), {.batch_size = c.size, .drop_last = c.drop_last});
    BOOST_CHECK_EQUAL(batches.per_epoch(), static_cast<std::int64_t>(c.sizes.size()));
    for (std::int64_t epoch = 0; epoch < 2; ++epoch) {
      for (std::size_t i = 0; i < c.sizes.size(); ++i) {
        BOOST_CHECK(batches.epoch() == epoch && batches.index() == static_cast<std::int64_t>(i));
        const Batch batch = batches.next();
        BOOST_CHECK(batch.epoch == epoch && batch.index == static_cast<std::int64_t>(i));
        BOOST_CHECK_EQUAL(batch.x.shape(), Shape({c.sizes[i], kSmall}));
        BOOST_CHECK(batch.x.dtype() == DType::U8);
        BOOST_CHECK_EQUAL(batch.labels.shape(), Shape({c.sizes[i]}));
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(the_order_depends_on_the_seed_alone) {
  const int before = num_threads();
  for (const std::int64_t dims : {kSmall, kLarge}) {
    std::vector<int> first;
    for (const int threads : {1, 2, 4}) {
      set_num_threads(threads);
      Batches batches(numbered(23, dims), {.batch_size = 5, .seed = 3});
      const std::vector<int> rows = rows_of(batches, 10);
      if (first.empty()) first = rows;
      BOOST_CHECK(rows == first);
    }
    Batches other(numbered(23, dims), {.batch_size = 5, .seed = 4});
    BOOST_CHECK(rows_of(other, 10) != first);
  }
  set_num_threads(before);
}

BOOST_AUTO_TEST_CASE(resumes_in_the_middle_of_an_epoch) {
  for (const std::int64_t dims : {kSmall, kLarge}) {
    const Split split = numbered(23, dims);
    for (const std::int64_t done : {0, 1, 4, 5, 7, 9, 10}) {
      Batches whole(split, {.batch_size = 5, .seed = 2}),
          resumed(split, {.batch_size = 5, .seed = 2});
      rows_of(whole, done);
      resumed.seek(whole.epoch(), whole.index());
      BOOST_CHECK(resumed.epoch() == done / 5 && resumed.index() == done % 5);
      BOOST_CHECK(rows_of(resumed, 7) == rows_of(whole, 7));
    }
    Batches a(split, {.batch_size = 5}), b(split, {.batch_size = 5});
    a.seek(1, 5);  // the end of an epoch is the start of the next
    b.seek(2, 0);
    BOOST_CHECK(rows_of(a, 5) == rows_of(b, 5));
  }
}

BOOST_AUTO_TEST_CASE(without_shuffling_the_order_is_that_of_the_split) {
  Batches batches(numbered(7, kLarge), {.batch_size = 3, .shuffle = false, .seed = 9});
  std::vector<int> in_order(7);
  std::iota(in_order.begin(), in_order.end(), 0);
  BOOST_CHECK(rows_of(batches, 3) == in_order);
  BOOST_CHECK(rows_of(batches, 3) == in_order);
}

BOOST_AUTO_TEST_CASE(any_rows_without_labels) {
  const Tensor x = Tensor::arange(24).reshape({4, 3, 2});
  Batches batches({x.flip(0), {}}, {.batch_size = 4, .shuffle = false});
  const Batch batch = batches.next();
  BOOST_CHECK(!batch.labels.defined());
  BOOST_CHECK_EQUAL(batch.x.shape(), Shape({4, 3, 2}));
  BOOST_CHECK(batch.x.to_vector<float>() == x.flip(0).to_vector<float>());
}

BOOST_AUTO_TEST_CASE(batches_are_fresh_tensors_and_may_be_dropped_at_any_time) {
  const Split split = numbered(23, kLarge);
  { Batches unused(split, {.batch_size = 5}); }
  Batches batches(split, {.batch_size = 5, .shuffle = false});
  Batch first = batches.next();
  first.x.fill_(255);
  BOOST_CHECK_EQUAL(split.x.to_vector<std::uint8_t>().at(0), 0);
  batches.seek(0, 0);
  BOOST_CHECK_EQUAL(batches.next().x.to_vector<std::uint8_t>().at(0), 0);
}

BOOST_AUTO_TEST_CASE(impossible_options_are_refused) {
  using test::check_error;
  const Split split = numbered(5, kSmall);
  check_error([&] { Batches({}, {}); }, {"[batches]", "no samples"});
  check_error([&] { Batches(split, {.batch_size = 0}); }, {"batch size 0", "at least 1"});
  check_error([&] { Batches(split, {.batch_size = 6, .drop_last = true}); },
              {"6", "5", "drop_last"});
  check_error(
      [&] {
        Batches({split.x, split.labels.narrow(0, 0, 4)}, {});
      },
      {"5 samples", "4 labels"});
  Batches batches(split, {.batch_size = 2});
  check_error([&] { batches.seek(0, 4); }, {"no batch 4", "3"});
  check_error([&] { batches.seek(-1, 0); }, {"epoch -1"});
  BOOST_CHECK_EQUAL(rows_of(batches, 3).size(), 5U);  // a refused seek changes nothing
}

BOOST_AUTO_TEST_SUITE_END()
