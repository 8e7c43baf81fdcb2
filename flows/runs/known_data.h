// What a run knows of its data: all that a command needs which reads no rows. In config.json these
// facts stand beside the settings of "data".
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "data/dataset.h"
#include "data/png.h"
#include "flows/models/config.h"

namespace nf::flows {

struct KnownData {
  data::Dataset shape;                 ///< without rows
  std::string path;                    ///< absolute, of the source; empty for what is built in
  std::string valid_path, test_path;   ///< the same of valid_data and test_data, empty without
  std::optional<data::Bounds> bounds;  ///< of the training rows of 2-D data
  /// Both columns of a built-in density have one unit.
  data::Axes axes() const { return path.empty() ? data::Axes::OneUnit : data::Axes::OwnUnits; }

  /// Which rows a part has is told by its cut, and checked by its checksum.
  struct Part {
    std::int64_t count = 0;
    std::string checksum = {};
    std::string rows = {};  ///< checksum of the modelled columns alone; empty in older runs
  };
  Part train, valid, test;
  /// Of labels that are given: how many training rows have each. Empty: not known.
  std::vector<std::int64_t> label_counts;
  const Part& part(const std::string& split) const {
    return split == "train" ? train : split == "valid" ? valid : test;
  }
};

/// What a model must know of them.
DataShape shape_of(const data::Dataset& data);
/// Of a part's rows and labels.
std::string checksum_of(const data::Split& part);
KnownData known_data(const data::Dataset& data, const Config& config);

/// Puts the facts among the settings `data`.
void write_facts(const KnownData& known, nlohmann::ordered_json& data);
/// Takes them out again. A text for `columns` is no fact: it stays, as the setting.
nlohmann::json take_facts(nlohmann::json& data);
/// Throws Error for what is missing, of a wrong type, or contradicts itself; `where` begins the
/// message.
KnownData known_from_facts(const nlohmann::json& facts, const std::string& where);

/// Whether a source is a name, of what is drawn and has no path.
bool built_in(const std::string& source);
/// The absolute path of a source "path" or "format:path", in the same form; empty for a built-in
/// name, for '', and for what is no UTF-8, which config.json cannot hold.
std::string absolute_source(const std::string& source);
/// What tells a source from others, however it is written: its absolute path, or its name.
std::string source_place(const std::string& source);
/// Whether there is something at a source's path; true for a built-in name.
bool source_exists(const std::string& source);

}  // namespace nf::flows
