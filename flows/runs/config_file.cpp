#include "flows/runs/config_file.h"

#include <algorithm>

#include "flows/models/model.h"
#include "flows/runs/known_data.h"
#include "tensor/files.h"

namespace nf::flows {

namespace {

constexpr std::uint64_t kMaxConfigBytes = 1 << 20;

/// "line 3, column 7" of byte `at`, from 1.
std::string place(const std::string& text, std::size_t at) {
  const std::string before = text.substr(0, std::min(at, text.size()));
  const auto line = std::count(before.begin(), before.end(), '\n') + 1;
  const std::size_t begin = before.rfind('\n') + 1;  // npos + 1 is 0
  return str("line ", line, ", column ", std::max<std::size_t>(1, before.size() - begin));
}

}  // namespace

ConfigFile read_config(const std::string& path) {
  ConfigFile file{.where = str("[config] ", path, ": "), .preset = preset_names().front()};
  const std::string text = read_file(path, kMaxConfigBytes);
  nlohmann::json& all = file.settings;
  try {
    all = nlohmann::json::parse(text);
  } catch (const nlohmann::json::parse_error& error) {
    fail(str(file.where, "not valid JSON: the mistake is at ", place(text, error.byte)));
  }
  if (!all.is_object()) return file;  // which from_json refuses
  if (const auto version = all.find("version"); version != all.end()) {
    NF_CHECK(version->is_number_integer() && *version > 0 && *version < 1000, file.where,
             "version must be a small whole number");
    file.version = version->get<std::int64_t>();
    all.erase(version);
  }
  if (const auto data = all.find("data"); data != all.end() && data->is_object()) {
    file.facts = take_facts(*data);
  }
  const auto model = all.find("model");
  if (model == all.end()) return file;
  const nlohmann::json name = model->is_object() ? model->value("name", nlohmann::json()) : *model;
  if (name.is_string()) file.preset = name.get<std::string>();
  return file;
}

}  // namespace nf::flows
