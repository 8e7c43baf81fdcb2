// IDX, the format of MNIST: two zero bytes, a type, the number of dimensions, the sizes as 32-bit
// big-endian integers, then the elements, row-major and big-endian.
// Source: Y. LeCun, C. Cortes, C. Burges, the MNIST page.
#pragma once

#include <string>
#include <string_view>

#include "data/input.h"
#include "tensor/tensor.h"

namespace nf::data {

/// Whether a file that begins with these bytes can be IDX.
bool looks_like_idx(std::string_view head);

/// A tensor of the file's sizes: u8 (type 08), i32 (09, 0B, 0C), f32 (0D) or f64 (0E). The file
/// may be gzipped. Throws Error, naming the file and the rule, for a wrong magic number, another
/// type, more than 6 dimensions, sizes that the file cannot hold, an early end and bytes after the
/// end.
Tensor read_idx(const std::string& path);

/// The reverse, uncompressed and atomic (tensor/files.h).
void write_idx(const std::string& path, const Tensor& values);

}  // namespace nf::data
