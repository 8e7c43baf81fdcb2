#include "data/picture_attributes.h"

#include <filesystem>

#include "data/csv.h"
#include "data/given.h"
#include "data/input.h"
#include "data/setting_error.h"
#include "tensor/ops.h"
#include "tensor/text.h"

namespace nf::data {
namespace {

/// The name of the first column.
std::string first_name(const std::string& path) {
  InputFile file(path);
  std::string head(1 << 12, '\0');
  head.resize(file.read_up_to(head.data(), head.size()));
  return unquoted(head.substr(0, head.find_first_of(",;\t\r\n")));
}

Table read_table(const std::string& path, const std::vector<std::string>& wanted) {
  try {
    return read_csv(path, {.columns = wanted, .given = wanted, .split_by = first_name(path)});
  } catch (const SettingError& error) {
    NF_CHECK(error.key() != "split_by", "[data] '", printable(path),
             "': its first line must have names, as file,a,b");
    throw;
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
    NF_CHECK(rows_.emplace(table.groups[i], i).second, "[data] '", printable(path_),
             "': there are two rows of '", printable(table.groups[i]), "'");
  }
  values_ = table.values;
}

std::int64_t PictureAttributes::row_of(const std::string& name, const std::string& path) const {
  auto found = rows_.find(path);
  if (found == rows_.end()) found = rows_.find(file_name(path));
  NF_CHECK(found != rows_.end(), name, " has no row in ", printable(path_));
  return found->second;
}

Tensor PictureAttributes::at(const std::vector<std::int32_t>& rows) const {
  return index_select(values_, 0, Tensor::from(rows, {std::ssize(rows)}));
}

}  // namespace nf::data
