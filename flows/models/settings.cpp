#include "flows/models/settings.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "tensor/error.h"
#include "tensor/text.h"

namespace nf::flows {

namespace {

/// A value as messages show it. Texts may be long, and what is nested very deep.
std::string shown(const nlohmann::json& value) {
  constexpr std::size_t kShown = 40;
  if (value.is_structured()) return value.is_array() ? "an array" : "an object";
  const std::string text =
      value.dump(-1, ' ', /*ensure_ascii=*/true, nlohmann::json::error_handler_t::replace);
  return text.size() <= kShown ? text : text.substr(0, kShown) + "...";
}

void check_number(const Field& field, double value, const std::string& where) {
  NF_CHECK(value >= field.lowest && value <= field.highest, where, field.key, " = ", digits(value),
           " is out of range; it must be ", digits(field.lowest), " to ", digits(field.highest));
}

}  // namespace

std::string quoted(const std::string& text) {
  const std::string json = shown(text);
  const bool whole = json.ends_with('"');
  return "'" + json.substr(1, json.size() - (whole ? 2 : 1)) + "'";
}

void assign(const Field& field, const nlohmann::json& value, const std::string& where) {
  std::visit(
      [&]<class T>(T* member) {
        if constexpr (std::is_same_v<T, bool>) {
          NF_CHECK(value.is_boolean(), where, field.key, " must be true or false, got ",
                   shown(value));
          *member = value.get<bool>();
        } else if constexpr (std::is_same_v<T, std::string>) {
          NF_CHECK(value.is_string(), where, field.key, " must be text, got ", shown(value));
          const std::string text = value.get<std::string>();
          bool known = field.choices.empty();
          for (const std::string& choice : field.choices) known = known || choice == text;
          NF_CHECK(known, where, field.key, " = ", quoted(text), " is not one of ",
                   join(field.choices, ", "));
          *member = text;
        } else {
          NF_CHECK(value.is_number(), where, field.key, " must be a number, got ", shown(value));
          const double number = value.get<double>();
          check_number(field, number, where);
          NF_CHECK((std::is_same_v<T, double> || number == std::floor(number)), where, field.key,
                   " must be a whole number, got ", shown(value));
          *member = static_cast<T>(number);
        }
      },
      field.value);
}

void assign_text(const Field& field, const std::string& text, const std::string& where) {
  // Text settings need no quotes on the command line; all others are JSON already.
  nlohmann::json value = text;
  if (!std::holds_alternative<std::string*>(field.value)) {
    value = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (value.is_discarded()) value = text;
  }
  assign(field, value, where);
}

std::string Field::text() const {
  return std::visit(
      []<class T>(const T* member) {
        if constexpr (std::is_same_v<T, std::string>) {
          return *member;
        } else {
          return nlohmann::json(*member).dump();
        }
      },
      value);
}

}  // namespace nf::flows
