// How unusual a score is among held-out ones: ties, NaN, and that the p-values of like rows are
// uniform.
#include "flows/examine/p_value.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>
#include <numeric>

#include "flows/examine/diagnose.h"
#include "tensor/error.h"
#include "tensor/ops.h"
#include "tensor/random.h"

using namespace nf;
using nf::flows::HeldOutScores;

BOOST_AUTO_TEST_SUITE(flows_p_value)

BOOST_AUTO_TEST_CASE(ties_and_nan_are_counted) {
  constexpr double kInf = std::numeric_limits<double>::infinity(), kNan = NAN;
  struct Row {
    std::vector<double> held_out;
    double score, p_value;
  };
  const Row rows[] = {
      {{-1, -2, -3, -4}, -5, 1.0 / 5},          // below all
      {{-1, -2, -3, -4}, -4, 2.0 / 5},          // a tie is as unlikely
      {{-1, -2, -3, -4}, -2.5, 3.0 / 5},        //
      {{-1, -2, -3, -4}, 0, 1},                 // above all
      {{-2, -2, -2, -1}, -2, 4.0 / 5},          // all ties count
      {{-2, -2, -2, -1}, -2.0000001, 1.0 / 5},  //
      {{7}, 8, 1},                              //
      {{-1, -2, -3, -4}, kNan, 1.0 / 5},        // as the least likely
      {{-1, kNan, kNan, -4}, kNan, 3.0 / 5},    //
      {{-1, kNan, kNan, -4}, -5, 3.0 / 5},      //
      {{-1, -kInf, -3, -4}, -kInf, 2.0 / 5},    //
      {{-1, -2, -3, -4}, kInf, 1},              //
  };
  for (const Row& row : rows) {
    BOOST_TEST(std::abs(HeldOutScores(row.held_out).p_value(row.score) - row.p_value) < 1e-15,
               row.score << " among " << row.held_out.size());
  }
  BOOST_CHECK_THROW(HeldOutScores({}), Error);
  BOOST_TEST(HeldOutScores({1, 2, 3}).least() == 0.25);
}

BOOST_AUTO_TEST_CASE(far_from_the_mean_is_unusual_on_either_side) {
  const HeldOutScores far({1, 2, 3, 6}, flows::Unusual::Far);
  BOOST_TEST(far.mean() == 3);
  // The mean is that of all five: of 3 it is 3, of 8 it is 4, of -2 it is 2, of 5.5 it is 3.5.
  const std::pair<double, double> rows[] = {
      {3, 1},         {8, 1.0 / 5},   {-2, 2.0 / 5},      {-7, 1.0 / 5},
      {5.5, 3.0 / 5}, {NAN, 1.0 / 5}, {INFINITY, 1.0 / 5}};
  for (const auto& [score, p] : rows) BOOST_TEST(std::abs(far.p_value(score) - p) < 1e-15, score);
  BOOST_TEST(far.rank(5) == far.rank(1));
  // What is not finite has no part in the mean, and is the farthest.
  const HeldOutScores broken({1, 3, NAN, -INFINITY}, flows::Unusual::Far);
  BOOST_TEST(broken.mean() == 2);
  BOOST_TEST(broken.p_value(2) == 1);
  BOOST_TEST(std::abs(broken.p_value(1e9) - 3.0 / 5) < 1e-15);
  BOOST_TEST(std::abs(broken.p_value(NAN) - 3.0 / 5) < 1e-15);
}

// Those that are as far, counted one by one; ties, equal numbers and the mean itself among them.
BOOST_AUTO_TEST_CASE(distances_are_counted_as_by_a_loop) {
  Generator gen(11);
  for (const int n : {1, 2, 3, 50, 400}) {
    for (const double grid : {0.0, 0.25, 10.0}) {  // 10: all are equal
      std::vector<double> scores = normal(gen, {n}).to(DType::F64).to_vector<double>();
      for (double& score : scores) score = grid > 0 ? std::round(score / grid) * grid : score;
      if (n == 50) scores[7] = -INFINITY;
      const HeldOutScores far(scores, flows::Unusual::Far);
      std::vector<double> asked = scores;
      asked.insert(asked.end(), {far.mean(), 0.0, -1.5, 2.5, 1e9, -1e9});
      const auto finite = static_cast<double>(
          std::count_if(scores.begin(), scores.end(), [](double s) { return std::isfinite(s); }));
      for (const double score : asked) {
        if (!std::isfinite(score)) continue;
        const double mean = far.mean() + (score - far.mean()) / (finite + 1);
        const double distance = std::abs(score - mean) * (1 - 1e-12);
        double count = 1;
        for (const double s : scores) count += std::abs(s - mean) >= distance ? 1 : 0;
        BOOST_TEST(far.p_value(score) == count * far.least(), score << " among " << n);
      }
    }
  }
}

// Of n + 1 draws each is the farthest as often, however few they are.
BOOST_AUTO_TEST_CASE(p_values_of_distances_are_uniform_for_few_held_out_rows_too) {
  constexpr int kTrials = 20000;
  Generator gen(7);
  for (const int n : {1, 2, 5}) {
    const Tensor draws = normal(gen, {kTrials, n + 1}).to(DType::F64);
    const double* const x = draws.data<double>();
    int least = 0;
    for (int i = 0; i < kTrials; ++i) {
      const double* const row = x + i * (n + 1);
      const HeldOutScores held_out({row, row + n}, flows::Unusual::Far);
      least += held_out.p_value(row[n]) < 1.5 / (n + 1) ? 1 : 0;
    }
    const double share = least / static_cast<double>(kTrials), expected = 1.0 / (n + 1);
    if (n == 1) {
      BOOST_TEST(share == 0);  // two are always as far from their mean
    } else {
      BOOST_TEST(std::abs(share - expected) < 4 * std::sqrt(expected / kTrials), n);
    }
  }
}

// ln of a Gaussian in ten dimensions at its own draws, and at draws that are further away.
BOOST_AUTO_TEST_CASE(p_values_of_like_rows_are_uniform_and_of_far_rows_small) {
  constexpr std::int64_t kRows = 4000;
  Generator gen(3);
  const auto scores = [&](double scale) {
    const Tensor x = normal(gen, {kRows, 10}).to(DType::F64) * scale;
    return (sum_squares(x, {1}) * -0.5).to_vector<double>();
  };
  const HeldOutScores held_out(scores(1));
  std::vector<double> p;
  for (const double score : scores(1)) p.push_back(held_out.p_value(score));
  std::sort(p.begin(), p.end());
  double distance = 0;  // Kolmogorov and Smirnov's, from the uniform distribution
  for (std::size_t i = 0; i < p.size(); ++i) {
    const double share = (static_cast<double>(i) + 1) / kRows;
    distance = std::max(distance, std::abs(p[i] - share));
  }
  // 1.95 sqrt(2/n) is passed once in a thousand by two samples of one distribution.
  BOOST_TEST(distance < 1.95 * std::sqrt(2.0 / kRows));
  int flagged = 0;
  for (const double score : scores(3)) flagged += held_out.p_value(score) < 0.01;
  BOOST_TEST(flagged > kRows * 95 / 100);
}

// Benjamini and Hochberg (1995), section 3: their 15 p-values, of which 4 are rejected at 0.05.
BOOST_AUTO_TEST_CASE(q_values_are_those_of_benjamini_and_hochberg) {
  const std::vector<double> p = {0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344,
                                 0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0000};
  const std::vector<double> q = flows::q_values(p);
  BOOST_TEST(std::count_if(q.begin(), q.end(), [](double v) { return v <= 0.05; }) == 4);
  BOOST_TEST(std::abs(q[3] - 0.0095 * 15 / 4) < 1e-12);
  BOOST_TEST(std::abs(q[4] - 0.0201 * 15 / 5) < 1e-12);
  BOOST_TEST(std::abs(q[5] - 0.0298 * 15 / 7) < 1e-12);  // not 0.0278 15/6, which is above
  BOOST_TEST(q[14] == 1);
  BOOST_CHECK((flows::q_values({0.3, 0.01, 0.3}) == std::vector<double>{0.3, 0.03, 0.3}));
  BOOST_TEST(flows::q_values({}).empty());
}

BOOST_AUTO_TEST_CASE(a_drift_is_told_from_chance) {
  Generator gen(3);
  const std::vector<double> held = normal(gen, {400}, DType::F64).to_vector<double>(),
                            like = normal(gen, {300}, DType::F64).to_vector<double>();
  std::vector<double> shifted = like;
  for (double& score : shifted) score -= 0.5;
  const HeldOutScores scores(held);
  BOOST_TEST(scores.drift(like).p_value > 0.01);
  BOOST_TEST(scores.drift(shifted).p_value < 1e-4);
  BOOST_TEST(scores.drift(held).distance == 0);
  BOOST_TEST(scores.drift(held).p_value == 1);
  BOOST_TEST(std::isnan(scores.drift({}).p_value));
  const HeldOutScores four({1, 2, 3, 4});
  BOOST_TEST(four.drift({0, 2.5}).distance == 0.5);
  BOOST_TEST(four.drift({2, 2, 2}).distance == 0.5);  // ties: behind 2 are 3/3 and 2/4
  BOOST_TEST(four.drift({NAN}).distance == 1);
  // 3 and 12 rows count as 36/15 of one sample.
  std::vector<double> twelve(12);
  std::iota(twelve.begin(), twelve.end(), 0.0);
  BOOST_TEST(HeldOutScores(twelve).drift({10.5, 11.5, 12.5}).p_value ==
             flows::ks_p_value(11.0 / 12, 36.0 / 15));
  // All near the mean of 0 to 11: no drift of the scores to one side, but one of the distances.
  const std::vector<double> middle = {5.5, 5.5, 5.5, 5.5};
  BOOST_TEST(HeldOutScores(twelve).drift(middle).distance == 0.5);
  BOOST_TEST(HeldOutScores(twelve, flows::Unusual::Far).drift(middle).distance == 1);
}

// Quantiles of Kolmogorov's distribution: at 1.3581 it is 5 %, at 1.6276 1 %; of 10 values 5 %
// is at 0.409 (Massey 1951).
BOOST_AUTO_TEST_CASE(kolmogorov_p_values_are_those_of_tables) {
  BOOST_TEST(std::abs(flows::ks_p_value(1.3581 / 1000, 1e6) - 0.05) < 1e-4);
  BOOST_TEST(std::abs(flows::ks_p_value(1.6276 / 1000, 1e6) - 0.01) < 1e-4);
  BOOST_TEST(std::abs(flows::ks_p_value(0.409, 10) - 0.05) < 2e-3);
  BOOST_TEST(flows::ks_p_value(0, 50) == 1);
  BOOST_TEST(flows::ks_p_value(1, 50) < 1e-20);
  BOOST_TEST(std::isnan(flows::ks_p_value(NAN, 50)));
}

BOOST_AUTO_TEST_SUITE_END()
