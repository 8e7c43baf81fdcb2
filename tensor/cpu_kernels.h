// The CPU's kernels are there several times, compiled for other sets of instructions each:
//   base    every x86-64 processor
//   avx2    x86-64-v3: AVX2 and FMA, 256 bits at a time
//   avx512  x86-64-v4: AVX-512 F, BW, CD, DQ and VL, 512 bits at a time
// Results of one set do not depend on the machine or on the number of threads; those of different
// sets differ by rounding, because they multiply and add in one step, and sum up, otherwise.
#pragma once

#include <string>
#include <vector>

namespace nf {

/// The set in use: the best of runnable_cpu_kernels(), or what NF_CPU in the environment says. It
/// is chosen once, by the first that asks for it. Throws Error when NF_CPU is no set that can run
/// here.
std::string cpu_kernels();

/// The sets of this build that the processor and the operating system can run, the best one last.
std::vector<std::string> runnable_cpu_kernels();

}  // namespace nf
