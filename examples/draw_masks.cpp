// Draws where the pixels of an image go: into the halves of a checkerboard, and into channels by
// the two orders of a squeeze. Each number is a pixel. Chapter 10 of the book shows the picture.
#include <algorithm>
#include <cstdio>
#include <functional>

#include "examples/picture.h"
#include "flows/layers/partition.h"
#include "flows/layers/reshape.h"

using namespace nf;

constexpr std::int64_t kSide = 4;
constexpr double kCell = 34;
constexpr const char *kPale = "#dbe6f0", *kWarm = "#f8dcc8";

/// values (H, W), a box for each; `warm` says which are orange.
static void draw(Diagram& diagram, double left, double top, const std::string& title,
                 const Tensor& values, const std::function<bool(double)>& warm) {
  const auto numbers = values.to_vector<float>();
  const std::int64_t width = values.dim(1);
  diagram.text(left + kCell * static_cast<double>(width) / 2, top - 14, title);
  for (std::int64_t i = 0; i < values.numel(); ++i) {
    const double v = numbers[static_cast<std::size_t>(i)];
    diagram.box(left + kCell * static_cast<double>(i % width),
                top + kCell * static_cast<double>(i / width), kCell, kCell, str(v),
                warm(v) ? kWarm : kPale);
  }
}

int main(int argc, char** argv) {
  const Tensor image = (Tensor::arange(kSide * kSide) + 1).reshape({1, kSide, kSide, 1});
  Diagram diagram(820, 440);
  const auto of_image = [](const Var& x) { return x.value().reshape({x.dim(1), x.dim(2)}); };

  const auto board = flows::Partition::checkerboard(1);
  const auto [passive, active] = board.split(Var(image));
  const std::vector<float> changed = active.value().to_vector<float>();
  const auto is_active = [&](double v) {
    return std::find(changed.begin(), changed.end(), static_cast<float>(v)) != changed.end();
  };
  draw(diagram, 60, 60, "a checkerboard", of_image(Var(image)), is_active);
  draw(diagram, 300, 60, "passive", of_image(passive), is_active);
  draw(diagram, 430, 60, "active", of_image(active), is_active);
  const Var zeros = active.value().zeros_like();
  draw(diagram, 630, 60, "what a masked network sees", of_image(board.join(passive, zeros)),
       is_active);

  bool complete = true;
  const auto channels = [&](double top, flows::SqueezeOrder order, const std::string& title) {
    const Tensor z = flows::Squeeze(order).forward(Var(image)).value.value();
    diagram.text(160, top + kCell, title);
    for (std::int64_t c = 0; c < 4; ++c) {
      const Tensor channel = z.narrow(3, c, 1).reshape({kSide / 2, kSide / 2});
      draw(diagram, 300 + 130 * static_cast<double>(c), top, str("channel ", c), channel,
           is_active);
    }
    const Tensor first = z.narrow(3, 0, 2).contiguous();
    for (const float v : first.to_vector<float>()) {
      complete = complete && (order == flows::SqueezeOrder::ByChannel || !is_active(v));
    }
  };
  channels(250, flows::SqueezeOrder::ByChannel, "squeezed");
  channels(360, flows::SqueezeOrder::ByColour, "squeezed by colour");

  const char* path = argc > 1 ? argv[1] : "masks.svg";
  diagram.write(path);
  std::printf("wrote %s\n", path);
  return complete &&
                 board.join(passive, active).value().to_vector<float>() == image.to_vector<float>()
             ? 0
             : 1;
}
