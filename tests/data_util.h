// Files for the tests of data/: a folder that goes away, damaged files, real data where there is
// some.
#pragma once

#include <stdlib.h>

#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <vector>

#include "tensor/error.h"
#include "tests/file_makers.h"

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

/// Checks that `body` throws one line that holds all of `parts`.
template <class Body>
void check_error(Body&& body, const std::vector<std::string>& parts) {
  try {
    body();
    BOOST_ERROR("no error, expected: " << parts.front());
  } catch (const Error& error) {
    const std::string what = error.what();
    BOOST_CHECK_EQUAL(what.find('\n'), std::string::npos);
    for (const std::string& part : parts) {
      BOOST_CHECK_MESSAGE(what.find(part) != std::string::npos,
                          "'" << part << "' is not in: " << what);
    }
  }
}

/// Reads `whole` cut at every length, which must be an Error, and with every byte changed in
/// several ways, which must be an Error or nothing. (The sanitizers look on.)
template <class Read>
void check_damaged(const std::string& whole, Read&& read) {
  const TempFolder folder;
  BOOST_CHECK_NO_THROW(read(folder.write("whole", whole)));
  for (std::size_t cut = 0; cut < whole.size(); ++cut) {
    const std::string path = folder.write("cut", whole.substr(0, cut));
    BOOST_CHECK_THROW(read(path), Error);
  }
  for (std::size_t i = 0; i < whole.size(); ++i) {
    for (const char flip : {'\x01', '\x10', '\x80', '\xff'}) {
      std::string damaged = whole;
      damaged[i] = static_cast<char>(damaged[i] ^ flip);
      const std::string path = folder.write("damaged", damaged);
      try {
        read(path);
      } catch (const Error& error) {
        BOOST_CHECK_EQUAL(std::string(error.what()).find('\n'), std::string::npos);
      }
    }
  }
}

/// $NF_DATA/<name>, else shared/data/<name> in a folder above this source tree, where `file` is
/// there. Real data sets are not part of the project.
inline std::optional<std::string> real_data(const std::string& name, const std::string& file) {
  const auto there = [&](const std::filesystem::path& folder) {
    return std::filesystem::exists(folder / name / file);
  };
  if (const char* data = std::getenv("NF_DATA")) {
    if (there(data)) return (std::filesystem::path(data) / name).string();
  }
  std::filesystem::path at = std::filesystem::absolute(__FILE__).parent_path();
  for (; at != at.parent_path(); at = at.parent_path()) {
    if (there(at / "shared" / "data")) return (at / "shared" / "data" / name).string();
  }
  return std::nullopt;
}

inline std::optional<std::string> mnist_folder() {
  return real_data("mnist", "train-images-idx3-ubyte.gz");
}

}  // namespace nf::test
