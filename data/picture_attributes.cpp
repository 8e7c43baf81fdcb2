#include "data/picture_attributes.h"

#include <algorithm>
#include <filesystem>

#include "data/csv.h"
#include "data/csv_header.h"
#include "data/csv_text.h"
#include "data/input.h"
#include "data/setting_error.h"
#include "tensor/ops.h"
#include "tensor/text.h"

namespace nf::data {
namespace {

/// Of all columns; throws Error where the first line has none.
std::vector<std::string> column_names(const std::string& path) {
  constexpr std::size_t kHead = 1 << 16;
  InputFile file(path);
  std::string head(kHead, '\0');
  head.resize(file.read_up_to(head.data(), head.size()));
  if (head.size() == kHead) head.resize(std::min(kHead, head.rfind('\n')));
  CsvText text(path, head);
  text.skip_comments();
  text.choose_separator();
  std::vector<std::string> names, below;
  if (text.next()) text.split(names);
  if (text.next()) text.split(below);
  CellReader cells;
  cells.separated_by(text.separator());
  NF_CHECK(!names.empty() && is_header(names, below, cells), "[data] '", printable(path),
           "': its first line must have names, as file,a,b");
  return names;
}

/// Advice for tables that are trained on would not help here.
Table read_table(const std::string& path, const std::vector<std::string>& wanted) {
  const std::vector<std::string> names = column_names(path);
  const std::string& files = names[0];
  const std::vector<std::string> others(names.begin() + 1, names.end());
  for (const std::string& name : wanted) {
    const bool there = std::find(others.begin(), others.end(), trimmed(name)) != others.end();
    check_setting(there, "given", "[given] '", printable(path), "' has no column '",
                  printable(name), "'", there ? "" : printable(did_you_mean(name, others)),
                  "; it has ", printable(join(others, ", "), 200));
  }
  try {
    return read_csv(
        path, {.columns = wanted, .given = wanted, .split_by = files, .may_lack_split_by = true});
  } catch (const SettingError&) {
    throw;
  } catch (const Error& error) {
    fail(str(error.what(), "; what is given with pictures is numbers, as 0 and 1"));
  }
}

std::string file_name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

}  // namespace

PictureAttributes::PictureAttributes(const std::string& folder,
                                     const std::vector<std::string>& wanted)
    : path_((std::filesystem::path(folder) / kAttributes).string()) {
  std::error_code error;
  check_setting(std::filesystem::is_regular_file(path_, error), "given", "[given] '",
                printable(folder), "' holds images, which have no columns; give label, or put a ",
                "table ", kAttributes, " into the folder: file,a,b with a line for each picture");
  const Table table = read_table(path_, wanted);
  for (std::size_t i = 0; i < table.groups.size(); ++i) {
    const std::string& file = table.groups[i];
    NF_CHECK(rows_.emplace(file.starts_with("./") ? file.substr(2) : file, i).second, "[data] '",
             printable(path_), "': there are two rows of '", printable(file), "'");
  }
  values_ = table.values;
}

std::int64_t PictureAttributes::row_of(const std::string& name, const std::string& path) const {
  auto found = rows_.find(path);
  if (found == rows_.end()) found = rows_.find(file_name(path));
  NF_CHECK(found != rows_.end(), name, " has no row in ", printable(path_), ", and needs one");
  return found->second;
}

Tensor PictureAttributes::at(const std::vector<std::int32_t>& rows) const {
  return index_select(values_, 0, Tensor::from(rows, {std::ssize(rows)}));
}

}  // namespace nf::data
