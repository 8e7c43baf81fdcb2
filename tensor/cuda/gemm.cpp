// cuBLASLt. It counts columns first: a row-major (m, n) matrix is its column-major (n, m), so
// c = a b is computed as c^T = b^T a^T, and a bias along a row is one along its columns.
#include "tensor/cuda/gemm.h"

#include <cublasLt.h>
#include <dlfcn.h>

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "tensor/cuda/device.h"

namespace nf::cuda {
namespace {

// X(function), all that is used of cuBLASLt.
// clang-format off
#define NF_CUBLASLT(X)                                                                          \
  X(cublasLtCreate) X(cublasLtGetStatusString) X(cublasLtMatmul) X(cublasLtMatmulAlgoGetHeuristic) \
  X(cublasLtMatmulDescCreate) X(cublasLtMatmulDescDestroy) X(cublasLtMatmulDescSetAttribute)    \
  X(cublasLtMatrixLayoutCreate) X(cublasLtMatrixLayoutDestroy)                                  \
  X(cublasLtMatrixLayoutSetAttribute) X(cublasLtMatmulPreferenceCreate)                         \
  X(cublasLtMatmulPreferenceDestroy) X(cublasLtMatmulPreferenceSetAttribute)
// clang-format on

/// The library, loaded at the first product. Linked, it would be mapped and relocated at every
/// start of every program, 100 ms each, and a machine without it could not even use the CPU.
struct Library {
#define NF_POINTER(function) decltype(&::function) function = nullptr;
  NF_CUBLASLT(NF_POINTER)
#undef NF_POINTER

  Library() {
    const std::string name = str("libcublasLt.so.", CUBLAS_VER_MAJOR);
    void* library = dlopen(name.c_str(), RTLD_NOW);
    if (!library) library = dlopen((NF_CUDA_LIBRARY_DIR "/" + name).c_str(), RTLD_NOW);
    NF_CHECK(library, "[cuda] ", name, " cannot be loaded (", dlerror(), "); install CUDA ",
             CUBLAS_VER_MAJOR, " with cuBLAS, set LD_LIBRARY_PATH, or use --device cpu");
#define NF_LOAD(function)                                                     \
  function = reinterpret_cast<decltype(function)>(dlsym(library, #function)); \
  NF_CHECK(function, "[cuda] ", name, " has no " #function);
    NF_CUBLASLT(NF_LOAD)
#undef NF_LOAD
  }
};

const Library& lt() {
  static const Library& library = *new Library;
  return library;
}

void check_blas(cublasStatus_t status, const char* what) {
  NF_CHECK(status == CUBLAS_STATUS_SUCCESS, "[matmul] ", what, ": ",
           lt().cublasLtGetStatusString(status));
}

template <auto destroy>
struct Destroy {
  template <class Handle>
  void operator()(Handle* handle) const {
    (void)(lt().*destroy)(handle);
  }
};
template <class Handle, auto destroy>
using Owned = std::unique_ptr<std::remove_pointer_t<Handle>, Destroy<destroy>>;

using Description = Owned<cublasLtMatmulDesc_t, &Library::cublasLtMatmulDescDestroy>;
using MatrixLayout = Owned<cublasLtMatrixLayout_t, &Library::cublasLtMatrixLayoutDestroy>;
using Preference = Owned<cublasLtMatmulPreference_t, &Library::cublasLtMatmulPreferenceDestroy>;

cublasComputeType_t compute_type(DType dtype, Precision precision) {
  if (dtype == DType::F64) return CUBLAS_COMPUTE_64F;
  switch (precision) {
    case Precision::F32:
      return CUBLAS_COMPUTE_32F;
    case Precision::TF32:
      return CUBLAS_COMPUTE_32F_FAST_TF32;
    case Precision::BF16:
      return CUBLAS_COMPUTE_32F_FAST_16BF;
  }
  return CUBLAS_COMPUTE_32F;
}

cublasLtEpilogue_t epilogue_of(Epilogue epilogue) {
  switch (epilogue) {
    case Epilogue::None:
      return CUBLASLT_EPILOGUE_DEFAULT;
    case Epilogue::Bias:
      return CUBLASLT_EPILOGUE_BIAS;
    case Epilogue::Relu:
      return CUBLASLT_EPILOGUE_RELU;
    case Epilogue::BiasRelu:
      return CUBLASLT_EPILOGUE_RELU_BIAS;
  }
  return CUBLASLT_EPILOGUE_DEFAULT;
}

/// The largest power of two up to 256 that divides the address of every matrix of a batch, `step`
/// bytes from one to the next: what algorithms may load at a time.
std::uint32_t alignment(const void* p, std::int64_t step = 0) {
  const auto address =
      reinterpret_cast<std::uintptr_t>(p) | static_cast<std::uintptr_t>(step) | 256;
  return static_cast<std::uint32_t>(address & (~address + 1));
}

/// Of a product's operands.
struct Alignments {
  std::uint32_t a, b, c, bias;

  explicit Alignments(const Product& p) {
    const auto size = static_cast<std::int64_t>(size_of(p.dtype)), several = p.batch > 1 ? size : 0;
    a = alignment(p.a.data, p.a.step * several);
    b = alignment(p.b.data, p.b.step * several);
    c = alignment(p.c, p.m * p.n * several);
    bias = alignment(p.bias);
  }
};

/// Column-major (rows, cols).
MatrixLayout layout(cudaDataType_t type, std::int64_t rows, std::int64_t cols, std::int64_t ld,
                    std::int64_t batch, std::int64_t step) {
  cublasLtMatrixLayout_t made = nullptr;
  check_blas(lt().cublasLtMatrixLayoutCreate(&made, type, static_cast<std::uint64_t>(rows),
                                             static_cast<std::uint64_t>(cols), ld),
             "matrix layout");
  MatrixLayout owned(made);
  const auto count = static_cast<std::int32_t>(batch);
  check_blas(lt().cublasLtMatrixLayoutSetAttribute(made, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count,
                                                   sizeof count),
             "batch");
  check_blas(lt().cublasLtMatrixLayoutSetAttribute(
                 made, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &step, sizeof step),
             "batch");
  return owned;
}

/// All that is decided once for a shape.
struct Plan {
  Description description;
  MatrixLayout a, b, c;  ///< in cuBLASLt's order: a is the product's b
  cublasLtMatmulAlgo_t algorithm{};
  bool fused = false;  ///< with the product's epilogue
};

class Blas {
 public:
  Blas() {
    check_blas(lt().cublasLtCreate(&handle_), "cublasLtCreate");
    check(cudaMalloc(&workspace_, kWorkspace), "workspace of matmul");
  }

  bool run(const Product& p, Precision precision) {
    const std::lock_guard lock(mutex_);
    Plan& plan = plan_for(p, precision);
    check_blas(
        lt().cublasLtMatmulDescSetAttribute(
            plan.description.get(), CUBLASLT_MATMUL_DESC_BIAS_POINTER, &p.bias, sizeof p.bias),
        "bias");
    const double one64 = 1, zero64 = 0;
    const float one32 = 1, zero32 = 0;
    const bool wide = p.dtype == DType::F64;
    const void* const one = wide ? static_cast<const void*>(&one64) : &one32;
    const void* const zero = wide ? static_cast<const void*>(&zero64) : &zero32;
    check_blas(lt().cublasLtMatmul(handle_, plan.description.get(), one, p.b.data, plan.a.get(),
                                   p.a.data, plan.b.get(), zero, p.c, plan.c.get(), p.c,
                                   plan.c.get(), &plan.algorithm, workspace_, kWorkspace, stream()),
               "cublasLtMatmul");
    return plan.fused;
  }

 private:
  static constexpr std::size_t kWorkspace = std::size_t{32} << 20;  // what Hopper's kernels want
  static constexpr std::size_t kMostPlans = 4096;
  using Key = std::array<std::int64_t, 15>;

  Plan& plan_for(const Product& p, Precision precision) {
    const Alignments aligned(p);
    const Key key = {static_cast<std::int64_t>(p.dtype),
                     static_cast<std::int64_t>(precision),
                     static_cast<std::int64_t>(p.epilogue),
                     p.m,
                     p.n,
                     p.k,
                     p.batch,
                     p.a.ld * 2 + p.a.transposed,
                     p.b.ld * 2 + p.b.transposed,
                     p.a.step,
                     p.b.step,
                     aligned.a,
                     aligned.b,
                     aligned.c,
                     aligned.bias};
    const auto found = plans_.find(key);
    if (found != plans_.end()) return found->second;
    if (plans_.size() >= kMostPlans) plans_.clear();
    return plans_.emplace(key, make_plan(p, precision)).first->second;
  }

  /// cuBLASLt promises an algorithm for no shape. Without one the precision is given up, then what
  /// is fused, then both.
  Plan make_plan(const Product& p, Precision precision) {
    std::string reason;
    for (const Epilogue epilogue : {p.epilogue, Epilogue::None}) {
      for (const Precision tried : {precision, Precision::F32}) {
        Plan plan = describe(p, tried, epilogue);
        plan.fused = epilogue == p.epilogue;
        if (choose(p, plan, reason)) return plan;
      }
    }
    fail(str("[matmul] cuBLASLt has no kernel for ", p.batch, " x (", p.m, ", ", p.k, ") x (", p.k,
             ", ", p.n, ") ", name(p.dtype), ": ", reason, "; use --device cpu"));
  }

  Plan describe(const Product& p, Precision precision, Epilogue epilogue) {
    const cudaDataType_t type = p.dtype == DType::F64 ? CUDA_R_64F : CUDA_R_32F;
    cublasLtMatmulDesc_t description = nullptr;
    check_blas(lt().cublasLtMatmulDescCreate(&description, compute_type(p.dtype, precision), type),
               "description");
    Plan plan;
    plan.description.reset(description);
    const auto set = [&](cublasLtMatmulDescAttributes_t attribute, const auto& value) {
      check_blas(lt().cublasLtMatmulDescSetAttribute(description, attribute, &value, sizeof value),
                 "description");
    };
    set(CUBLASLT_MATMUL_DESC_TRANSA, p.b.transposed ? CUBLAS_OP_T : CUBLAS_OP_N);
    set(CUBLASLT_MATMUL_DESC_TRANSB, p.a.transposed ? CUBLAS_OP_T : CUBLAS_OP_N);
    set(CUBLASLT_MATMUL_DESC_EPILOGUE, epilogue_of(epilogue));
    if (p.bias) set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, p.bias);
    const auto operand = [&](const Matrix& x, std::int64_t rows, std::int64_t cols) {
      return x.transposed ? layout(type, rows, cols, x.ld, p.batch, x.step)
                          : layout(type, cols, rows, x.ld, p.batch, x.step);
    };
    plan.a = operand(p.b, p.k, p.n);
    plan.b = operand(p.a, p.m, p.k);
    plan.c = layout(type, p.n, p.m, p.n, p.batch, p.m * p.n);
    return plan;
  }

  /// False, with the reason, where cuBLASLt has no algorithm.
  bool choose(const Product& p, Plan& plan, std::string& reason) {
    cublasLtMatmulPreference_t made = nullptr;
    check_blas(lt().cublasLtMatmulPreferenceCreate(&made), "preference");
    const Preference preference(made);
    const auto set = [&](cublasLtMatmulPreferenceAttributes_t attribute, const auto& value) {
      check_blas(lt().cublasLtMatmulPreferenceSetAttribute(made, attribute, &value, sizeof value),
                 "preference");
    };
    set(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, std::uint64_t{kWorkspace});
    const Alignments aligned(p);
    set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, aligned.b);
    set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, aligned.a);
    set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, aligned.c);
    set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, aligned.c);
    cublasLtMatmulHeuristicResult_t best{};
    int found = 0;
    const cublasStatus_t status = lt().cublasLtMatmulAlgoGetHeuristic(
        handle_, plan.description.get(), plan.a.get(), plan.b.get(), plan.c.get(), plan.c.get(),
        made, 1, &best, &found);
    const cublasStatus_t outcome =
        status == CUBLAS_STATUS_SUCCESS && found == 1 ? best.state : status;
    if (outcome == CUBLAS_STATUS_SUCCESS && found == 1) {
      plan.algorithm = best.algo;
      return true;
    }
    if (reason.empty()) reason = lt().cublasLtGetStatusString(outcome);
    return false;
  }

  std::mutex mutex_;
  cublasLtHandle_t handle_ = nullptr;
  void* workspace_ = nullptr;
  std::map<Key, Plan> plans_;
};

}  // namespace

bool gemm(const Product& product, Precision precision) {
  static Blas& blas = *new Blas;  // never destroyed, like the stream
  return blas.run(product, precision);
}

}  // namespace nf::cuda
