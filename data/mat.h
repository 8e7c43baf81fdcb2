// MATLAB's .mat files of version 5 (save -v6 and -v7).
// Source: The MathWorks, "MAT-File Format", chapter 1.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "tensor/tensor.h"

namespace nf::data {

/// Whether a file that begins with these bytes can be a .mat file of version 5.
bool looks_like_mat(std::string_view head);

/// The real numeric arrays by name, in MATLAB's sizes (column-major, as a view: the first axis has
/// stride 1). uint8 is u8, single and double are f32 and f64, the other integers i32. Variables of
/// other classes (cells, structs, text, sparse) are passed over. Throws Error, naming the file and
/// the rule, for a big-endian file, sizes that the file cannot hold, complex numbers, and a file
/// that ends early or is malformed.
std::map<std::string, Tensor> read_mat(const std::string& path);

}  // namespace nf::data
