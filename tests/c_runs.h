// Runs and handles for tests of the C interface.
#pragma once

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "c/nf.h"
#include "cli_runs.h"
#include "data/csv.h"
#include "data/npy.h"
#include "tensor/random.h"
#include "tensor/text.h"

namespace nf::test {

inline void expect_ok(int status) { BOOST_TEST(status == NF_OK, nf_last_error()); }

/// n rows of d numbers, one behind the other.
inline nf_array dense(std::vector<double>& numbers, std::int64_t n, std::int64_t d) {
  return {.data = numbers.data(),
          .rows = n,
          .columns = d,
          .row_stride = 0,
          .column_stride = 0,
          .type = NF_F64};
}

/// An open model.
class Handle {
 public:
  explicit Handle(const std::string& path, const nf_options* options = nullptr) {
    BOOST_TEST_REQUIRE(nf_open(path.c_str(), options, &model_) == NF_OK, nf_last_error());
  }
  ~Handle() { nf_close(model_); }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;

  operator nf_model*() const { return model_; }  // NOLINT: it is one
  std::int64_t number(int what) const {
    std::int64_t value = -1;
    expect_ok(nf_number(model_, what, &value));
    return value;
  }
  std::string text(int what, std::int64_t index = 0) const {
    const char* text = "";
    expect_ok(nf_text(model_, what, index, &text));
    return text;
  }

 private:
  nf_model* model_ = nullptr;
};

/// A trained run, and rows of data for it: of a table, of images whose scores draw noise, of a
/// conditional model y, z given a.
struct CRun {
  enum class Kind { Table, Pixels, Given };
  static std::vector<Kind> kinds() { return {Kind::Table, Kind::Pixels, Kind::Given}; }

  explicit CRun(Kind kind) {
    namespace fs = std::filesystem;
    const fs::path golden = fs::absolute(fs::path(__FILE__).parent_path() / "golden_runs");
    if (kind == Kind::Given) {
      train();
      return;
    }
    name = kind == Kind::Table ? "table" : "pixels";
    path = (golden / name).string();
    data = (golden / (kind == Kind::Table ? "table.csv" : "pixels.npy")).string();
    if (kind == Kind::Table) {
      rows = data::read_csv(data).values;
      return;
    }
    const Tensor images = data::read_npy(data);
    rows = images.reshape({images.dim(0), -1}).to(DType::F64);
    tolerance = 0;
  }

  std::int64_t given_count() const { return given.empty() ? 0 : 1; }
  std::vector<double> given_values() const { return given; }
  /// The first, as --given takes it.
  std::string given_text() const { return str("a=", given[0]); }

  ScratchFolder folder;
  std::string name, path, data;
  Tensor rows;                ///< f64 (N, D)
  std::vector<double> given;  ///< (N), or none
  double tolerance = 1e-3;    ///< of what is decoded, relative

 private:
  void train() {
    constexpr std::int64_t kRows = 600;
    name = "given";
    path = folder.file("run");
    data = folder.file("rows.csv");
    Generator gen(3);
    const Tensor numbers = normal(gen, {kRows, 3}, DType::F32).to(DType::F64);
    const auto values = numbers.to_vector<double>();
    std::string text = "z,y,a\n";
    std::vector<double> modelled;
    for (std::size_t i = 0; i < values.size(); i += 3) {
      // Few digits, which CSV keeps.
      const double a = std::round(values[i] * 4) / 4, z = std::round(values[i + 1] * 4) / 4,
                   y = 3 * a + z / 2;
      text += str(z, ",", y, ",", a, "\n");
      modelled.insert(modelled.end(), {z, y});
      given.push_back(a);
    }
    write(data, text);
    rows = Tensor::from(modelled, {kRows, 2});
    const Outcome outcome = flowcli(folder, {"train", "realnvp-2d", "--data", data, "--out", path,
                                             "--given", "a", "--couplings", "2", "--hidden-units",
                                             "8", "--steps", "60", "--threads", "1", "--quiet"});
    BOOST_TEST_REQUIRE(outcome.status == 0, outcome.err);
  }
};

}  // namespace nf::test
