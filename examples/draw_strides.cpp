// Draws how views walk over the memory that they share: one step for each element, in row-major
// order of the view. Chapter 1 of the book shows the picture.
#include <cstdio>

#include "examples/picture.h"
#include "tensor/ops.h"

using namespace nf;

/// Where each element of the view lies in memory: offset + i0 strides0 + i1 strides1.
static std::vector<std::int64_t> walk(const Tensor& view) {
  const Layout& layout = view.layout();
  std::vector<std::int64_t> places;
  for (std::int64_t i = 0; i < view.dim(0); ++i) {
    for (std::int64_t j = 0; j < view.dim(1); ++j) {
      places.push_back(layout.offset + i * layout.strides[0] + j * layout.strides[1]);
    }
  }
  return places;
}

/// One column of the picture: memory as a strip of cells, and below it a dot for each step.
static void draw(Diagram& diagram, double left, const char* name, const Tensor& view,
                 const Tensor& memory) {
  constexpr double cell = 22, top = 80, step = 24;
  const auto numbers = memory.to_vector<float>();
  const double width = cell * static_cast<double>(numbers.size());
  diagram.text(left + width / 2, 20, name);
  diagram.text(left + width / 2, 40,
               str("strides ", view.strides()[0], ", ", view.strides()[1], "; offset ",
                   view.layout().offset),
               Diagram::kGray);
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    diagram.box(left + cell * static_cast<double>(i), top - cell, cell, cell, str(numbers[i]));
  }
  const auto places = walk(view);
  double last_x = 0, y = top + step;
  for (std::size_t i = 0; i < places.size(); ++i, y += step) {
    const double x = left + cell * (static_cast<double>(places[i]) + 0.5);
    if (i > 0) diagram.line(last_x, y - step, x, y);
    last_x = x;
  }
  y = top + step;
  for (std::size_t i = 0; i < places.size(); ++i, y += step) {
    const bool odd_row = static_cast<std::int64_t>(i) / view.dim(1) % 2 == 1;
    diagram.dot(left + cell * (static_cast<double>(places[i]) + 0.5), y,
                odd_row ? Diagram::kOrange : Diagram::kBlue);
  }
}

int main(int argc, char** argv) {
  const Tensor a = Tensor::arange(6).reshape({2, 3}), row = Tensor::arange(3);
  Diagram diagram(850, 250);
  draw(diagram, 20, "a, shape (2, 3)", a, a);
  draw(diagram, 190, "a.t(), (3, 2)", a.t(), a);
  draw(diagram, 360, "a.flip(1), (2, 3)", a.flip(1), a);
  draw(diagram, 530, "every second, (2, 2)", a.slice(1, 0, 2, 2), a);
  draw(diagram, 725, "row, as (2, 3)", row.broadcast_to({2, 3}), row);
  const char* path = argc > 1 ? argv[1] : "strides.svg";
  diagram.write(path);
  std::printf("wrote %s\n", path);

  // The walk is what the library reads.
  const auto places = walk(a.t());
  const auto read = a.t().to_vector<float>();
  bool same = true;
  for (std::size_t i = 0; i < read.size(); ++i) same &= read[i] == static_cast<float>(places[i]);
  return same ? 0 : 1;
}
