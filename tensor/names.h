// The names of an enum's values, in one table: for parsing, help, completion and messages.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "tensor/error.h"
#include "tensor/text.h"

namespace nf {

template <class E>
class Names {
 public:
  /// `of` begins messages: "[whitening] 'ZCA' is not one of ..."
  Names(std::string of, std::vector<std::pair<std::string, E>> table)
      : of_(std::move(of)), table_(std::move(table)) {}

  std::vector<std::string> all() const {
    std::vector<std::string> names;
    for (const auto& [name, value] : table_) names.push_back(name);
    return names;
  }
  /// The value of this name; throws Error, listing them, when it has none.
  E at(const std::string& name) const {
    for (const auto& [known, value] : table_) {
      if (name == known) return value;
    }
    fail(str("[", of_, "] '", printable(name), "' is not one of ", join(all(), ", "),
             did_you_mean(name, all())));
  }

 private:
  std::string of_;
  std::vector<std::pair<std::string, E>> table_;
};

}  // namespace nf
