// The CPU's block cache, seen through the backend.
#include <boost/test/unit_test.hpp>
#include <cstdint>
#include <cstring>
#include <thread>
#include <vector>

#include "tensor/backend.h"
#include "tensor/memory.h"
#include "tests/data_util.h"

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

BOOST_AUTO_TEST_SUITE_END()
