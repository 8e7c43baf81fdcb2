// The playground (web/) in the program's own build: what its page shows, and its small LAPACK
// beside OpenBLAS. In WebAssembly web/test.js tests it.
#include "web/playground.h"

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include "tensor/blas.h"
#include "tensor/ops.h"
#include "tests/data_util.h"
#include "web/small_lapack.h"

BOOST_AUTO_TEST_SUITE(web_playground)

using namespace nf;
using nf::test::check_error;
using web::Digits;
using web::Playground;

BOOST_AUTO_TEST_CASE(a_model_learns_and_is_shown_in_between) {
  Playground play("realnvp-2d", "moons", 100, 1);
  const double before = play.loss();
  play.train(60);
  BOOST_TEST(play.step() == 60);
  play.train(1000);  // to the end, and no further
  BOOST_TEST(play.step() == 100);
  BOOST_TEST(std::isnan(play.train(1)));
  BOOST_TEST(play.loss() < before - 0.5);
  BOOST_TEST(play.loss() > play.entropy());

  const Tensor q = play.density(100, 5);  // (100, 100) squares of side 0.1
  BOOST_TEST(std::abs(sum(q).item() * 0.01 - 1) < 0.05);
  const Tensor first = play.samples(50), second = play.samples(50);
  BOOST_TEST((first.shape() == Shape{50, 2}));
  BOOST_TEST(first.to_vector<float>() != second.to_vector<float>());
  BOOST_TEST((play.warped(Tensor::zeros({7, 2})).shape() == Shape{7, 2}));
  BOOST_TEST((play.data(30).shape() == Shape{30, 2}));
}

BOOST_AUTO_TEST_CASE(pictures_do_not_change_a_training) {
  Playground watched("nsf", "rings", 12, 3), alone("nsf", "rings", 12, 3);
  watched.train(4);
  watched.samples(10);
  watched.density(8, 4);
  watched.loss();
  watched.train(8);
  alone.train(12);
  BOOST_TEST(watched.loss() == alone.loss());
}

BOOST_AUTO_TEST_CASE(density_has_row_0_at_the_lowest_y) {
  const std::vector<float> low = {-0.1F, -3, 0.1F, -3};
  Playground play("realnvp-2d", low, 0.3, 60, 1);
  play.train(60);
  const Tensor q = play.density(20, 4);
  BOOST_TEST(sum(q.narrow(0, 0, 10)).item() > 10 * sum(q.narrow(0, 10, 10)).item());
  BOOST_TEST(std::isnan(play.entropy()));
}

BOOST_AUTO_TEST_CASE(wrong_wishes_are_refused) {
  const std::vector<float> one = {1, 1}, far = {0, 0, 5, 5},
                           nan = {0, 0, std::numeric_limits<float>::quiet_NaN(), 0};
  check_error([] { Playground("realnvp-2d", "moon", 10, 1); }, {"no density 'moon'"});
  check_error([] { Playground("real", "moons", 10, 1); }, {"real"});
  check_error([] { Playground("nsf", "moons", 0, 1); }, {"0 steps"});
  check_error([&] { Playground("nsf", one, 0.1, 10, 1); }, {"at least two"});
  check_error([&] { Playground("nsf", far, 0.1, 10, 1); }, {"beyond 4"});
  check_error([&] { Playground("nsf", nan, 0.1, 10, 1); }, {"beyond 4"});
  check_error([&] { Playground("nsf", std::vector<float>{0, 0, 1, 1}, 0, 10, 1); }, {"blur"});
}

BOOST_AUTO_TEST_CASE(digits_are_drawn_from_a_file_of_weights_alone) {
  const std::string runs =
      (std::filesystem::path(__FILE__).parent_path() / "golden_runs").string() + "/";
  Digits digits(runs + "pixels/best.safetensors");
  BOOST_TEST(digits.side() == 5);
  const Tensor drawn = digits.samples(8, 0.8);
  BOOST_TEST((drawn.shape() == Shape{8, 25}));
  check_error([&] { Digits(runs + "table/best.safetensors"); }, {"no square pictures"});
  check_error([&] { Digits(runs + "expected.json"); }, {"expected.json"});
}

// --- the small LAPACK
// -----------------------------------------------------------------------------

namespace {

Tensor matrix(std::int64_t rows, std::int64_t cols) {
  Generator gen(static_cast<std::uint64_t>(10 * rows + cols));
  return normal(gen, {rows, cols}, DType::F64);
}

void check_near(const Tensor& a, const Tensor& b) { BOOST_TEST(max(abs(a - b)).item() < 1e-12); }

}  // namespace

BOOST_AUTO_TEST_CASE(factorisations_are_those_of_openblas) {
  const BlasFunctions small = web::small_lapack();
  const BlasTurn large;
  for (const int n : {1, 2, 3, 7}) {
    const int m = n + 2;  // rows of the matrix whose QR is the LQ of its transpose
    Tensor lu[2] = {matrix(n, n), matrix(n, n)}, lq[2] = {matrix(m, n), matrix(m, n)};
    Tensor root[2], solved[2] = {matrix(n, 3), matrix(n, 3)};
    for (Tensor& a : root) a = matmul(lu[0], lu[0].t()) + Tensor::ones({n, n}, DType::F64);
    const Tensor square = matrix(n, n);
    for (const int which : {0, 1}) {
      const BlasFunctions& f = which == 0 ? small : *large.operator->();
      std::vector<int> pivots(static_cast<std::size_t>(n));
      std::vector<double> tau(pivots.size()), work(1000);
      int info = -1;
      const int size = static_cast<int>(work.size());
      f.dgetrf(&n, &n, lu[which].mutable_data<double>(), &n, pivots.data(), &info);
      BOOST_TEST(info == 0);
      f.dpotrf("U", &n, root[which].mutable_data<double>(), &n, &info);
      BOOST_TEST(info == 0);
      double* const q = lq[which].mutable_data<double>();
      f.dgelqf(&n, &m, q, &n, tau.data(), work.data(), &size, &info);
      f.dorglq(&n, &m, &n, q, &n, tau.data(), work.data(), &size, &info);
      BOOST_TEST(info == 0);
      for (const int uplo : {cblas::kLower, cblas::kUpper}) {
        for (const int trans : {cblas::kNoTrans, cblas::kTrans}) {
          f.dtrsm(cblas::kRowMajor, cblas::kLeft, uplo, trans,
                  uplo == cblas::kLower ? cblas::kUnit : cblas::kNonUnit, n, 3, 1,
                  square.data<double>(), n, solved[which].mutable_data<double>(), 3);
        }
      }
    }
    check_near(lu[0], lu[1]);
    check_near(root[0], root[1]);
    check_near(lq[0], lq[1]);
    const double size = max(abs(solved[1])).item();
    check_near(solved[0] * (1 / size), solved[1] * (1 / size));
  }
}

BOOST_AUTO_TEST_CASE(what_has_no_factors_is_told_as_by_lapack) {
  const BlasFunctions small = web::small_lapack();
  const int n = 2;
  int pivots[2], info = -1;
  double singular[] = {1, 2, 2, 4}, indefinite[] = {1, 2, 2, 1};
  small.dgetrf(&n, &n, singular, &n, pivots, &info);
  BOOST_TEST(info == 2);
  small.dpotrf("U", &n, indefinite, &n, &info);
  BOOST_TEST(info == 2);
  check_error(
      [&] { small.dsyevd("V", "U", &n, indefinite, &n, nullptr, nullptr, &n, nullptr, &n, &info); },
      {"eigenvectors need OpenBLAS"});
}

BOOST_AUTO_TEST_SUITE_END()
