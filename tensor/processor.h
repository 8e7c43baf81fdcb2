// What differs from processor to processor: the only place where the project asks for which one it
// is compiled. Elsewhere than on x86-64 there is one set of kernels, "base", compiled for the whole
// processor (scripts/cmake/CpuKernels.cmake): vectors of 16 bytes are NEON on arm64, and SIMD128 in
// WebAssembly.
#pragma once

#include <cstdint>

#ifdef __x86_64__
#include <cpuid.h>
#include <xmmintrin.h>
#endif

namespace nf {

#if defined(__x86_64__)

inline constexpr const char* kProcessor = "x86-64";

/// Whether this processor and the operating system have it ("avx2"), a literal; none elsewhere.
#define NF_PROCESSOR_HAS(feature) (__builtin_cpu_supports(feature) != 0)

/// Before the first NF_PROCESSOR_HAS of objects with static lifetime.
inline void find_processor_features() { __builtin_cpu_init(); }

/// Bit `bit` of ECX of a CPUID leaf, where NF_PROCESSOR_HAS knows no name.
inline bool cpuid_ecx_has(unsigned leaf, unsigned bit) {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __get_cpuid(leaf, &eax, &ebx, &ecx, &edx) != 0 && (ecx >> bit & 1) != 0;
}

/// In a loop that waits for another thread.
inline void pause_thread() { __builtin_ia32_pause(); }

/// How this thread takes subnormal numbers, to be given to set_float_mode again.
inline std::uint64_t float_mode() { return _mm_getcsr(); }
inline void set_float_mode(std::uint64_t mode) { _mm_setcsr(static_cast<unsigned>(mode)); }
/// Flush to zero, and denormals are zero.
inline constexpr std::uint64_t kSubnormalsAreZero = 0x8040;

/// The compiler may know nothing of a vector's value from here on; it stays in its register.
#define NF_FORGET_VECTOR(v) asm volatile("" : "+x"(v))

/// Of AVX512_BF16: pairs of rounded numbers, those of `low` first (the instruction's second operand
/// becomes the lower half); and sum += the products of both numbers of pairs.
#define NF_ROUND_BF16_PAIRS(pairs, low, high) \
  asm("vcvtne2ps2bf16 %1, %2, %0" : "=v"(pairs) : "v"(low), "v"(high))
#define NF_MULTIPLY_ADD_BF16_PAIRS(sum, a, b) \
  asm("vdpbf16ps %1, %2, %0" : "+v"(sum) : "v"(a), "v"(b))

#else

#define NF_PROCESSOR_HAS(feature) false
inline void find_processor_features() {}
inline bool cpuid_ecx_has(unsigned, unsigned) { return false; }
// No processor without AVX512_BF16 comes to these (CpuBackend::has_precision).
#define NF_ROUND_BF16_PAIRS(pairs, low, high) \
  (static_cast<void>(low), static_cast<void>(high), (pairs) = decltype(pairs){}, __builtin_trap())
#define NF_MULTIPLY_ADD_BF16_PAIRS(sum, a, b) \
  (static_cast<void>(sum), static_cast<void>(a), static_cast<void>(b), __builtin_trap())

#if defined(__aarch64__)

inline constexpr const char* kProcessor = "arm64";
inline void pause_thread() { asm volatile("yield"); }
inline std::uint64_t float_mode() {
  std::uint64_t mode = 0;
  asm volatile("mrs %0, fpcr" : "=r"(mode));
  return mode;
}
inline void set_float_mode(std::uint64_t mode) { asm volatile("msr fpcr, %0" : : "r"(mode)); }
inline constexpr std::uint64_t kSubnormalsAreZero = 1 << 24;  // FZ
#define NF_FORGET_VECTOR(v) asm volatile("" : "+w"(v))

#else

// WebAssembly, and what else there may be: subnormal numbers stay what they are.
inline constexpr const char* kProcessor = sizeof(void*) == 4 ? "wasm32" : "another processor";
inline void pause_thread() {}
inline std::uint64_t float_mode() { return 0; }
inline void set_float_mode(std::uint64_t) {}
inline constexpr std::uint64_t kSubnormalsAreZero = 0;
#define NF_FORGET_VECTOR(v) asm volatile("" : "+m"(v))

#endif
#endif

}  // namespace nf
