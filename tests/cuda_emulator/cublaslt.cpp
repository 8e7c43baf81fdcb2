// What stands for libcublasLt.so: the functions that tensor/cuda/gemm.cpp loads, as plain loops
// over column-major matrices, exact whatever the precision. It is strict where NVIDIA's would read
// or write the wrong place, or use an algorithm for what it was not chosen for, and as blind as
// NVIDIA's where a fused ReLU meets NaN: that becomes 0. $NF_FAKE_CUBLASLT names what it has no
// algorithm for: fast (TF32, BF16), epilogue, all.
#include <cublasLt.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <string>

struct EmulatedBlas {};
struct EmulatedDescription {
  cublasComputeType_t compute = CUBLAS_COMPUTE_32F;
  cudaDataType_t scale = CUDA_R_32F;
  cublasOperation_t a = CUBLAS_OP_N, b = CUBLAS_OP_N;
  cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  const void* bias = nullptr;
};
struct EmulatedLayout {
  cudaDataType_t type = CUDA_R_32F;
  std::uint64_t rows = 0, cols = 0;
  std::int64_t ld = 0;
  std::int32_t batch = 1;
  std::int64_t step = 0;

  bool operator==(const EmulatedLayout&) const = default;
};
struct EmulatedPreference {
  std::uint64_t workspace = 0;
  std::array<std::uint32_t, 4> alignment = {256, 256, 256, 256};  ///< of a, b, c, d
};

namespace {

/// The reason of the latest refusal.
std::string& reason() {
  static std::string text;
  return text;
}

cublasStatus_t refused(const std::string& why,
                       cublasStatus_t status = CUBLAS_STATUS_INVALID_VALUE) {
  reason() = "stand-in for cuBLASLt: " + why;
  return status;
}

bool lacks(const char* what) {
  const char* const told = std::getenv("NF_FAKE_CUBLASLT");
  return told && std::string(told) == what;
}

/// Copies an attribute's value if it has the right size.
template <class T>
cublasStatus_t take(T& to, const void* value, std::size_t bytes) {
  if (!value || bytes != sizeof(T)) return refused("an attribute of a wrong size");
  std::memcpy(&to, value, bytes);
  return CUBLAS_STATUS_SUCCESS;
}

template <class T>
cublasStatus_t made(T** out) {
  return *out = new T(), CUBLAS_STATUS_SUCCESS;
}

template <class T>
cublasStatus_t destroyed(T* object) {
  delete object;
  return CUBLAS_STATUS_SUCCESS;
}

bool biased(const EmulatedDescription& d) {
  return d.epilogue == CUBLASLT_EPILOGUE_BIAS || d.epilogue == CUBLASLT_EPILOGUE_RELU_BIAS;
}
bool rectified(const EmulatedDescription& d) {
  return d.epilogue == CUBLASLT_EPILOGUE_RELU || d.epilogue == CUBLASLT_EPILOGUE_RELU_BIAS;
}

/// All that describes a product d = op(a) op(b).
struct Shapes {
  EmulatedDescription how;
  EmulatedLayout a, b, d;

  std::uint64_t m() const { return how.a == CUBLAS_OP_N ? a.rows : a.cols; }
  std::uint64_t k() const { return how.a == CUBLAS_OP_N ? a.cols : a.rows; }
  std::uint64_t n() const { return how.b == CUBLAS_OP_N ? b.cols : b.rows; }

  /// Why NVIDIA's library would refuse them, or should; empty: it would not.
  std::string fault() const {
    for (const EmulatedLayout* x : {&a, &b, &d}) {
      if (x->rows == 0 || x->cols == 0 || x->batch < 1) return "an empty matrix";
      if (x->ld < static_cast<std::int64_t>(x->rows)) return "ld below the number of rows";
      if (x->type != d.type || x->batch != d.batch) return "operands differ in type or batch";
      if (x->step < 0) return "a negative step";
    }
    if (d.rows != m() || d.cols != n()) return "the result has another shape";
    if ((how.b == CUBLAS_OP_N ? b.rows : b.cols) != k()) return "operands do not meet in k";
    const bool wide = d.type == CUDA_R_64F;
    if (wide != (how.compute == CUBLAS_COMPUTE_64F) || how.scale != d.type) return "types mixed";
    if (wide && how.epilogue != CUBLASLT_EPILOGUE_DEFAULT) return "an epilogue in f64";
    const std::int64_t last = d.ld * static_cast<std::int64_t>(d.cols - 1);
    if (d.batch > 1 && d.step < last + static_cast<std::int64_t>(d.rows)) return "results overlap";
    if (biased(how) && d.batch > 1) return "a bias in a batch, of which nothing says the step";
    return "";
  }
};

/// What an algorithm remembers: the product that it is for, and what it may take for granted.
struct Choice {
  std::uint64_t shapes;
  std::uint32_t alignment[4];
  std::uint64_t workspace;
};
static_assert(sizeof(Choice) <= sizeof(cublasLtMatmulAlgo_t));

std::uint64_t fingerprint(const Shapes& s) {
  std::uint64_t sum = 14695981039346656037u;  // FNV-1a
  const auto add = [&](auto... values) {
    ((sum = (sum ^ static_cast<std::uint64_t>(values)) * 1099511628211u), ...);
  };
  add(s.how.compute, s.how.a, s.how.b, s.how.epilogue);
  for (const EmulatedLayout& x : {s.a, s.b, s.d})
    add(x.type, x.rows, x.cols, x.ld, x.batch, x.step);
  return sum;
}

/// Is every matrix of the batch where `bytes` divides the address?
bool aligned(const void* data, const EmulatedLayout& x, std::uint32_t bytes) {
  const std::uint64_t size = x.type == CUDA_R_64F ? 8 : 4;
  for (std::int32_t s = 0; s < std::min(x.batch, 4); ++s) {
    const auto at = reinterpret_cast<std::uintptr_t>(data) +
                    static_cast<std::uint64_t>(s) * static_cast<std::uint64_t>(x.step) * size;
    if (at % bytes != 0) return false;
  }
  return true;
}

template <class T>
void multiply(const Shapes& s, const T* a, const T* b, T* d) {
  const T* const bias = biased(s.how) ? static_cast<const T*>(s.how.bias) : nullptr;
  const auto step = [](bool along, std::int64_t ld) { return along ? ld : 1; };
  const std::int64_t a_row = step(s.how.a == CUBLAS_OP_T, s.a.ld),
                     a_k = step(s.how.a == CUBLAS_OP_N, s.a.ld),
                     b_k = step(s.how.b == CUBLAS_OP_T, s.b.ld),
                     b_col = step(s.how.b == CUBLAS_OP_N, s.b.ld);
  const auto m = static_cast<std::int64_t>(s.m()), n = static_cast<std::int64_t>(s.n()),
             k = static_cast<std::int64_t>(s.k());
  for (std::int64_t matrix = 0; matrix < s.d.batch; ++matrix) {
    for (std::int64_t j = 0; j < n; ++j) {
      for (std::int64_t i = 0; i < m; ++i) {
        double sum = bias ? static_cast<double>(bias[i]) : 0;
        const T *left = a + matrix * s.a.step + i * a_row,
                *right = b + matrix * s.b.step + j * b_col;
        for (std::int64_t l = 0; l < k; ++l) {
          sum += static_cast<double>(left[l * a_k]) * static_cast<double>(right[l * b_k]);
        }
        if (rectified(s.how) && !(sum > 0)) sum = 0;  // of NaN, too
        d[matrix * s.d.step + j * s.d.ld + i] = static_cast<T>(sum);
      }
    }
  }
}

}  // namespace

cublasStatus_t cublasLtCreate(cublasLtHandle_t* handle) { return made(handle); }
const char* cublasLtGetStatusString(cublasStatus_t status) {
  return status == CUBLAS_STATUS_SUCCESS ? "success" : reason().c_str();
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* out, cublasComputeType_t compute,
                                        cudaDataType_t scale) {
  made(out);
  (*out)->compute = compute;
  (*out)->scale = scale;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t d) { return destroyed(d); }
cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t d,
                                              cublasLtMatmulDescAttributes_t attribute,
                                              const void* value, std::size_t bytes) {
  switch (attribute) {
    case CUBLASLT_MATMUL_DESC_TRANSA:
      return take(d->a, value, bytes);
    case CUBLASLT_MATMUL_DESC_TRANSB:
      return take(d->b, value, bytes);
    case CUBLASLT_MATMUL_DESC_EPILOGUE:
      return take(d->epilogue, value, bytes);
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER:
      return take(d->bias, value, bytes);
  }
  return refused("an unknown attribute of a description");
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* out, cudaDataType_t type,
                                          std::uint64_t rows, std::uint64_t cols, std::int64_t ld) {
  made(out);
  **out = {type, rows, cols, ld};
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t x) { return destroyed(x); }
cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t x,
                                                cublasLtMatrixLayoutAttribute_t attribute,
                                                const void* value, std::size_t bytes) {
  return attribute == CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT ? take(x->batch, value, bytes)
                                                         : take(x->step, value, bytes);
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* out) { return made(out); }
cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t p) {
  return destroyed(p);
}
cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t p,
                                                    cublasLtMatmulPreferenceAttributes_t attribute,
                                                    const void* value, std::size_t bytes) {
  if (attribute == CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES)
    return take(p->workspace, value, bytes);
  const int operand = attribute - CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES;
  return take(p->alignment[static_cast<std::size_t>(operand)], value, bytes);
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDesc_t description,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t preference, int wanted,
                                              cublasLtMatmulHeuristicResult_t* results,
                                              int* found) {
  *found = 0;
  const Shapes shapes{*description, *a, *b, *d};
  if (wanted < 1 || !(*c == *d)) return refused("no result wanted, or c unlike d");
  if (const std::string fault = shapes.fault(); !fault.empty()) return refused(fault);
  const bool fast = description->compute == CUBLAS_COMPUTE_32F_FAST_TF32 ||
                    description->compute == CUBLAS_COMPUTE_32F_FAST_16BF;
  if (lacks("all") || (lacks("fast") && fast) ||
      (lacks("epilogue") && description->epilogue != CUBLASLT_EPILOGUE_DEFAULT)) {
    return refused("no algorithm", CUBLAS_STATUS_NOT_SUPPORTED);
  }
  Choice choice{fingerprint(shapes), {}, preference->workspace};
  std::copy(preference->alignment.begin(), preference->alignment.end(), choice.alignment);
  results[0] = {};
  std::memcpy(&results[0].algo, &choice, sizeof choice);
  results[0].workspaceSize = preference->workspace;  // as much as it may have
  *found = 1;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t, cublasLtMatmulDesc_t description, const void* alpha,
                              const void* a, cublasLtMatrixLayout_t a_layout, const void* b,
                              cublasLtMatrixLayout_t b_layout, const void* beta, const void* c,
                              cublasLtMatrixLayout_t c_layout, void* d,
                              cublasLtMatrixLayout_t d_layout, const cublasLtMatmulAlgo_t* algo,
                              void* workspace, std::size_t workspace_bytes, cudaStream_t) {
  const Shapes s{*description, *a_layout, *b_layout, *d_layout};
  if (c != d || !(*c_layout == *d_layout)) return refused("c unlike d");
  if (const std::string fault = s.fault(); !fault.empty()) return refused(fault);
  Choice choice;
  std::memcpy(&choice, algo, sizeof choice);
  if (choice.shapes != fingerprint(s)) return refused("an algorithm of another product");
  if (!aligned(a, s.a, choice.alignment[0]) || !aligned(b, s.b, choice.alignment[1]) ||
      !aligned(d, s.d, std::max(choice.alignment[2], choice.alignment[3]))) {
    return refused("a matrix is not aligned as was promised");
  }
  if (workspace_bytes < choice.workspace || reinterpret_cast<std::uintptr_t>(workspace) % 256 != 0)
    return refused("the workspace is too small, or not aligned");
  if (biased(s.how) && !s.how.bias) return refused("no bias");
  const bool wide = s.d.type == CUDA_R_64F;
  const auto scalar = [wide](const void* x) {
    return wide ? *static_cast<const double*>(x) : *static_cast<const float*>(x);
  };
  if (scalar(alpha) != 1 || scalar(beta) != 0) return refused("alpha is not 1, or beta not 0");
  emulator::enqueue([=] {
    if (wide) {
      multiply(s, static_cast<const double*>(a), static_cast<const double*>(b),
               static_cast<double*>(d));
    } else {
      multiply(s, static_cast<const float*>(a), static_cast<const float*>(b),
               static_cast<float*>(d));
    }
    return cudaSuccess;
  });
  return CUBLAS_STATUS_SUCCESS;
}
