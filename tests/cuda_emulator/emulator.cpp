// Threads of a block are fibers, run in turn on one thread of the CPU. A fiber is needed only where
// a thread waits for others: it runs thread after thread of its block to their ends, and when one
// calls __syncthreads, that fiber is put aside and another goes on with the threads not yet begun.
#include <cuda_runtime.h>
#include <ucontext.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tensor/error.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace {

// --- switching between fibers -------------------------------------------------------------------

constexpr std::size_t kStack = std::size_t{64} << 10;  // of one kernel, not deep

// swapcontext asks the system for the mask of signals at each switch: three quarters of the time of
// these tests. A switch of our own keeps what a call must keep, on the stack that it leaves.
#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)

extern "C" void nf_switch_stack(void** from, void* to);
asm(R"(
.text
.type nf_switch_stack, @function
nf_switch_stack:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size nf_switch_stack, .-nf_switch_stack
)");

/// Where a stack goes on.
struct Place {
  void* top = nullptr;

  void begin(char* stack, void (*function)()) {
    void** const end = reinterpret_cast<void**>(stack + kStack) - 2;  // 16 bytes: aligned
    end[0] = reinterpret_cast<void*>(function);                       // where ret goes
    top = end - 6;                                                    // six registers, of any value
  }
  void leave_for(Place& other) { nf_switch_stack(&top, other.top); }
};

#else

struct Place {
  ucontext_t context{};

  void begin(char* stack, void (*function)()) {
    getcontext(&context);
    context.uc_stack.ss_sp = stack;
    context.uc_stack.ss_size = kStack;
    context.uc_link = nullptr;
    makecontext(&context, function, 0);
  }
  void leave_for(Place& other) { swapcontext(&context, &other.context); }
};

#endif

struct Fiber {
  Place place;
  std::unique_ptr<char[]> stack{new char[kStack]};
  dim3 thread;  ///< threadIdx while it runs
  void* fake_stack = nullptr;
};

Place main_place;
const void* main_stack = nullptr;
std::size_t main_stack_bytes = 0;

// The sanitizer has to be told which stack is in use.
void before_switch([[maybe_unused]] void** save, [[maybe_unused]] const void* stack,
                   [[maybe_unused]] std::size_t bytes) {
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_start_switch_fiber(save, stack, bytes);
#endif
}
void after_switch([[maybe_unused]] void* saved, [[maybe_unused]] const void** stack,
                  [[maybe_unused]] std::size_t* bytes) {
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(saved, stack, bytes);
#endif
}

// --- a block ------------------------------------------------------------------------------------

/// The block that runs now.
struct Block {
  const std::function<void()>* body = nullptr;
  unsigned threads = 0;  ///< of the block
  unsigned begun = 0, ended = 0, waiting = 0;
  Fiber* running = nullptr;
  std::vector<Fiber*> parked;
} now;

std::vector<std::unique_ptr<Fiber>> pool;  // all fibers there are
std::vector<Fiber*> idle;

void to_main(Fiber& fiber) {
  before_switch(&fiber.fake_stack, main_stack, main_stack_bytes);
  fiber.place.leave_for(main_place);
  after_switch(fiber.fake_stack, &main_stack, &main_stack_bytes);
  threadIdx = fiber.thread;
}

void fiber_main() {
  after_switch(nullptr, &main_stack, &main_stack_bytes);
  while (true) {
    while (now.begun < now.threads) {
      const unsigned i = now.begun++;
      Fiber& fiber = *now.running;
      fiber.thread = dim3(i % blockDim.x, i / blockDim.x % blockDim.y, i / blockDim.x / blockDim.y);
      threadIdx = fiber.thread;
      (*now.body)();
      ++now.ended;
    }
    Fiber& fiber = *now.running;
    idle.push_back(&fiber);
    to_main(fiber);
  }
}

Fiber* new_fiber() {
  pool.push_back(std::make_unique<Fiber>());
  Fiber& fiber = *pool.back();
  fiber.place.begin(fiber.stack.get(), fiber_main);
  return &fiber;
}

void resume(Fiber& fiber) {
  now.running = &fiber;
  void* fake_stack = nullptr;
  before_switch(&fake_stack, fiber.stack.get(), kStack);
  main_place.leave_for(fiber.place);
  after_switch(fake_stack, nullptr, nullptr);
}

void run_block(unsigned threads, const std::function<void()>& body) {
  now = Block{&body, threads, 0, 0, 0, nullptr, {}};
  while (now.begun < threads) {
    if (idle.empty()) idle.push_back(new_fiber());
    Fiber* const fiber = idle.back();
    idle.pop_back();
    resume(*fiber);
  }
  while (now.ended < threads) {
    // All that have not ended wait; a barrier that some threads never reach is a kernel's mistake.
    NF_CHECK(now.waiting == threads, "[emulator] ", now.waiting, " of ", threads,
             " threads reach __syncthreads");
    now.waiting = 0;
    std::vector<Fiber*> ready;
    ready.swap(now.parked);
    for (Fiber* fiber : ready) resume(*fiber);
  }
}

// --- memory -------------------------------------------------------------------------------------

constexpr std::size_t kDeviceBytes = std::size_t{1} << 34;
std::map<void*, std::size_t> blocks;        // of the device's memory
std::map<const char*, std::size_t> pinned;  // blocks of the host's
int open = 0;

bool is_pinned(const void* data, std::size_t bytes) {
  const auto* const first = static_cast<const char*>(data);
  auto block = pinned.upper_bound(first);
  if (block == pinned.begin()) return false;
  --block;
  return first + bytes <= block->first + block->second;
}

/// Between a kernel or copy and the next, the sanitizer lets nobody touch the device's memory: the
/// host cannot mistake it for its own.
void set_access([[maybe_unused]] bool allowed) {
#ifdef __SANITIZE_ADDRESS__
  for (const auto& [block, bytes] : blocks) {
    allowed ? __asan_unpoison_memory_region(block, bytes)
            : __asan_poison_memory_region(block, bytes);
  }
#endif
}

struct Access {
  Access() {
    if (open++ == 0) set_access(true);
  }
  ~Access() {
    if (--open == 0) set_access(false);
  }
};

cudaError_t allocate(void** block, std::size_t bytes) {
  if (bytes == 0) return cudaErrorInvalidValue;
  if (bytes > kDeviceBytes) return cudaErrorMemoryAllocation;
  const Access access;
  if (posix_memalign(block, 256, bytes) != 0) return cudaErrorMemoryAllocation;
  // What was not written is seen; not in all of a block so large that few of its pages are used.
  std::memset(*block, 0xcd, std::min(bytes, std::size_t{1} << 26));
  blocks[*block] = bytes;
  return cudaSuccess;
}

cudaError_t release(void* block) {
  const Access access;
  if (blocks.erase(block) != 1) return cudaErrorInvalidValue;
  std::free(block);
  return cudaSuccess;
}

}  // namespace

// --- streams and graphs -------------------------------------------------------------------------

struct EmulatedGraph {
  std::vector<std::function<cudaError_t()>> work;
};

namespace {
EmulatedGraph* captured = nullptr;
cudaStream_t captured_stream = nullptr;
bool is_captured(cudaStream_t stream) { return captured && stream == captured_stream; }
}  // namespace

struct EmulatedStream {};

cudaError_t emulator::enqueue(std::function<cudaError_t()> work) {
  if (captured) {
    captured->work.push_back(std::move(work));
    return cudaSuccess;
  }
  const Access access;
  return work();
}

cudaError_t emulator::run(const dim3& grid, const dim3& block,
                          const std::function<void()>& thread) {
  const unsigned threads = block.x * block.y * block.z;
  if (threads == 0 || threads > 1024 || grid.x == 0 || grid.y == 0 || grid.y > 65535 ||
      grid.z == 0 || grid.z > 65535) {
    return cudaErrorInvalidConfiguration;
  }
  gridDim = grid;
  blockDim = block;
  for (unsigned z = 0; z < grid.z; ++z) {
    for (unsigned y = 0; y < grid.y; ++y) {
      for (unsigned x = 0; x < grid.x; ++x) {
        blockIdx = dim3(x, y, z);
        run_block(threads, thread);
      }
    }
  }
  return cudaSuccess;
}

void __syncthreads() {
  Fiber& fiber = *now.running;
  ++now.waiting;
  now.parked.push_back(&fiber);
  to_main(fiber);
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  if (captured) return cudaErrorStreamCaptureUnsupported;
  captured_stream = stream;
  captured = new EmulatedGraph;
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t, cudaGraph_t* graph) {
  *graph = std::exchange(captured, nullptr);
  return *graph ? cudaSuccess : cudaErrorInvalidValue;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph, unsigned long long) {
  *exec = new EmulatedGraph(*graph);
  return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t) {
  const Access access;
  for (const auto& work : exec->work) {
    if (const cudaError_t error = work(); error != cudaSuccess) return error;
  }
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) { return delete exec, cudaSuccess; }
cudaError_t cudaGraphDestroy(cudaGraph_t graph) { return delete graph, cudaSuccess; }

// Everything is done when it is asked for, so there is nothing to wait for; but to wait for a
// stream that is being captured is an error.
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  static EmulatedStream streams[8];
  static int made = 0;
  return *stream = &streams[made++], cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  return is_captured(stream) ? cudaErrorStreamCaptureUnsupported : cudaSuccess;
}
// As if it took a while, so that who asks has to ask again.
cudaError_t cudaStreamQuery(cudaStream_t stream) {
  static unsigned asked = 0;
  if (is_captured(stream)) return cudaErrorStreamCaptureUnsupported;
  return ++asked % 3 == 0 ? cudaSuccess : cudaErrorNotReady;
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  return *event = nullptr, cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t, cudaStream_t) { return cudaSuccess; }
cudaError_t cudaEventSynchronize(cudaEvent_t) { return cudaStreamSynchronize(captured_stream); }

// --- the rest -----------------------------------------------------------------------------------

const char* cudaGetErrorString(cudaError_t error) {
  static std::string text;
  return (text = "emulated error " + std::to_string(error)).c_str();
}
cudaError_t cudaGetLastError() { return cudaSuccess; }
// $NF_EMULATED_GPUS of them, else 2.
cudaError_t cudaGetDeviceCount(int* count) {
  const char* const told = std::getenv("NF_EMULATED_GPUS");
  return *count = told ? std::atoi(told) : 2, cudaSuccess;
}
// Whoever has not chosen a device works on device 0, which may be that of another process: an error
// here.
bool device_chosen = false;
cudaError_t cudaSetDevice(int) { return device_chosen = true, cudaSuccess; }
cudaError_t cudaDeviceGetPCIBusId(char* address, int bytes, int device) {
  std::snprintf(address, static_cast<std::size_t>(bytes), "0000:%02x:00.0", device + 1);
  return cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr, int) {
  return *value = 2, cudaSuccess;  // processors
}
// A small device: loops with the stride of the grid are gone through more than once.
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, const void*, int threads,
                                                          std::size_t) {
  return *blocks = 1024 / threads, cudaSuccess;
}

cudaError_t cudaMalloc(void** block, std::size_t bytes) { return allocate(block, bytes); }
cudaError_t cudaFree(void* block) { return release(block); }
// On a stream that is captured these two would become a part of the graph.
cudaError_t cudaMallocAsync(void** block, std::size_t bytes, cudaStream_t stream) {
  if (is_captured(stream)) return cudaErrorStreamCaptureUnsupported;
  return allocate(block, bytes);
}
cudaError_t cudaFreeAsync(void* block, cudaStream_t stream) {
  return is_captured(stream) ? cudaErrorStreamCaptureUnsupported : release(block);
}
cudaError_t cudaMallocHost(void** block, std::size_t bytes) {
  *block = std::malloc(bytes);
  if (!*block) return cudaErrorMemoryAllocation;
  pinned[static_cast<const char*>(*block)] = bytes;
  return cudaSuccess;
}
cudaError_t cudaFreeHost(void* block) {
  if (pinned.erase(static_cast<const char*>(block)) != 1) return cudaErrorInvalidValue;
  return std::free(block), cudaSuccess;
}
cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  *free = *total = kDeviceBytes;
  return device_chosen ? cudaSuccess : cudaErrorInvalidValue;
}
cudaError_t cudaDeviceGetDefaultMemPool(cudaMemPool_t* pool, int) {
  return *pool = nullptr, cudaSuccess;
}
cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t, cudaMemPoolAttr, void*) { return cudaSuccess; }
cudaError_t cudaMemPoolTrimTo(cudaMemPool_t, std::size_t) { return cudaSuccess; }
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  // From and to pageable memory it would wait for all work before it; nothing here is meant to.
  const void* const host = kind == cudaMemcpyHostToDevice ? from : to;
  if (kind != cudaMemcpyDeviceToDevice && !is_pinned(host, bytes)) {
    return is_captured(stream) ? cudaErrorStreamCaptureUnsupported : cudaErrorInvalidValue;
  }
  return emulator::enqueue([=] { return std::memmove(to, from, bytes), cudaSuccess; });
}
cudaError_t cudaMemsetAsync(void* to, int value, std::size_t bytes, cudaStream_t) {
  return emulator::enqueue([=] { return std::memset(to, value, bytes), cudaSuccess; });
}
