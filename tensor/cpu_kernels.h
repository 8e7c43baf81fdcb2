// The CPU's kernels are there several times, compiled for other sets of instructions each:
//   base    every x86-64 processor; on others the only one: compiled for arm64, NEON is used
//   avx2    x86-64-v3: AVX2 and FMA, 256 bits at a time
//   avx512  x86-64-v4: AVX-512 F, BW, CD, DQ and VL, 512 bits at a time
// Results of operations on f32 do not depend on the number of threads, nor, with one set and the
// same cpu_choices(), on the machine. Those of different sets differ by rounding, because they
// multiply and add in one step, and sum up, otherwise. Two libraries bring code of their own for
// each processor, and so other last digits, whatever the set: OpenBLAS, which is LAPACK
// (tensor/linalg.h), and the C library, whose exp, log and others are those of f64.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace nf {

/// The set in use: the best of runnable_cpu_kernels(), or what NF_CPU in the environment says. It
/// is chosen once, by the first that asks for it. Throws Error when NF_CPU is no set that can run
/// here.
std::string cpu_kernels();

/// The sets of this build that the processor and the operating system can run, the best one last.
std::vector<std::string> runnable_cpu_kernels();

/// Whether OpenBLAS multiplies matrices, a peer to compare with, as NF_MATMUL=openblas asks. Throws
/// Error when NF_MATMUL says anything else but own.
bool multiplies_by_openblas();

/// What the last digits of f32 results depend on beside the program, by name: "cpu_kernels", the
/// set in use; "cpu_precision", of products (Precision); "matmul", "own" or "openblas" with its
/// kernels; "winograd", what winograd() says.
std::map<std::string, std::string> cpu_choices();

}  // namespace nf
