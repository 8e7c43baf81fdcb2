// Draws an affine coupling and its Jacobian, taken from the tape: half of it is zero, whatever the
// network is. Chapter 4 of the book shows the picture.
#include <cmath>
#include <cstdio>

#include "examples/picture.h"
#include "flows/layers/coupling.h"
#include "flows/maps/affine.h"
#include "nn/nets/mlp.h"
#include "tensor/linalg.h"

using namespace nf;

constexpr std::int64_t kDims = 6;

/// dz_i/dx_j at x, shape (D, D): row i is the gradient of z_i.
static Tensor jacobian(flows::Transform& layer, const Tensor& x) {
  std::vector<Tensor> rows;
  for (std::int64_t i = 0; i < kDims; ++i) {
    const Var leaf = Var::leaf(x);
    Tape tape;
    tape.backward(sum(slice(layer.forward(leaf).value, 1, i, 1)));
    rows.push_back(leaf.grad());
  }
  return concat(rows, 0);
}

static void draw_layer(Diagram& diagram) {
  const char* fill = "#eef3f8";
  diagram.box(20, 60, 90, 50, "passive x1", fill);
  diagram.box(20, 190, 90, 50, "active x2", fill);
  diagram.box(175, 122, 90, 40, "network m", "#fbefe6");
  diagram.box(165, 195, 110, 40, "x2 exp(s) + t", "#fbefe6");
  diagram.box(330, 60, 90, 50, "z1 = x1", fill);
  diagram.box(330, 190, 90, 50, "z2", fill);
  diagram.arrow(114, 85, 326, 85);
  diagram.arrow(220, 85, 220, 118);
  diagram.arrow(220, 166, 220, 191);
  diagram.text(242, 179, "s, t");
  diagram.arrow(114, 215, 161, 215);
  diagram.arrow(279, 215, 326, 215);
}

/// The Jacobian as cells: the larger, the darker; zeros are white.
static void draw_matrix(Diagram& diagram, double left, const char* title, const Tensor& matrix) {
  constexpr double cell = 30, top = 75;
  diagram.text(left + 3 * cell, 24, title);
  const auto values = matrix.to_vector<double>();
  for (std::int64_t i = 0; i < kDims; ++i) {
    const double y = top + cell * static_cast<double>(i);
    diagram.text(left - 18, y + cell / 2, str("z", i), Diagram::kGray);
    diagram.text(left + cell * (static_cast<double>(i) + 0.5), top - 14, str("x", i),
                 Diagram::kGray);
    for (std::int64_t j = 0; j < kDims; ++j) {
      const double size = std::min(1.0, std::abs(values[static_cast<std::size_t>(i * kDims + j)]));
      const auto shade = static_cast<int>(std::lround(255 - 190 * std::sqrt(size)));
      diagram.box(left + cell * static_cast<double>(j), y, cell, cell, "",
                  str("rgb(", shade, ",", shade, ",", std::min(255, shade + 40), ")").c_str());
    }
  }
}

int main(int argc, char** argv) {
  Diagram diagram(920, 290);
  draw_layer(diagram);
  Generator gen(/*seed=*/3);
  const Tensor x = normal(gen, {1, kDims}, DType::F64);
  double worst = 0;
  const auto draw = [&](double left, const char* title, const flows::Partition& partition) {
    flows::Coupling layer(partition, flows::affine_map(),
                          nn::mlp({.in = 3, .out = 6, .hidden_units = 8}, gen));
    layer.to(DType::F64);
    const Tensor j = jacobian(layer, x);
    draw_matrix(diagram, left, title, j);
    const double claimed = layer.forward(x).log_det.value().item();
    std::printf("%s: ln|det J| %.6f, log_det %.6f\n", title, slogdet(j).logdet.item(), claimed);
    worst = std::max(worst, std::abs(slogdet(j).logdet.item() - claimed));
  };
  draw(490, "Jacobian, split in halves", flows::Partition::halves(kDims));
  draw(720, "Jacobian, odd given even", flows::Partition::odd_even(kDims));
  const char* path = argc > 1 ? argv[1] : "coupling.svg";
  diagram.write(path);
  std::printf("wrote %s\n", path);
  return worst < 1e-10 ? 0 : 1;
}
