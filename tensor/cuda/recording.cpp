#include "tensor/cuda/recording.h"

#include <algorithm>
#include <unordered_map>

#include "tensor/cuda/cuda_backend.h"
#include "tensor/cuda/device.h"

namespace nf {
namespace cuda {
namespace {

CudaRecording* being_made = nullptr;

/// Own blocks of all recordings.
std::unordered_map<const void*, CudaRecording*>& owners() {
  static auto& owners = *new std::unordered_map<const void*, CudaRecording*>;
  return owners;
}

/// Allocates while the other stream is being recorded: there it would become a part of the graph.
void* allocate_aside(std::size_t bytes) {
  static const cudaStream_t aside = [] {
    cudaStream_t made = nullptr;
    check(cudaStreamCreateWithFlags(&made, cudaStreamNonBlocking), "cudaStreamCreate");
    return made;
  }();
  void* block = nullptr;
  const cudaError_t status = cudaMallocAsync(&block, bytes, aside);
  if (status == cudaErrorMemoryAllocation) {
    (void)cudaGetLastError();
    return nullptr;
  }
  check(status, "cudaMallocAsync");
  check(cudaStreamSynchronize(aside), "cudaMallocAsync");
  return block;
}

}  // namespace

CudaRecording* CudaRecording::current() { return being_made; }

CudaRecording* CudaRecording::owner_of(const void* block) {
  const auto found = owners().find(block);
  return found == owners().end() ? nullptr : found->second;
}

CudaRecording::CudaRecording(std::span<Generator* const> generators) {
  NF_CHECK(generators.size() <= StepConstants::kGenerators, "[graph] a step may draw from at most ",
           StepConstants::kGenerators, " generators, got ", generators.size());
  for (const Generator* g : generators) {
    sources_.push_back({g->seed(), g->stream(), g->offset()});
  }
  constants_ = static_cast<StepConstants*>(cuda_backend().allocate(sizeof(StepConstants)));
}

CudaRecording::~CudaRecording() {
  // The stream may still be at a replay. An error cannot be reported from here.
  (void)cudaStreamSynchronize(stream());
  if (graph_) (void)cudaGraphExecDestroy(graph_);
  cuda_backend().release(constants_, sizeof(StepConstants));
  const std::lock_guard lock(memory_mutex());
  for (const auto& [size, block] : free_) (void)cudaFreeAsync(block, stream());
  for (void* block : kept_) (void)cudaFreeAsync(block, stream());
  for (void* block : pinned_) (void)cudaFreeHost(block);
  // What tensors still hold is ordinary memory from now on.
  std::erase_if(owners(), [this](const auto& entry) { return entry.second == this; });
}

void CudaRecording::capture(const std::function<void()>& step) {
  cudaGraph_t graph = nullptr;
  // Relaxed: allocate_aside() and pinned() go on meanwhile.
  check(cudaStreamBeginCapture(stream(), cudaStreamCaptureModeRelaxed), "recording a step");
  being_made = this;
  try {
    step();
  } catch (...) {
    being_made = nullptr;
    (void)cudaStreamEndCapture(stream(), &graph);
    if (graph) (void)cudaGraphDestroy(graph);
    (void)cudaGetLastError();
    throw;
  }
  being_made = nullptr;
  check(cudaStreamEndCapture(stream(), &graph), "recording a step");
  const cudaError_t status = cudaGraphInstantiate(&graph_, graph, 0);
  (void)cudaGraphDestroy(graph);
  check(status, "recording a step");
}

void CudaRecording::replay(std::span<const std::uint64_t> offsets,
                           std::span<const UpdateArgs> updates) {
  StepConstants constants{};
  std::copy(offsets.begin(), offsets.end(), constants.offsets);
  std::copy(updates.begin(), updates.end(), constants.updates);
  cuda_backend().from_host(constants_, &constants, sizeof constants);
  check(cudaGraphLaunch(graph_, stream()), "replaying a step");
}

void* CudaRecording::allocate(std::size_t bytes) {
  void* block = nullptr;
  if (const auto found = free_.find(bytes); found != free_.end()) {
    block = found->second;
    free_.erase(found);
  } else {
    block = allocate_aside(bytes);
    if (block) owners()[block] = this;
  }
  return block;
}

void CudaRecording::release(void* block, std::size_t bytes) {
  if (owner_of(block) == this) {
    free_.emplace(std::max<std::size_t>(bytes, 1), block);
  } else {
    kept_.push_back(block);
  }
}

void* CudaRecording::pinned(std::size_t bytes) {
  void* block = nullptr;
  check(cudaMallocHost(&block, bytes), "pinned memory");
  pinned_.push_back(block);
  return block;
}

const std::uint64_t* CudaRecording::live_offset(std::uint64_t seed, std::uint64_t stream,
                                                std::uint64_t& offset) {
  for (std::size_t i = 0; i < sources_.size(); ++i) {
    if (sources_[i].seed != seed || sources_[i].stream != stream) continue;
    offset -= sources_[i].start;
    return &constants_->offsets[i];
  }
  fail(str("[graph] the step draws from a generator (seed ", seed, ", stream ", stream,
           ") that the graph was not given"));
}

const UpdateArgs* CudaRecording::live_update() {
  NF_CHECK(updates_ < StepConstants::kUpdates, "[graph] a step may do at most ",
           StepConstants::kUpdates, " optimizer updates");
  return &constants_->updates[updates_++];
}

}  // namespace cuda

bool CudaBackend::recording() const { return cuda::CudaRecording::current() != nullptr; }

std::unique_ptr<Recording> CudaBackend::record(std::span<Generator* const> generators,
                                               const std::function<void()>& step) {
  NF_CHECK(!recording(), "[graph] a step is already being recorded");
  auto made = std::make_unique<cuda::CudaRecording>(generators);
  made->capture(step);
  return made;
}

}  // namespace nf
