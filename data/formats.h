// From files to samples: every format that is read, and the folders of well-known data sets.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "data/samples.h"

namespace nf::data {

/// What a file or folder holds, in the parts in which it comes.
struct Parts {
  Samples train;
  std::optional<Samples> valid, test;
  /// Without a part for validation: it is one in so many of the training samples.
  std::int64_t valid_share = 10;
};

/// A folder with the files of MNIST, CIFAR-10, CIFAR-100 or SVHN, or one file of any format. The
/// format is told by the content, or one of format_names(). Throws Error for what is not known, is
/// malformed or does not belong together.
Parts read_parts(const std::string& path, const std::string& format = "",
                 const ReadOptions& options = {});

/// Writes images as .npz, from which read_parts() gives the same rows and labels (with the layout
/// "last"). Throws Error for 4 GiB or more.
void write_parts(const std::string& path, const Parts& parts);

/// In the order in which they are tried.
std::vector<std::string> format_names();

/// Where MNIST's files are found and how they are called, for messages.
extern const char* const kWhereMnistIs;

}  // namespace nf::data
