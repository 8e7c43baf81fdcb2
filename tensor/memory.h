// Memory that this process may still take, asked before much of it is needed.
#pragma once

#include <cstdint>
#include <string>

namespace nf {

/// Bytes that can be had without swapping: what the system has available, the limit of the
/// container (cgroup v2 or v1) and the limit of address space (ulimit -v), whichever is least.
/// What cannot be read limits nothing.
std::uint64_t available_memory();

/// Throws Error when `bytes` are more than available_memory(): "[memory] WHAT needs 16.0 TB, 11.2
/// GB are free; ADVICE".
void check_memory(double bytes, const std::string& what, const std::string& advice);

/// Throws what a std::bad_alloc in `operation` means to a user: Error "[operation] out of memory;
/// ..". Memory for these words has been put aside.
[[noreturn]] void out_of_memory(const char* operation);

/// "16.0 TB", in powers of 1000.
std::string bytes_text(double bytes);

}  // namespace nf
