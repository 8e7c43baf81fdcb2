#include "cli/picture_rows.h"

#include <utility>

#include "cli/latents.h"
#include "tensor/memory.h"
#include "tensor/ops.h"

namespace nf::cli {

void PictureOptions::add_to(CLI::App& app, const char* file) {
  model.add_to(app);
  rows.add_to(app, 10);
  app.add_option("--out", out, str("FILE.png or FILE.npy (default: RUN/", file, ")"));
  add_scale(app, scale);
  common.add_to(app);
}

void check_picture_rows(const char* command, const PictureOptions& options,
                        const TrainedModel& model, const std::string& out, std::int64_t n,
                        std::int64_t count) {
  check_ending(command, out, {".png", ".npy"});
  check_picture(out, n * (count + 1), model.shape, n, options.scale);
  constexpr double kCopies = 5;  // latents and data, f32, at once and by rows; levels
  check_memory(kCopies * sizeof(float) * static_cast<double>(n * (count + 1) * model.shape.dims),
               str(count + 1, " rows of ", n, " pictures"), "take fewer with -n");
}

void write_picture_rows(const char* command, const PictureOptions& options,
                        const TrainedModel& model, const std::string& out, const Rows& rows,
                        const std::vector<PictureRow>& pictures, Json facts) {
  const std::int64_t n = rows.x.dim(0);
  std::vector<Tensor> latents, given;
  std::string text;
  Json list = Json::array({"data"});
  for (const PictureRow& picture : pictures) {
    latents.push_back(picture.z);
    if (picture.given.defined()) given.push_back(picture.given);
    list.push_back(picture.facts);
    text += str("  row ", list.size(), ": ", picture.what, "\n");
  }
  const Tensor x = decode_in_parts(command, model, concat(latents, 0),
                                   given.empty() ? Tensor() : concat(given, 0));
  const DType type = model.shape.discrete ? DType::U8 : x.dtype();
  write_samples(out, concat(std::vector<Tensor>{rows.x.to(type), x.to(type)}, 0), model.shape, n,
                options.scale);
  Json result = {{"file", out},
                 {"count", n},
                 {"data", rows.name},
                 {"split", rows.split},
                 {"samples", rows.number},
                 {"rows", list}};
  for (auto& [key, value] : facts.items()) result[key] = std::move(value);
  options.common.result(result, str("wrote ", list.size(), " rows of ", n, " pictures to ", out,
                                    "\n  row 1: ", rows.text(), "\n", text));
}

}  // namespace nf::cli
