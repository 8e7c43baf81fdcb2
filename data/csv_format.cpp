// CSV as a format of data sources.
#include "data/csv.h"
#include "data/format.h"

namespace nf::data {

namespace {

Samples csv_samples(const std::string& path, const ReadOptions& options) {
  Table table = read_csv(path, options);
  Samples out;
  out.rows = {.x = table.values, .labels = table.labels, .numbers = table.numbers};
  out.columns = std::move(table.columns);
  out.groups = std::move(table.groups);
  out.notes = std::move(table.notes);
  out.skipped = table.dropped;
  out.class_names = std::move(table.classes);
  out.form = std::move(table.form);
  out.categories = std::move(table.categories);
  return out;
}

}  // namespace

Format csv_format() {
  return {"csv", [](const std::string&, std::string_view head) { return looks_like_text(head); },
          [](const std::string& path, const ReadOptions& options) {
            return only(csv_samples(path, options));
          }};
}

}  // namespace nf::data
