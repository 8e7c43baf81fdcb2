// One model, and several, used by several threads at a time. Under the thread sanitizer this suite
// tells whether they may be.
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <memory>
#include <thread>

#include "c/nf.h"
#include "c_runs.h"

using namespace nf::test;

BOOST_AUTO_TEST_SUITE(c_threads)

namespace {

// What a thread does with a model: its results, one behind the other.
std::vector<double> work(nf_model* model, const CRun& run) {
  const std::int64_t n = std::min<std::int64_t>(run.rows.dim(0), 40), d = run.rows.dim(1);
  const auto size = static_cast<std::size_t>(n * d);
  std::vector<double> x = run.rows.narrow(0, 0, n).contiguous().to_vector<double>(), z(size),
                      back(size), drawn(size), nats(static_cast<std::size_t>(n)),
                      given = run.given_values();
  const nf_array rows = dense(x, n, d), latents = dense(z, n, d), decoded = dense(back, n, d),
                 samples = dense(drawn, n, d), beside = dense(given, n, run.given_count());
  const nf_array* const with = run.given_count() > 0 ? &beside : nullptr;
  std::vector<double> results;
  const int statuses[] = {
      nf_log_prob(model, &rows, with, nats.data()), nf_encode(model, &rows, with, &latents),
      nf_decode(model, &latents, with, &decoded), nf_sample(model, 5, 1, with, &samples)};
  for (const int status : statuses) results.push_back(status);
  for (const auto* part : {&nats, &z, &back, &drawn}) {
    results.insert(results.end(), part->begin(), part->end());
  }
  return results;
}

}  // namespace

BOOST_AUTO_TEST_CASE(one_model_and_all_models_at_a_time) {
  constexpr std::size_t kThreads = 4, kTimes = 5;
  expect_ok(nf_threads(2));
  std::vector<std::unique_ptr<CRun>> runs;
  std::vector<std::unique_ptr<Handle>> models;
  std::vector<std::vector<double>> expected;
  for (const CRun::Kind kind : CRun::kinds()) {
    runs.push_back(std::make_unique<CRun>(kind));
    models.push_back(std::make_unique<Handle>(runs.back()->path));
    expected.push_back(work(*models.back(), *runs.back()));
    for (std::size_t i = 0; i < 4; ++i) BOOST_TEST(expected.back()[i] == NF_OK);
  }
  std::vector<std::size_t> wrong(kThreads, 0);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (std::size_t time = 0; time < kTimes; ++time) {
        const std::size_t i = (t + time) % runs.size();
        wrong[t] += work(*models[i], *runs[i]) != expected[i];
        // A model of its own, opened and closed beside the others.
        nf_model* own = nullptr;
        wrong[t] += nf_open(runs[i]->path.c_str(), nullptr, &own) != NF_OK;
        wrong[t] += work(own, *runs[i]) != expected[i];
        nf_close(own);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::size_t count : wrong) BOOST_TEST(count == 0u);
  expect_ok(nf_threads(0));
}

// The message of one thread is no other's.
BOOST_AUTO_TEST_CASE(messages_belong_to_threads) {
  BOOST_TEST(nf_threads(-1) == NF_USAGE);
  const std::string mine = nf_last_error();
  std::string before = "?", others;
  std::thread([&] {
    before = nf_last_error();
    nf_close(nullptr);
    nf_threads(5000);
    others = nf_last_error();
  }).join();
  BOOST_TEST(before == "");
  BOOST_TEST(others.find("5000") != std::string::npos);
  BOOST_TEST(nf_last_error() == mine);
}

BOOST_AUTO_TEST_SUITE_END()
