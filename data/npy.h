// .npy, NumPy's format for one array. Source: numpy.lib.format, version 1.0.
#pragma once

#include <string>

#include "tensor/tensor.h"

namespace nf::data {

/// Writes any tensor in row-major order, atomically (tensor/files.h).
void write_npy(const std::string& path, const Tensor& values);

}  // namespace nf::data
