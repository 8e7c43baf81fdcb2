// flowcli attributes: pictures encoded as what they are and decoded as something else (RealNVP,
// appendix F).
#include <algorithm>
#include <memory>

#include "cli/cli.h"
#include "cli/given.h"
#include "cli/latents.h"
#include "cli/picture_rows.h"
#include "tensor/text.h"

namespace nf::cli {

namespace {

struct AttributesCommand {
  PictureOptions pictures;
  std::vector<std::string> given;
};

// The values of a column that are shown: all of a few, else the tenth percentile and the ninetieth.
std::vector<double> values_of_column(const data::Dataset& source, std::int64_t column) {
  constexpr std::size_t kFew = 4;
  std::vector<double> all;
  for (const data::Split* part : {&source.train, &source.valid, &source.test}) {
    if (part->size() == 0) continue;
    const std::vector<double> more = part->given.narrow(1, column, 1).to_vector<double>();
    all.insert(all.end(), more.begin(), more.end());
  }
  std::sort(all.begin(), all.end());
  std::vector<double> distinct = all;
  distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
  if (distinct.size() <= kFew) return distinct;
  return {all[all.size() / 10], all[all.size() - 1 - all.size() / 10]};
}

// What each row of pictures is given, where nothing is asked for: each label, or each column
// changed to each of its values.
std::vector<GivenValues> all_changes(const TrainedModel& model, const data::Dataset& source) {
  std::vector<GivenValues> changes;
  for (int label = 0; label < model.shape.given_classes; ++label) {
    changes.push_back({{0, static_cast<double>(label)}});
  }
  if (!changes.empty()) return changes;
  for (std::size_t at = 0; at < model.shape.given.size(); ++at) {
    for (const double value : values_of_column(source, static_cast<std::int64_t>(at))) {
      changes.push_back({{at, value}});
    }
  }
  return changes;
}

std::vector<GivenValues> changes_of(const AttributesCommand& options, const TrainedModel& model,
                                    const data::Dataset& source) {
  std::vector<GivenValues> changes;
  for (const std::string& text : options.given) {
    if (text == kAll) {
      check_usage(options.given.size() == 1, "[attributes] --given all is every value by itself; ",
                  "nothing can stand beside it");
      return all_changes(model, source);
    }
    changes.push_back(parse_given_values(text, model.shape));
  }
  return changes.empty() ? all_changes(model, source) : changes;
}

// "label=1 ('light')", "smile=1, young=0"
std::string change_text(const GivenValues& values, const data::Dataset& shape) {
  std::vector<std::string> parts;
  for (const auto& [at, value] : values) {
    parts.push_back(str(printable(shape.given[at]), "=", value));
    if (shape.given_classes == 0 || shape.class_names.empty()) continue;
    parts.back() += " ('" + shape.class_names[static_cast<std::size_t>(value)] + "')";
  }
  return join(parts, ", ");
}

void attributes(const AttributesCommand& options) {
  const PictureOptions& pictures = options.pictures;
  const Device device = pictures.common.apply();
  const TrainedModel model = pictures.model.load(pictures.common, device);
  const data::Dataset& shape = model.shape;
  check_usage(shape.images(), "[attributes] ", model.run.path(), " is no model of images");
  check_usage(!shape.given.empty(), "[attributes] ", model.run.path(),
              " is no conditional model: nothing is given that could be changed; train one with "
              "--given label, or --given a,b of columns");
  const std::string out = out_path(pictures.out, model.run, "attributes.png");
  const Rows rows = pictures.rows.load(model);
  const std::vector<GivenValues> changes = changes_of(options, model, rows.source);
  check_picture_rows("attributes", pictures, model, out, rows.x.dim(0), std::ssize(changes));

  const Tensor z = encode_in_parts("attributes", model, rows.x, rows.given);
  std::vector<PictureRow> lines;
  for (const GivenValues& values : changes) {
    Json facts = Json::object();
    for (const auto& [at, value] : values) {
      const bool label = shape.given_classes > 0;
      facts[printable(shape.given[at])] = label ? Json(static_cast<int>(value)) : Json(value);
    }
    lines.push_back({.what = change_text(values, shape),
                     .facts = facts,
                     .z = z,
                     .given = with_values(rows.given, values)});
  }
  write_picture_rows("attributes", pictures, model, out, rows, lines, Json::object());
}

}  // namespace

void add_attributes(CLI::App& app) {
  auto options = std::make_shared<AttributesCommand>();
  CLI::App* command =
      app.add_subcommand("attributes", "Pictures decoded as something else than they are");
  options->pictures.add_to(*command, "attributes.png");
  command
      ->add_option("--given", options->given,
                   "A row of pictures for which this is changed: NAME=VALUE,... (or VALUE); may be "
                   "repeated (default: all, each label, or each column's values by themselves)")
      ->allow_extra_args(false);
  command->footer(
      "Each picture is encoded with what is given with it, then decoded with something else; what\n"
      "is not named stays. The first row of the picture are the data. Columns of more than four\n"
      "values are changed to their tenth percentile and their ninetieth.\n"
      "Examples:\n  flowcli attributes runs/digits --indices 0-9\n"
      "  flowcli attributes runs/faces --given smile=1 --given smile=0,young=1");
  command->callback([options] { attributes(*options); });
}

}  // namespace nf::cli
