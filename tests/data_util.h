// Files for the tests of data/: a folder that goes away, gzip by zlib, real MNIST where there is
// one.
#pragma once

#include <stdlib.h>
#include <zlib.h>

#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>

#include "tensor/error.h"

namespace nf::test {

class TempFolder {
 public:
  TempFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "nf-test-XXXXXX").string();
    NF_CHECK(::mkdtemp(name.data()), "cannot make a folder for the test");
    path_ = name;
  }
  ~TempFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  std::string path(const std::string& name = "") const { return (path_ / name).string(); }
  std::string write(const std::string& name, const std::string& bytes) const {
    std::ofstream(path(name), std::ios::binary) << bytes;
    return path(name);
  }
  std::size_t files() const {
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(path_), {}));
  }

 private:
  std::filesystem::path path_;
};

inline std::string bytes_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline std::string gzip(const std::string& bytes) {
  z_stream z{};
  deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&z, bytes.size()), '\0');
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  z.avail_in = static_cast<uInt>(bytes.size());
  z.next_out = reinterpret_cast<Bytef*>(out.data());
  z.avail_out = static_cast<uInt>(out.size());
  deflate(&z, Z_FINISH);
  out.resize(z.total_out);
  deflateEnd(&z);
  return out;
}

/// Checks that `body` throws one line that holds all of `parts`.
template <class Body>
void check_error(Body&& body, std::initializer_list<std::string> parts) {
  try {
    body();
    BOOST_ERROR("no error, expected: " << *parts.begin());
  } catch (const Error& error) {
    const std::string what = error.what();
    BOOST_CHECK_EQUAL(what.find('\n'), std::string::npos);
    for (const std::string& part : parts) {
      BOOST_CHECK_MESSAGE(what.find(part) != std::string::npos,
                          "'" << part << "' is not in: " << what);
    }
  }
}

/// The folder with MNIST's four files: $NF_DATA/mnist, else shared/data/mnist in a folder above
/// this source tree. Nothing where there is none.
inline std::optional<std::string> mnist_folder() {
  const auto has_mnist = [](const std::filesystem::path& folder) {
    return std::filesystem::exists(folder / "mnist" / "train-images-idx3-ubyte.gz");
  };
  if (const char* data = std::getenv("NF_DATA")) {
    if (has_mnist(data)) return (std::filesystem::path(data) / "mnist").string();
  }
  std::filesystem::path at = std::filesystem::absolute(__FILE__).parent_path();
  for (; at != at.parent_path(); at = at.parent_path()) {
    if (has_mnist(at / "shared" / "data")) return (at / "shared" / "data" / "mnist").string();
  }
  return std::nullopt;
}

}  // namespace nf::test
