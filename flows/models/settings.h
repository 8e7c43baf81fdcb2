// Settings: a struct whose members can be reached by name, for help, JSON and the command line.
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <variant>
#include <vector>

namespace nf::flows {

/// One setting of one struct: its name, one line of help, and where its value is.
struct Field {
  using Value = std::variant<std::int64_t*, double*, bool*, std::string*>;

  std::string key;  ///< also --key with dashes
  std::string help;
  Value value;
  std::vector<std::string> choices = {};  ///< allowed texts; empty: any
  double lowest = 0;                      ///< allowed numbers
  double highest = 1e18;
  std::string nested_key = {};  ///< in its group of a nested configuration, where not the key
  std::string group = {};       ///< "model", "training", "data" or "output"; Config sets it

  const std::string& name_in_group() const { return nested_key.empty() ? key : nested_key; }
  /// The value as `assign` takes it, all digits of a number.
  std::string text() const;
};

/// Gives the field a value. Throws Error, which begins with `where`, for a value of the wrong type,
/// out of range, or not among the choices.
void assign(const Field& field, const nlohmann::json& value, const std::string& where);
/// The same from the text of a command line.
void assign_text(const Field& field, const std::string& text, const std::string& where);
/// A value of a user's, in single quotes, as messages show it: cut when it is long.
std::string quoted(const std::string& text);

/// Settings of a model: derive from SettingsOf<YourSettings>, give every member its default, and
/// list all of them in fields().
class Settings {
 public:
  virtual ~Settings() = default;
  /// Each member, in the order of help and config.json. The fields point into this object.
  virtual std::vector<Field> fields() = 0;
  virtual std::unique_ptr<Settings> clone() const = 0;
};

template <class S>
class SettingsOf : public Settings {
 public:
  std::unique_ptr<Settings> clone() const override {
    return std::make_unique<S>(static_cast<const S&>(*this));
  }
};

}  // namespace nf::flows
