// flowcli inpaint: fills in missing parts of images (NICE, section 5.2 and figure 6).
#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>

#include "cli/budget.h"
#include "cli/choice.h"
#include "cli/cli.h"
#include "cli/interrupt.h"
#include "cli/progress.h"
#include "data/levels.h"
#include "data/png.h"
#include "flows/examine/inpaint.h"
#include "flows/train/evaluate.h"
#include "tensor/ops.h"
#include "tensor/text.h"

namespace nf::cli {

namespace {

struct InpaintCommand {
  Common common;
  ModelOptions model;
  RowOptions rows;
  std::string mask = "all", out, ascent_name = "controlled";
  flows::InpaintOptions ascent;
  int scale = 0;
};

// u8 (D), 1 where observed: white in the picture.
Tensor mask_from_png(const std::string& path, const data::Dataset& shape) {
  const Tensor gray = data::read_png(path);
  NF_CHECK(gray.dim(0) == shape.height && gray.dim(1) == shape.width, "[inpaint] the mask '", path,
           "' is ", gray.dim(1), " x ", gray.dim(0), " pixels, the images are ", shape.width, " x ",
           shape.height);
  const Tensor observed = greater_equal(gray.to(DType::F32), Tensor::scalar(128));
  return observed.reshape({-1, 1})
      .broadcast_to({shape.height * shape.width, shape.channels})
      .contiguous()
      .reshape({-1});
}

// u8 (N, D): the images in groups, one for each mask, as equal as they can be.
Tensor masks_for(std::int64_t n, const std::string& mask, const data::Dataset& shape,
                 std::uint64_t seed) {
  if (mask.ends_with(".png"))
    return mask_from_png(mask, shape).unsqueeze(0).broadcast_to({n, shape.dims});
  const std::vector<std::string> names =
      mask == "all" ? flows::inpaint_masks() : std::vector<std::string>{mask};
  Generator gen(seed, /*stream=*/0x6D61736B);
  std::vector<Tensor> rows;
  for (std::int64_t i = 0; i < n; ++i) {
    const auto at = static_cast<std::size_t>(i * std::ssize(names) / n);
    rows.push_back(flows::inpaint_mask(names[at], shape.channels, shape.height, shape.width, gen)
                       .unsqueeze(0));
  }
  return concat(rows, 0);
}

// Rows x, then x with gray where it is not observed, then filled (N, D), for each image in turn:
// all of pixels, since one bit has no gray.
Tensor triples(const Tensor& x, const Tensor& observed, const Tensor& filled) {
  constexpr double kMissing = 96;
  const std::int64_t n = x.dim(0), dims = x.dim(1);
  const Tensor masked = where(observed, x.to(DType::F32), Tensor::scalar(kMissing)).to(DType::U8);
  std::vector<Tensor> parts;
  for (const Tensor& part : {x, masked, filled}) parts.push_back(part.reshape({n, 1, dims}));
  return concat(parts, 1).reshape({3 * n, dims});
}

void check_asked(const InpaintCommand& options, const TrainedModel& model) {
  const std::vector<std::string> masks = flows::inpaint_masks();
  check_usage(options.mask == "all" || options.mask.ends_with(".png") ||
                  std::find(masks.begin(), masks.end(), options.mask) != masks.end(),
              "[inpaint] there is no mask '", printable(options.mask), "'",
              did_you_mean(options.mask, masks), "; masks are all, ", join(masks, ", "),
              ", or a FILE.png");
  check_usage(model.shape.images() && model.shape.discrete, "[inpaint] ", model.run.path(),
              " is no model of images");
  check_usage(model.flow("inpaint").lossless(), "[inpaint] ", model.run.path(),
              " has no density of reals to climb: its latents do not say all of an image");
}

void inpaint(const InpaintCommand& options) {
  const Device device = options.common.apply();
  const TrainedModel model = options.model.load(options.common, device);
  const data::Dataset& shape = model.shape;
  const std::string out = out_path(options.out, model.run, "inpaint.png");
  check_ending("inpaint", out, {".png"});
  check_asked(options, model);
  const Rows rows = options.rows.load(model);
  const Tensor& x = rows.x;
  const std::int64_t n = x.dim(0);
  const Tensor observed = masks_for(n, options.mask, shape, options.ascent.seed);

  const auto density = model.flow("inpaint").continuous();
  flows::InpaintOptions ascent = options.ascent;
  ascent.given = rows.given;
  if (options.ascent_name == "paper") ascent.ascent = flows::Ascent::Paper;
  ascent.low = 0;  // the last real below K: K itself is no level
  ascent.high = std::nextafter(static_cast<float>(model.density->levels()), 0.0F);
  // A step looks at all images at once.
  check_rows(*density, n, str("the ascent of ", n, " images"), "take fewer with -n");
  const Tensor middle = (x.to(DType::F32) + 0.5).to(device);
  const std::vector<double> of_originals =
      flows::score(*density, middle, {.batch_size = 100, .given = rows.given});
  const std::string broken = describe_nan(*density, middle, of_originals, rows.given);
  if (!broken.empty()) throw flows::Diverged("[inpaint] " + broken);
  catch_interrupts();
  Progress progress(options.common.quiet);
  int steps = 0;
  ascent.on_step = [&](int done) {
    steps = done;
    progress.step(done, ascent.steps, str(n, " images"), "");
    return !interrupted();
  };
  const flows::Inpainted result = flows::inpaint(*density, middle, observed, ascent);
  progress.clear();
  if (steps < ascent.steps) {
    options.common.note(str("interrupted after ", steps, " of ", ascent.steps, " steps"));
  }

  const std::int64_t across = options.mask == "all" ? n / 10 : std::min<std::int64_t>(n, 5);
  const Tensor filled = result.x.to(Device::CPU).to(DType::U8);
  const auto pixels = [&](const Tensor& rows) {
    return data::pixels_of_levels(rows, shape.levels);
  };
  data::Dataset shown = shape;
  shown.levels = data::kLevels;
  write_samples_png(out, triples(pixels(x), observed.to(Device::CPU), pixels(filled)), shown, {},
                    3 * across, options.scale);
  const auto nats = [&](const std::vector<double>& log_probs) {
    const double sum = std::accumulate(log_probs.begin(), log_probs.end(), 0.0);
    return density->nats(sum / static_cast<double>(log_probs.size()));
  };
  const double original = nats(of_originals);
  const double start = nats(result.start), end = nats(result.end);
  const bool helped = end > start;
  const bool paper = ascent.ascent == flows::Ascent::Paper;
  const std::string outcome =
      helped ? "the ascent helped"
      : paper
          ? "the ascent did NOT help: its noise is too large for this density; leave --ascent out"
          : "the ascent found nothing better than noise; take more --steps";
  options.common.result(
      {{"file", out},
       {"count", n},
       {"mask", options.mask},
       {"ascent", paper ? "paper" : "controlled"},
       {"steps", steps},
       {"original_nats", number(original)},
       {"start_nats", number(start)},
       {"filled_nats", number(end)},
       {"helped", helped}},
      str("wrote ", n, " images to ", out, ": original, masked, filled in\n",
          "  mean nats of the originals ", original, "; of what is filled in, at first ", start,
          ", now ", end, "\n  ", outcome, "\n"));
  if (steps < ascent.steps) throw Interrupted();
}

}  // namespace

void add_inpaint(CLI::App& app) {
  auto options = std::make_shared<InpaintCommand>();
  CLI::App* command = app.add_subcommand("inpaint", "Fill in missing parts of images");
  options->model.add_to(*command);
  options->rows.add_to(*command, 30);
  command
      ->add_option("--mask", options->mask,
                   "What is missing; all: each of these, in equal groups; or FILE.png, white where "
                   "observed")
      ->type_name("MASK:{all," + join(flows::inpaint_masks(), ",") + ",PATH}")
      ->capture_default_str();
  command->add_option("--steps", options->ascent.steps, "Of gradient ascent")
      ->check(whole(1, 10'000'000))
      ->capture_default_str();
  command
      ->add_option("--ascent", options->ascent_name,
                   "controlled: keeps only what is likelier, and the noise dies out; paper: steps "
                   "and noise of the paper's sizes")
      ->check(CLI::IsMember({"controlled", "paper"}))
      ->capture_default_str();
  command
      ->add_option("--gradient", options->ascent.gradient,
                   "With --ascent paper, its weight beside the noise; the paper's formula has 1")
      ->check(real(1e-12))
      ->capture_default_str();
  add_seed(*command, options->ascent.seed, "Of masks, start and noise");
  command->add_option(
      "--out", options->out,
      "FILE.png: original, masked, filled in; and so on (default: RUN/inpaint.png)");
  add_scale(*command, options->scale);
  options->common.add_to(*command);
  command->footer(
      "Ctrl-C ends the ascent; the picture is of where it got to.\n"
      "Examples:\n  flowcli inpaint runs/mnist --out inpaint.png\n"
      "  flowcli inpaint runs/mnist --mask left --indices 0-9 --out left.png");
  command->callback([options] { inpaint(*options); });
}

}  // namespace nf::cli
