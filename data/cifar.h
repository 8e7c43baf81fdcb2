// CIFAR-10 and CIFAR-100, binary version: records of one label byte (of two in CIFAR-100: coarse,
// fine) and 3072 bytes, the red, green and blue planes of 32 x 32 pixels.
// Source: A. Krizhevsky, www.cs.toronto.edu/~kriz/cifar.html.
#pragma once

#include <string>

#include "data/dataset.h"

namespace nf::data {

inline constexpr int kCifarSize = 32, kCifarChannels = 3;

/// Label bytes of a record (1 or 2) if the file can consist of them, by its length and the labels;
/// else 0. The format has no magic number.
int cifar_label_bytes(const std::string& path);

/// x is u8 (N, 3072), labels i32 (N), of CIFAR-100 the fine ones. The file may be gzipped. Throws
/// Error for a file that does not consist of such records.
Split read_cifar(const std::string& path);

}  // namespace nf::data
