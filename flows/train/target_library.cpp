#include "flows/train/target_library.h"

#include <dlfcn.h>

#include <cmath>
#include <filesystem>
#include <vector>

#include "flows/train/watched_call.h"
#include "tensor/checksum.h"
#include "tensor/files.h"
#include "tensor/text.h"

namespace nf::flows {

namespace {

WatchedCall watched_opening(const std::string& path) {
  return {"[target] opening " + path, "mend the library"};
}

WatchedCall watched_log_density(const std::string& path) {
  return {"[target] log_density of " + path,
          "mend the library; a run that was saved goes on with flowcli resume"};
}

}  // namespace

TargetLibrary::TargetLibrary(const std::string& path, std::int64_t dims)
    : path_(printable(path)), dims_(dims) {
  NF_CHECK(dims >= 1 && dims <= 1'000'000, "[target] dims must be from 1 to 1000000, got ", dims);
  NF_CHECK(std::filesystem::is_regular_file(path), "[target] ", path_, ": no such file");
  constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 32;
  Checksum sum;
  sum.add(read_file(path, kMostBytes));
  checksum_ = sum.text();
  const WatchedCall watched = watched_opening(path_);
  // With a slash, so that it is not looked for elsewhere.
  const std::string file = std::filesystem::absolute(path).string();
  handle_ = std::shared_ptr<void>(dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL), [](void* handle) {
    if (handle) dlclose(handle);
  });
  NF_CHECK(handle_, "[target] ", path_,
           " cannot be opened as a shared library: ", printable(dlerror()));
  function_ = reinterpret_cast<Function>(dlsym(handle_.get(), "log_density"));
  NF_CHECK(function_, "[target] ", path_, " exports no log_density; it needs: double ",
           "log_density(const double* x, int n, double* grad), in C++ as extern \"C\"");
}

Var TargetLibrary::log_density(const Var& x) const {
  const std::int64_t n = x.dim(0);
  const std::vector<double> points = x.value().to(Device::CPU).contiguous().to_vector<double>();
  std::vector<double> values(static_cast<std::size_t>(n)), slopes(points.size());
  {
    const WatchedCall watched = watched_log_density(path_);
    for (std::size_t i = 0; i < values.size(); ++i) {
      const std::size_t at = i * static_cast<std::size_t>(dims_);
      values[i] = function_(&points[at], static_cast<int>(dims_), &slopes[at]);
    }
  }
  const Tensor value = Tensor::from(values, {n}).to(x.device()),
               slope = Tensor::from(slopes, x.shape()).to(x.device());
  // A plane through the value with the gradient as its slope.
  return sum((x - x.detach()) * slope, {1}) + value;
}

namespace {

std::string point_text(const std::vector<double>& x) {
  constexpr std::size_t kMost = 8;
  std::vector<std::string> numbers;
  for (std::size_t i = 0; i < x.size() && i < kMost; ++i) numbers.push_back(str(x[i]));
  return str("(", join(numbers, ", "), x.size() > kMost ? ", ..)" : ")");
}

}  // namespace

void TargetLibrary::check(const Tensor& x) const {
  constexpr double kMark = 0x1.5p+300, kStep = 1e-5, kAllowed = 1e-3;
  const int n = static_cast<int>(dims_);
  const auto d = static_cast<std::size_t>(dims_);
  const std::vector<double> all = x.contiguous().to_vector<double>();
  const WatchedCall watched = watched_log_density(path_);
  for (std::size_t first = 0; first + d <= all.size(); first += d) {
    std::vector<double> point(all.begin() + static_cast<std::ptrdiff_t>(first),
                              all.begin() + static_cast<std::ptrdiff_t>(first + d));
    std::vector<double> grad(d + 16, kMark), unused(d + 16);
    const double value = function_(point.data(), n, grad.data());
    NF_CHECK(std::isfinite(value), "[target] log_density of ", path_, " gives ", value, " at ",
             point_text(point), "; it must be finite wherever the model may draw");
    for (std::size_t i = d; i < grad.size(); ++i) {
      NF_CHECK(grad[i] == kMark, "[target] log_density of ", path_, " writes more than n = ", n,
               " derivatives into grad; is it of more dimensions than --dims ", n, "?");
    }
    for (std::size_t i = 0; i < d; ++i) {
      const double at = point[i], step = kStep * (1 + std::abs(at));
      point[i] = at + step;
      const double above = function_(point.data(), n, unused.data());
      point[i] = at - step;
      const double below = function_(point.data(), n, unused.data());
      point[i] = at;
      const double slope = (above - below) / (2 * step);
      // What differences of large values cannot tell.
      const double blur = 1e-15 * std::abs(value) / step;
      NF_CHECK(std::abs(grad[i] - slope) <= kAllowed * (1 + std::abs(slope)) + blur,
               "[target] the gradient of ", path_, " is wrong: at ", point_text(point),
               " it says that the derivative by x[", i, "] is ",
               grad[i] == kMark ? "nothing (grad is not written)" : str(grad[i]),
               ", differences say ", slope);
    }
  }
}

}  // namespace nf::flows
