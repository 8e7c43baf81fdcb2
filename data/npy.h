// .npy, NumPy's format for one array, and .npz, a zip of named ones.
// Source: numpy.lib.format, versions 1.0 to 3.0.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "tensor/tensor.h"

namespace nf::data {

/// Whether a file that begins with these bytes can be .npy.
bool looks_like_npy(std::string_view head);

/// The array, row-major whatever its order in the file: u1 as u8, f4 and f8 as f32 and f64, the
/// other integers and bool as i32. The file may be gzipped. Throws Error, naming the file and the
/// rule, for another type, a malformed header, sizes that the file cannot hold, an early end, bytes
/// after the end and integers beyond 32 bits.
Tensor read_npy(const std::string& path);

/// All arrays of a .npz by name (without ".npy"), stored or deflated; text and objects are
/// undefined tensors. Throws as read_npy and
/// read_zip_directory (zip.h) do, and for a wrong checksum.
std::map<std::string, Tensor> read_npz(const std::string& path);

/// Writes such an archive, stored, atomically. Throws Error for 4 GiB or more.
void write_npz(const std::string& path, const std::map<std::string, Tensor>& arrays);
/// What stands before the numbers of a .npy file.
std::string npy_beginning(DType dtype, const Shape& shape);

/// Writes any tensor in row-major order, atomically (tensor/files.h).
void write_npy(const std::string& path, const Tensor& values);

/// The same for an array of this shape that is computed in parts and need not fit into memory:
/// `next` gives some of the numbers, in row-major order, until all are there.
void write_npy(const std::string& path, DType dtype, const Shape& shape,
               const std::function<Tensor()>& next);

}  // namespace nf::data
