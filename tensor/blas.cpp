#include "tensor/blas.h"

#include <dlfcn.h>
#include <sys/mman.h>

#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <optional>
#include <vector>

#include "tensor/cpu_kernels.h"
#include "tensor/error.h"
#include "tensor/processor.h"

namespace nf {
namespace {

constexpr const char* kCoreVariable = "OPENBLAS_CORETYPE";
constexpr const char* kThreadsVariable = "OPENBLAS_NUM_THREADS";

/// OpenBLAS's generations of kernels for x86-64, worst first, each with what it executes.
/// NF_PROCESSOR_HAS asks the operating system too (XGETBV). Elsewhere OpenBLAS knows its
/// processors: the first of the list is the best, and none is bad. The list ends at SkylakeX
/// because 0.3.21 takes no later name from the variable; Cooperlake and SapphireRapids, which it
/// may choose itself, add bfloat16 only.
struct Core {
  const char* name;
  bool (*supported)();
};
constexpr Core kCores[] = {
    {"Prescott", [] { return true; }},
    {"Barcelona", [] { return false; }},  // taken for AMD processors that it does not know
    {"Nehalem", [] { return NF_PROCESSOR_HAS("sse4.2"); }},
    {"Sandybridge", [] { return NF_PROCESSOR_HAS("avx"); }},
    {"Haswell", [] { return NF_PROCESSOR_HAS("avx2") && NF_PROCESSOR_HAS("fma"); }},
    {"SkylakeX",
     [] {
       return NF_PROCESSOR_HAS("avx512f") && NF_PROCESSOR_HAS("avx512dq") &&
              NF_PROCESSOR_HAS("avx512bw") && NF_PROCESSOR_HAS("avx512vl");
     }},
};

const Core* best_core() {
  const Core* best = &kCores[0];
  for (const Core& core : kCores) {
    if (core.supported()) best = &core;
  }
  return best;
}

bool user_has_chosen() {
  const char* value = std::getenv(kCoreVariable);
  return value && *value;
}

/// False for a core that is not in the list (Zen, ...): OpenBLAS knew the processor.
bool is_bad(const std::string& kernels) {
  return std::any_of(kCores, best_core(), [&](const Core& core) { return core.name == kernels; });
}

/// Sets a variable of the environment while it lives.
class Variable {
 public:
  Variable(const char* name, const char* value) : name_(name) {
    if (const char* before = std::getenv(name)) before_ = before;
    setenv(name, value, 1);
  }
  ~Variable() { before_ ? setenv(name_, before_->c_str(), 1) : unsetenv(name_); }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  const char* name_;
  std::optional<std::string> before_;
};

// --- memory -------------------------------------------------------------------------------------

constexpr std::size_t kMiB = std::size_t{1} << 20;
constexpr std::size_t kLibrary = 48 * kMiB;  ///< what OpenBLAS and libgfortran map
constexpr std::size_t kBuffer = 128 * kMiB;  ///< of one caller
constexpr std::size_t kSpare = 8 * kMiB;     ///< what else may be allocated meanwhile

bool there_is_room_for(std::size_t bytes) {
  void* const block =
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (block == MAP_FAILED) return false;
  munmap(block, bytes);
  return true;
}

[[noreturn]] void out_of_memory(std::size_t bytes) {
  const bool products = multiplies_by_openblas();
  fail(str("[blas] out of memory: ", products ? "products (NF_MATMUL=openblas) and " : "",
           "factorisations (Cholesky, LU, QR, eigenvectors) need ", (bytes + kSpare) / kMiB,
           " MiB of address space for OpenBLAS; allow more (ulimit -v)",
           products ? ", or multiply by NF_MATMUL=own" : ""));
}

// --- the library --------------------------------------------------------------------------------

/// By the name that the system's alternatives give it, or else where CMake found it.
void* open_library() {
  // One thread: ours do the splitting, and so it starts none.
  const Variable threads(kThreadsVariable, "1");
  std::string reason;
  for (const char* name : {"libopenblas.so.0", NF_OPENBLAS_LIBRARY}) {
    if (void* const handle = dlopen(name, RTLD_NOW | RTLD_LOCAL)) return handle;
    const char* const error = dlerror();
    if (reason.empty()) reason = error ? error : "unknown error";
  }
  fail(str("[blas] cannot load OpenBLAS (", reason, "); install it: apt install libopenblas0"));
}

template <class Function>
Function* find(void* handle, const char* name) {
  void* const address = dlsym(handle, name);
  NF_CHECK(address, "[blas] this libopenblas has no ", name,
           "; use OpenBLAS 0.3 or later with CBLAS and LAPACK (apt install libopenblas0)");
  return reinterpret_cast<Function*>(address);
}

template <class Function>
void find(void* handle, const char* name, Function*& to) {
  to = find<Function>(handle, name);
}

struct Library {
  BlasFunctions functions;
  /// Its own way to buffers, in OpenBLAS since GotoBLAS; null where it is hidden.
  void* (*allocate_buffer)(int);
  void (*free_buffer)(void*);

  explicit Library(void* handle) {
    find(handle, "cblas_sgemm", functions.sgemm);
    find(handle, "cblas_dgemm", functions.dgemm);
    find(handle, "cblas_dtrsm", functions.dtrsm);
    find(handle, "dpotrf_", functions.dpotrf);
    find(handle, "dgetrf_", functions.dgetrf);
    find(handle, "dgelqf_", functions.dgelqf);
    find(handle, "dorglq_", functions.dorglq);
    find(handle, "dsyevd_", functions.dsyevd);
    find(handle, "openblas_set_num_threads", functions.set_num_threads);
    find(handle, "openblas_get_config", functions.config);
    find(handle, "openblas_get_corename", functions.corename);
    find(handle, "openblas_get_parallel", functions.parallel);
    allocate_buffer = reinterpret_cast<void* (*)(int)>(dlsym(handle, "blas_memory_alloc"));
    free_buffer = reinterpret_cast<void (*)(void*)>(dlsym(handle, "blas_memory_free"));
  }
};

Library load() {
  if (!there_is_room_for(kLibrary + kBuffer + kSpare)) out_of_memory(kLibrary + kBuffer);
  void* handle = open_library();
  if (!user_has_chosen() && is_bad(find<char*()>(handle, "openblas_get_corename")())) {
    dlclose(handle);  // nothing has been asked of it yet
    const Variable core(kCoreVariable, best_core()->name);
    handle = open_library();
  }
  const Library library(handle);
  const std::string kernels = library.functions.corename();
  if (!user_has_chosen() && is_bad(kernels)) {  // some other library has loaded it before us
    std::fprintf(stderr,
                 "nf: OpenBLAS does not know this processor and runs its %s kernels, which are "
                 "slow; set %s=%s\n",
                 kernels.c_str(), kCoreVariable, best_core()->name);
  }
  return library;
}

const Library& library() {
  static const Library library = load();  // thrown out of, it is tried again at the next call
  return library;
}

// --- turns --------------------------------------------------------------------------------------

/// OpenBLAS has places for at least 50 buffers.
constexpr int kMostCallers = 48;

class Turns {
 public:
  /// Sees to it that so many callers more than are working now find a buffer, if there is memory.
  void reserve(int callers) {
    const std::lock_guard lock(mutex_);
    reserve_more(callers);
  }

  void take() {
    std::unique_lock lock(mutex_);
    reserve_more(1);
    if (buffers_ == 0) out_of_memory(kBuffer);
    free_.wait(lock, [this] { return working_ < buffers_; });
    ++working_;
  }

  void give_back() {
    const std::lock_guard lock(mutex_);
    --working_;
    free_.notify_one();
  }

 private:
  /// Holding them all at once makes OpenBLAS allocate what it has not yet.
  void reserve_more(int callers) {
    const Library& lib = library();
    const int most = lib.functions.parallel() == 0 ? 1 : kMostCallers;
    const int wanted = std::min(working_ + callers, most);
    if (wanted <= buffers_) return;
    std::vector<void*> held;
    held.reserve(static_cast<std::size_t>(wanted));
    while (static_cast<int>(held.size()) < wanted && there_is_room_for(kBuffer + kSpare)) {
      held.push_back(lib.allocate_buffer ? lib.allocate_buffer(0) : nullptr);
    }
    buffers_ = std::max(buffers_, static_cast<int>(held.size()));
    for (void* buffer : held) {
      if (buffer) lib.free_buffer(buffer);
    }
  }

  std::mutex mutex_;
  std::condition_variable free_;
  int working_ = 0;  ///< callers inside OpenBLAS
  int buffers_ = 0;  ///< callers for whom there is memory
};

/// Never destroyed: a thread may be inside while the process ends.
Turns& turns() {
  static Turns* const turns = new Turns;
  return *turns;
}

}  // namespace

const BlasFunctions& blas() { return library().functions; }
std::string blas_core() { return blas().corename(); }
std::string best_blas_core() { return best_core()->name; }
bool blas_is_thread_safe() { return blas().parallel() != 0; }
void reserve_blas(int callers) { turns().reserve(callers); }

BlasTurn::BlasTurn() : functions_(blas()) {
  turns().take();
  // In OpenBLAS's OpenMP variant the number is the calling thread's own.
  thread_local bool told = false;
  if (!told) functions_.set_num_threads(1);
  told = true;
}
BlasTurn::~BlasTurn() { turns().give_back(); }

}  // namespace nf
