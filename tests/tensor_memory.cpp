// The CPU's block cache, seen through the backend.
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "tensor/backend.h"
#include "tensor/memory.h"
#include "tensor/threads.h"
#include "tests/addresses.h"
#include "tests/data_util.h"
#include "tests/devices.h"

BOOST_AUTO_TEST_SUITE(tensor_memory)

using namespace nf;

namespace {

constexpr std::size_t kSizes[] = {0,      1,       63,      64,      65,      1000,
                                  800000, 4000000, 4194304, 4194305, 5 << 20, 33000000};

}  // namespace

BOOST_AUTO_TEST_CASE(blocks_are_aligned_and_apart) {
  Backend& cpu = cpu_backend();
  std::vector<void*> blocks;
  for (int round = 0; round < 2; ++round) {  // fresh blocks, then cached ones
    for (const std::size_t size : kSizes) {
      blocks.push_back(cpu.allocate(size));
      BOOST_TEST(reinterpret_cast<std::uintptr_t>(blocks.back()) % 64 == 0u);
      std::memset(blocks.back(), static_cast<int>(blocks.size()), size);
    }
    for (std::size_t i = 0; i < blocks.size(); ++i) {
      const auto* bytes = static_cast<const unsigned char*>(blocks[i]);
      if (kSizes[i] == 0) continue;
      BOOST_TEST((bytes[0] == i + 1 && bytes[kSizes[i] - 1] == i + 1));
    }
    for (std::size_t i = 0; i < blocks.size(); ++i) cpu.release(blocks[i], kSizes[i]);
    blocks.clear();
  }
}

BOOST_AUTO_TEST_CASE(statistics) {
  Backend& cpu = cpu_backend();
  const std::size_t before = cpu.bytes_in_use();
  void* const a = cpu.allocate(1 << 20);
  BOOST_TEST(cpu.bytes_in_use() - before == 1u << 20);
  void* const b = cpu.allocate(3 << 20);
  BOOST_TEST(cpu.bytes_in_use() - before == 4u << 20);
  BOOST_TEST(cpu.peak_bytes() >= before + (4u << 20));
  cpu.release(b, 3 << 20);
  cpu.release(a, 1 << 20);
  BOOST_TEST(cpu.bytes_in_use() == before);
  BOOST_TEST(cpu.peak_bytes() >= before + (4u << 20));
}

#ifndef __SANITIZE_ADDRESS__  // under which nothing is cached
BOOST_AUTO_TEST_CASE(a_released_block_is_used_again) {
  Backend& cpu = cpu_backend();
  for (const std::size_t size : {std::size_t{100}, std::size_t{800000}, std::size_t{4000000}}) {
    void* const first = cpu.allocate(size);
    cpu.release(first, size);
    void* const second = cpu.allocate(size - size / 100);  // nearly the same size
    BOOST_TEST(second == first);
    cpu.release(second, size - size / 100);
  }
}
#endif

BOOST_AUTO_TEST_CASE(out_of_memory_names_the_numbers) {
  Backend& cpu = cpu_backend();
  void* const held = cpu.allocate(3 << 20);
  for (const std::size_t size : {std::size_t{1} << 60, ~std::size_t{0}}) {
    BOOST_CHECK_EXCEPTION(cpu.allocate(size), Error, [&](const Error& e) {
      const std::string text = e.what();
      return text.find(std::to_string(size >> 20) + " MiB asked for") != std::string::npos &&
             text.find(" MiB in use") != std::string::npos;
    });
  }
  cpu.release(held, 3 << 20);
}

BOOST_AUTO_TEST_CASE(many_threads_at_once) {
  Backend& cpu = cpu_backend();
  const std::size_t before = cpu.bytes_in_use();
  std::vector<std::thread> threads;
  std::vector<int> wrong(4, 0);
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&cpu, &wrong, t] {
      for (int i = 0; i < 3000; ++i) {
        const std::size_t size = 64 + static_cast<std::size_t>(i * 37 % 5000);
        auto* const block = static_cast<unsigned char*>(cpu.allocate(size));
        std::memset(block, t, size);
        std::this_thread::yield();
        wrong[static_cast<std::size_t>(t)] += block[0] != t || block[size - 1] != t;
        cpu.release(block, size);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  BOOST_TEST(wrong == std::vector<int>(4, 0), boost::test_tools::per_element());
  BOOST_TEST(cpu.bytes_in_use() == before);
}

BOOST_AUTO_TEST_CASE(what_is_needed_is_compared_with_what_is_there) {
  const std::uint64_t free = available_memory();
  BOOST_TEST(free > 1'000'000U);
  BOOST_TEST(free < std::uint64_t{1} << 60);
  BOOST_CHECK_NO_THROW(check_memory(1e6, "nothing", ""));
  nf::test::check_error([] { check_memory(1.6e19, "a model", "make it smaller"); },
                        {"[memory] a model needs 16000.0 PB, ", "are free; make it smaller"});
  BOOST_TEST(bytes_text(999) == "999 B");
  BOOST_TEST(bytes_text(1234567) == "1.2 MB");
}

// What a convolution needs for its weights grows with them: it is counted, and given back.
BOOST_AUTO_TEST_CASE(a_call_counts_its_weights) {
  Backend& cpu = cpu_backend();
  const test::DefaultWinograd after;
  const std::int64_t channels = 256, taps = 9, transformed = 36;
  const Tensor x = Tensor::ones({1, 4, 4, channels});
  const Tensor w = Tensor::ones({channels, channels, 3, 3});
  const ConvGeometry geometry{1, 1, 1};
  const auto bytes = [&](std::int64_t each) {
    return static_cast<std::size_t>(channels * channels * each) * sizeof(float);
  };
  const struct {
    const char* name;
    Winograd way;
    std::size_t least;
    std::function<Tensor()> run;
  } cases[] = {{"direct", Winograd::Off, bytes(taps), [&] { return conv2d(x, w, {}, geometry); }},
               {"Winograd", Winograd::On, bytes(taps + transformed),
                [&] { return conv2d(x, w, {}, geometry); }},
               {"dx", Winograd::On, bytes(taps + transformed),
                [&] { return conv2d_backward_data(x, w, x.shape(), geometry); }},
               {"dw", Winograd::On, bytes(2 * taps),  // the sums, and dw
                [&] { return conv2d_backward_weights(x, x, w.shape(), geometry); }}};
  for (const auto& c : cases) {
    set_winograd(c.way);
    const std::size_t in_use = cpu.bytes_in_use(), peak = cpu.peak_bytes();
    // Nothing is below the peak any more, so that it rises by all that is allocated.
    void* const ballast = cpu.allocate(peak - in_use + 1);
    const std::size_t before = cpu.peak_bytes(), held = cpu.bytes_in_use();
    { const Tensor result = c.run(); }
    BOOST_TEST(cpu.peak_bytes() - before >= c.least, c.name);
    BOOST_TEST(cpu.peak_bytes() - before <= c.least + c.least / 4 + (1U << 20), c.name);
    BOOST_TEST(cpu.bytes_in_use() == held, c.name);
    cpu.release(ballast, peak - in_use + 1);
  }
}

// In a process of its own, whose addresses are limited.
BOOST_AUTO_TEST_CASE(a_convolution_without_memory_says_so_and_how_much,
                     *boost::unit_test::precondition(test::addresses_can_be_limited)) {
  const Tensor x = Tensor::ones({1, 4, 4, 1024}), w = Tensor::ones({1024, 1024, 3, 3});
  int from_child[2];
  BOOST_REQUIRE(pipe(from_child) == 0);
  const pid_t child = fork();
  if (child == 0) {
    std::string said = "nothing";
    try {
      set_num_threads(1);  // the others stayed with the parent
      const rlimit limit{1, 1};
      set_winograd(Winograd::On);
      setrlimit(RLIMIT_AS, &limit);
      conv2d(x, w, {}, {1, 1, 1});
    } catch (const Error& error) {
      said = error.what();
    }
    _exit(write(from_child[1], said.data(), said.size()) == std::ssize(said) ? 0 : 1);
  }
  close(from_child[1]);
  std::string said(1000, '\0');
  said.resize(
      static_cast<std::size_t>(std::max<ssize_t>(0, read(from_child[0], said.data(), 1000))));
  close(from_child[0]);
  int status = 0;
  waitpid(child, &status, 0);
  BOOST_TEST(status == 0);
  BOOST_TEST(said.starts_with("[conv2d] no memory for "), said);
  BOOST_TEST(said.find(" weights, ") != std::string::npos, said);
  BOOST_TEST(said.find(" MB: ") != std::string::npos, said);
}

namespace {

/// Takes all memory that this process can have but for `headroom` bytes of addresses.
void exhaust(std::size_t headroom) {
  std::size_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  rlimit limit{};
  getrlimit(RLIMIT_AS, &limit);
  limit.rlim_cur = pages * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  setrlimit(RLIMIT_AS, &limit);
  void* volatile taken = nullptr;
  for (std::size_t size = 1 << 20; size >= 16; size /= 2) {
    do taken = std::malloc(size);
    while (taken);
  }
  limit.rlim_cur += headroom;
  setrlimit(RLIMIT_AS, &limit);
}

enum Ending { Done, Said, SaidNothing };

/// How the first convolution of a thread ends that has `headroom` bytes, in a process of its own:
/// an Ending, or minus the signal.
int ending(std::size_t headroom, const std::function<void()>& run) {
  const pid_t child = fork();
  if (child == 0) {
    set_num_threads(1);  // the others stayed with the parent
    std::thread([&] {
      exhaust(headroom);
      try {
        run();
        _exit(Done);
      } catch (const Error& error) {
        _exit(std::strncmp(error.what(), "[conv2d] ", 9) == 0 ||
                      std::strncmp(error.what(), "[memory] ", 9) == 0
                  ? Said
                  : SaidNothing);
      } catch (...) {
        _exit(SaidNothing);
      }
    }).join();
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

}  // namespace

BOOST_AUTO_TEST_CASE(the_first_convolution_of_a_thread_never_aborts,
                     *boost::unit_test::precondition(test::addresses_can_be_limited)) {
  const test::DefaultWinograd after;
  const Tensor x = Tensor::ones({1, 8, 8, 32}), w = Tensor::ones({32, 32, 3, 3});
  const Tensor few = Tensor::ones({1, 8, 8, 3}), narrow = Tensor::ones({32, 3, 3, 3}),
               pixel = Tensor::ones({8, 32, 1, 1});
  const ConvGeometry same{1, 1, 1};
  const struct {
    const char* name;
    Winograd way;
    std::function<void()> run;
  } cases[] = {
      {"direct", Winograd::Off, [&] { conv2d(x, w, {}, same); }},
      {"Winograd", Winograd::On, [&] { conv2d(x, w, {}, same); }},
      {"product", Winograd::Off, [&] { conv2d(x, pixel, {}, {}); }},
      {"dx by columns", Winograd::Off, [&] { conv2d_backward_data(x, narrow, few.shape(), same); }},
      {"dw", Winograd::Off, [&] { conv2d_backward_weights(x, x, w.shape(), same); }}};
  for (const auto& c : cases) {
    set_winograd(c.way);
    bool done = false, said = false;
    for (std::size_t headroom = 0; headroom <= 1 << 20; headroom += 16 << 10) {
      const int end = ending(headroom, c.run);
      BOOST_TEST((end == Done || end == Said), c.name << " with " << headroom << ": " << end);
      done = done || end == Done;
      said = said || end == Said;
    }
    BOOST_TEST(said, c.name);
    BOOST_TEST(done, c.name);
  }
}

BOOST_AUTO_TEST_SUITE_END()
