// Safetensors: named tensors in one file, readable by PyTorch, JAX, NumPy and Rust.
// Format: 8 bytes little-endian header length, a JSON header, then the raw elements, row-major.
// Source: github.com/huggingface/safetensors.
//
// Files that are written here hold a checksum of their content, as "checksum" in the metadata. It
// is looked at wherever it is there: a file in which anything changed is an Error.
#pragma once

#include <map>
#include <string>

#include "nn/module.h"

namespace nf::nn {

/// Free text beside the tensors ("__metadata__" in the header).
using Metadata = std::map<std::string, std::string>;

/// Writes atomically (tensor/files.h): a crash at any moment leaves the old file whole. Names must
/// be unique, and "checksum" is no key for metadata.
void save_safetensors(const std::string& path, const StateDict& tensors,
                      const Metadata& metadata = {});

struct SafetensorsFile {
  std::map<std::string, Tensor> tensors;  ///< on the CPU
  Metadata metadata;                      ///< without the checksum
};

/// Throws Error, naming the file and the rule, when the file is missing, cut short, not in this
/// format, claims sizes that it does not have, or does not fit its checksum. F32, F64, U8, I32 are
/// understood. Nothing is allocated for a claim before it has been checked against the file's size.
SafetensorsFile load_safetensors(const std::string& path);

/// What a file says of itself. Throws like load_safetensors; the elements are not read,
/// and may be damaged.
struct SafetensorsHeader {
  struct Entry {
    DType dtype;
    Shape shape;
  };
  std::map<std::string, Entry> tensors;
  Metadata metadata;
  std::string checksum;  ///< of all content, as the file says; empty where it does not
};
SafetensorsHeader read_safetensors_header(const std::string& path);

}  // namespace nf::nn
