#include "tensor/threads.h"

#include <atomic>
#include <boost/test/unit_test.hpp>
#include <csignal>
#include <cstdlib>
#include <map>
#include <mutex>
#include <numeric>
#include <set>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "tensor/error.h"

BOOST_AUTO_TEST_SUITE(tensor_threads)

using namespace nf;

namespace {

using Ranges = std::set<std::pair<std::int64_t, std::int64_t>>;

Ranges ranges_of(std::int64_t n, std::int64_t grain) {
  Ranges ranges;
  std::mutex mutex;
  parallel_for(n, grain, [&](std::int64_t begin, std::int64_t end) {
    const std::lock_guard lock(mutex);
    ranges.emplace(begin, end);
  });
  return ranges;
}

struct DefaultThreads {
  ~DefaultThreads() { set_num_threads(0); }
};

}  // namespace

BOOST_AUTO_TEST_CASE(what_a_container_may_take_is_rounded_up) {
  const std::pair<const char*, int> cases[] = {{"200000 100000", 2},
                                               {"150000 100000", 2},
                                               {"1000 100000", 1},
                                               {"max 100000", 0},
                                               {"-1 100000", 0},
                                               {"100000 0", 0},
                                               {"", 0},
                                               {"100000", 0},
                                               {"1e300 1", 1024},
                                               {"nan nan", 0}};
  for (const auto& [text, processors] : cases) {
    BOOST_TEST(processors_of_quota(text) == processors, text);
  }
  BOOST_TEST(usable_processors() >= 1);
}

// Else a handler could still run in one of them when the caller already looks for what it did.
BOOST_FIXTURE_TEST_CASE(threads_of_the_pool_leave_signals_to_the_caller, DefaultThreads) {
  set_num_threads(4);
  std::mutex mutex;
  std::map<std::thread::id, int> left_to_others;
  // As many ranges as threads, each of which waits for all: four threads run them.
  std::atomic<int> arrived = 0;
  parallel_for(4, 1, [&](std::int64_t, std::int64_t) {
    for (++arrived; arrived < 4;) std::this_thread::yield();
    sigset_t waiting;
    pthread_sigmask(SIG_SETMASK, nullptr, &waiting);
    const std::lock_guard lock(mutex);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
      left_to_others[std::this_thread::get_id()] += sigismember(&waiting, signal);
    }
  });
  BOOST_TEST_REQUIRE(left_to_others.size() == 4U);
  for (const auto& [thread, signals] : left_to_others) {
    BOOST_TEST(signals == (thread == std::this_thread::get_id() ? 0 : 3));
  }
}

BOOST_FIXTURE_TEST_CASE(ranges_cover_everything_once, DefaultThreads) {
  for (const int threads : {1, 2, 3, 8}) {
    set_num_threads(threads);
    for (const std::int64_t n : {0, 1, 2, 7, 8, 9, 100, 1000}) {
      for (const std::int64_t grain : {1, 3, 8, 2000}) {
        const Ranges ranges = ranges_of(n, grain);
        const std::int64_t expected = std::min<std::int64_t>(threads, (n + grain - 1) / grain);
        BOOST_TEST(static_cast<std::int64_t>(ranges.size()) == expected);
        std::int64_t at = 0;
        for (const auto& [begin, end] : ranges) {
          BOOST_TEST(begin == at);
          BOOST_TEST(end > begin);
          BOOST_TEST((end == n || (end - begin) % grain == 0));
          at = end;
        }
        BOOST_TEST(at == n);
      }
    }
  }
}

BOOST_FIXTURE_TEST_CASE(ranges_really_run_at_the_same_time, DefaultThreads) {
  set_num_threads(3);
  std::atomic<int> arrived = 0;
  parallel_for(3, 1, [&](std::int64_t, std::int64_t) {
    ++arrived;
    while (arrived < 3) std::this_thread::yield();  // would never end one after the other
  });
  BOOST_TEST(arrived == 3);
}

BOOST_FIXTURE_TEST_CASE(nested_loop_runs_on_its_thread, DefaultThreads) {
  set_num_threads(4);
  std::atomic<int> sum = 0, strangers = 0;
  parallel_for(4, 1, [&](std::int64_t, std::int64_t) {
    const auto self = std::this_thread::get_id();
    parallel_for(100, 1, [&](std::int64_t begin, std::int64_t end) {
      strangers += std::this_thread::get_id() != self;
      sum += static_cast<int>(end - begin);
    });
  });
  BOOST_TEST(sum == 400);
  BOOST_TEST(strangers == 0);
}

BOOST_FIXTURE_TEST_CASE(exception_comes_back_after_all_ranges, DefaultThreads) {
  set_num_threads(4);
  for (int thrower = 0; thrower < 4; ++thrower) {
    std::atomic<int> done = 0;
    BOOST_CHECK_EXCEPTION(parallel_for(4, 1,
                                       [&](std::int64_t begin, std::int64_t) {
                                         if (begin == thrower) throw Error("range failed");
                                         ++done;
                                       }),
                          Error,
                          [](const Error& e) { return e.what() == std::string("range failed"); });
    BOOST_TEST(done == 3);
  }
  BOOST_TEST(ranges_of(4, 1).size() == 4u);  // and the pool goes on
}

BOOST_FIXTURE_TEST_CASE(many_small_loops, DefaultThreads) {
  set_num_threads(3);
  std::vector<int> counts(50, 0);
  for (int loop = 0; loop < 20000; ++loop) {
    parallel_for(50, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) ++counts[static_cast<std::size_t>(i)];
    });
  }
  BOOST_TEST(counts == std::vector<int>(50, 20000), boost::test_tools::per_element());
}

BOOST_FIXTURE_TEST_CASE(loops_from_several_user_threads, DefaultThreads) {
  set_num_threads(3);
  std::vector<std::int64_t> sums(4, 0);
  std::vector<std::thread> users;
  for (std::int64_t& sum : sums) {
    users.emplace_back([&sum] {
      for (int loop = 0; loop < 2000; ++loop) {
        std::atomic<std::int64_t> part = 0;
        parallel_for(100, 10, [&](std::int64_t begin, std::int64_t end) { part += end - begin; });
        sum += part;
      }
    });
  }
  for (std::thread& user : users) user.join();
  BOOST_TEST(sums == std::vector<std::int64_t>(4, 200000), boost::test_tools::per_element());
}

BOOST_FIXTURE_TEST_CASE(number_of_threads, DefaultThreads) {
  set_num_threads(5);
  BOOST_TEST(num_threads() == 5);
  BOOST_CHECK_THROW(set_num_threads(-1), Error);
  BOOST_CHECK_THROW(set_num_threads(100000), Error);
  BOOST_TEST(num_threads() == 5);

  const char* const before = std::getenv("NF_NUM_THREADS");
  const std::string saved = before ? before : "";
  setenv("NF_NUM_THREADS", "3", 1);
  set_num_threads(0);
  BOOST_TEST(num_threads() == 3);
  for (const char* garbage : {"0", "-2", "two", "4x", " 4", "99999999999999", "1.5"}) {
    setenv("NF_NUM_THREADS", garbage, 1);
    BOOST_CHECK_EXCEPTION(set_num_threads(0), Error, [&](const Error& e) {
      return std::string(e.what()).find("NF_NUM_THREADS is \"" + std::string(garbage) + "\"") !=
             std::string::npos;
    });
  }
  unsetenv("NF_NUM_THREADS");
  set_num_threads(0);
  BOOST_TEST(num_threads() >= 1);
  if (before) setenv("NF_NUM_THREADS", saved.c_str(), 1);
}

BOOST_AUTO_TEST_SUITE_END()
