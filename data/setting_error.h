// A setting that is wrong for the data, where the data are what they should be.
#pragma once

#include <string>
#include <utility>

#include "tensor/error.h"

namespace nf::data {

/// Who gave the setting on a command line used the program wrongly: no file is to blame. Every
/// other Error of a source is one of the file.
class SettingError : public Error {
 public:
  /// `key`: the setting's name in Config, "split_by".
  SettingError(std::string key, const std::string& message)
      : Error(message), key_(std::move(key)) {}
  const std::string& key() const { return key_; }

 private:
  std::string key_;
};

/// Throws SettingError with all `parts` as its message unless `right`.
template <class... Parts>
void check_setting(bool right, const char* key, const Parts&... parts) {
  if (!right) throw SettingError(key, str(parts...));
}

}  // namespace nf::data
