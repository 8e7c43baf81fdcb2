// flowcli doctor: this machine, what was chosen on it, and whether its numbers are right.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <memory>

#include "autograd/gradcheck.h"
#include "cli/cli.h"
#include "cli/version.h"
#include "flows/examine/diagnose.h"
#include "flows/models/build.h"
#include "flows/models/coupling_flow.h"
#include "tensor/blas.h"
#include "tensor/cpu_kernels.h"
#include "tensor/environment.h"
#include "tensor/files.h"
#include "tensor/full_precision.h"
#include "tensor/ops.h"
#include "tensor/philox.h"
#include "tensor/text.h"
#include "tensor/threads.h"

namespace nf::cli {

namespace {

// --- facts --------------------------------------------------------------------------------------

/// What follows "KEY : " in the first such line of a file of the system; empty when there is none.
std::string value_in(const std::string& path, const std::string& key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with(key)) continue;
    const std::size_t begin =
        line.find_first_not_of(" \t", std::min(line.find(':'), line.size()) + 1);
    return begin == std::string::npos ? "" : line.substr(begin);
  }
  return "";
}

std::int64_t megabytes(const std::string& key) {  // "16384 kB"
  return std::atoll(value_in("/proc/meminfo", key).c_str()) * 1024 / 1'000'000;
}

/// What `ask` gives, or why it cannot.
template <class Ask>
std::string or_reason(const Ask& ask) {
  try {
    return ask();
  } catch (const Error& error) {
    return error.what();
  }
}

std::string gpu() {
  if (!kWithCuda) return "none: CUDA is not in this build";
  return or_reason([] {
    cuda_backend();
    std::error_code none;
    for (const auto& entry :
         std::filesystem::directory_iterator("/proc/driver/nvidia/gpus", none)) {
      const std::string model = value_in((entry.path() / "information").string(), "Model");
      if (!model.empty()) return model;
    }
    return std::string("usable");
  });
}

Json facts_of(Device device) {
  Json facts = cpu_choices();
  facts.update({{"version", kVersion},
                {"compiler", kCompiler},
                {"flags", kFlags},
                {"compiled_for", compiled_for()},
                {"processor", value_in("/proc/cpuinfo", "model name")},
                {"executes", executed()},
                {"runnable_kernels", runnable_cpu_kernels()},
                {"blas", or_reason([] { return std::string(blas().config()); })},
                {"blas_kernels", or_reason(blas_core)},
                {"threads", num_threads()},
                {"memory_mb", megabytes("MemTotal")},
                {"free_memory_mb", megabytes("MemAvailable")},
                {"gpu", gpu()},
                {"mpi", "none: this version trains in one process"},
                {"environment", environment_set()},
                {"device", name(device)}});
  return facts;
}

// --- the self-test: each test throws Error for a wrong number, or tells what it measured
// ----------

std::string check_generator(Device device) {
  // The known answers of the Random123 library for "philox4x32 10".
  const PhiloxBlock pi = {0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1};
  const PhiloxBlock zero = {0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8};
  NF_CHECK(philox(0x299F31D0A4093822, 0x85A308D3243F6A88, 0x0370734413198A2E) == pi,
           "not the known block of pi's digits");
  Generator gen;
  const auto drawn = uniform(gen, {4}, DType::F32, device).to_vector<float>();
  for (std::size_t i = 0; i < drawn.size(); ++i) {
    NF_CHECK(drawn[i] == uniform_f32(zero[i]), "number ", i, " is ", drawn[i], ", not ",
             uniform_f32(zero[i]));
  }
  return "the known numbers of Philox 4x32-10";
}

/// max |product - plain loops| / sum_k |a_k b_k|, which rounding keeps below about K eps.
template <class T>
double product_error(Device device) {
  const std::int64_t m = 301, k = 257, n = 263;  // no multiple of a vector
  Generator gen(1);
  const Tensor a = normal(gen, {m, k}, dtype_of<T>()), b = normal(gen, {k, n}, dtype_of<T>());
  const auto c = matmul(a.to(device), b.to(device)).template to_vector<T>();
  const T *x = a.data<T>(), *y = b.data<T>();
  double worst = 0;
  for (std::int64_t i = 0; i < m; ++i) {
    for (std::int64_t j = 0; j < n; ++j) {
      double sum = 0, size = 0;
      for (std::int64_t l = 0; l < k; ++l) {
        const double term = static_cast<double>(x[i * k + l]) * y[l * n + j];
        sum += term;
        size += std::abs(term);
      }
      const double off =
          std::abs(static_cast<double>(c[static_cast<std::size_t>(i * n + j)]) - sum);
      worst = std::isfinite(off) ? std::max(worst, off / size) : INFINITY;
    }
  }
  return worst;
}

std::string check_product(Device device) {
  const FullPrecision full;
  const double single = product_error<float>(device), wide = product_error<double>(device);
  const std::string text = str("off by ", single, " (f32) and ", wide, " (f64) of the terms' size");
  NF_CHECK(single <= 1e-5 && wide <= 1e-14, text);
  return text;
}

std::string check_gradient(Device device) {
  Generator gen(2);
  std::vector<Tensor> inputs;
  for (const Shape& shape : {Shape{5, 4}, Shape{6, 4}, Shape{6}}) {
    inputs.push_back(normal(gen, shape, DType::F64).to(device));
  }
  const auto f = [](const std::vector<Var>& in) {
    return std::vector<Var>{logsumexp(tanh(linear(in[0], in[1], in[2])), {1})};
  };
  const GradCheck result = gradcheck(f, inputs);
  NF_CHECK(result.ok, result.message);
  return str("off by ", result.max_error, " of the difference quotient");
}

std::string check_flow(Device device) {
  const flows::DataShape shape{.dims = 4, .unit_scale = true};
  flows::Config config = flows::preset("realnvp-2d", shape);
  flows::coupling_flow(config).couplings = 4;
  flows::coupling_flow(config).hidden_units = 16;
  flows::coupling_flow(config).preprocess = "none";
  const auto density = flows::make_density(config, shape);
  Generator gen(3);
  density->for_each_parameter([&](const std::string&, Var& p) {  // some begin at 0
    p.mutable_value().add_(0.2 * normal(gen, p.shape()));
  });
  density->to(device);
  const flows::InDtype wide(*density, DType::F64);
  const Tensor x = normal(gen, {50, shape.dims}, DType::F64).to(device);
  const auto whole =
      flows::diagnose_layers(flows::as_flow(*density, "doctor"), x, {.jacobians = 3}).back();
  const std::string text = str("comes back to ", whole.round_trip, ", log-determinant off by ",
                               std::max(whole.log_det_gap, whole.jacobian_gap));
  NF_CHECK(whole.round_trip <= 1e-10 && whole.log_det_gap <= 1e-10 && whole.jacobian_gap <= 1e-6,
           text);
  return text;
}

std::string check_file(Device) {
  const auto folder = std::filesystem::temp_directory_path();
  const std::string path = temporary_of((folder / "flowcli-doctor").string());
  std::string bytes;
  for (std::uint64_t i = 0; bytes.size() < 100'000; ++i) {
    for (const std::uint32_t word : philox(4, i)) bytes += static_cast<char>(word & 0xFF);
  }
  atomic_write(path, bytes);
  const std::string back = read_file(path, bytes.size());
  std::error_code ignored;
  std::filesystem::remove(path, ignored);
  NF_CHECK(back == bytes, "what was written into ", folder.string(), " came back otherwise");
  return "written and read in " + folder.string();
}

struct SelfTest {
  const char* name;
  std::string (*run)(Device device);
};
constexpr SelfTest kSelfTests[] = {{"generator", check_generator},
                                   {"product", check_product},
                                   {"gradient", check_gradient},
                                   {"flow", check_flow},
                                   {"file", check_file}};

Json outcome_of(const SelfTest& test, Device device) {
  try {
    const std::string detail = test.run(device);
    return {{"ok", true}, {"detail", detail}};
  } catch (const std::exception& error) {
    return {{"ok", false}, {"detail", error.what()}};
  }
}

// --- the command --------------------------------------------------------------------------------

std::string line_of(const std::string& key, const Json& value) {
  constexpr std::size_t kKey = 19;
  std::string text = value.is_string() ? value.get<std::string>() : value.dump();
  if (value.is_array()) text = join(value.get<std::vector<std::string>>(), " ");
  if (text.empty()) text = "none";
  if (value.is_object()) {
    text = value["ok"].get<bool>() ? "ok      " : "FAILED  ";
    text += value["detail"].get<std::string>();
  }
  return key + std::string(kKey - key.size(), ' ') + text + "\n";
}

}  // namespace

void add_doctor(CLI::App& app) {
  auto common = std::make_shared<Common>();
  CLI::App* command = app.add_subcommand("doctor", "This machine, and a test of its numbers");
  common->add_to(*command);
  command->footer(
      "Says what this program was compiled for, what it runs on and what it chose there, then\n"
      "compares some numbers with known ones: the same amount of work everywhere, a second or "
      "two.\n"
      "Exit status 1 when one is wrong. Paste the output into a report of a fault.\n\n"
      "Examples:\n  flowcli doctor\n  flowcli doctor --json\n");
  command->callback([common] {
    const Device device = common->apply();
    Json json = facts_of(device);
    std::vector<std::string> failed;
    for (const SelfTest& test : kSelfTests) {
      json[test.name] = outcome_of(test, device);
      if (!json[test.name]["ok"].get<bool>()) failed.push_back(test.name);
    }
    json["ok"] = failed.empty();
    std::string text;
    for (const auto& [key, value] : json.items()) text += line_of(key, value);
    common->result(json, text);
    NF_CHECK(failed.empty(), "[doctor] FAILED: ", join(failed, ", "),
             "; say so, with all that flowcli doctor prints, in a report of a fault");
  });
}

}  // namespace nf::cli
