// Draws the tape of y = sum(log x + x^2): values to the right, gradients to the left. Chapter 2 of
// the book shows the picture.
#include <cstdio>
#include <iomanip>
#include <map>

#include "autograd/functions.h"
#include "examples/picture.h"

using namespace nf;

static std::map<std::string, Tensor> gradients;  // of what was watched, by name

/// x itself, with a node of its own on the tape: backward passes through it, and it notes what.
static Var watched(const char* name, const Var& x) {
  return Tape::current()->record(name, x.value(), [name, slot = x.slot()](const Tensor& dout) {
    gradients[name] = dout;
    slot->accumulate(dout);
  });
}

static std::string numbers(const Tensor& t) {
  std::ostringstream out;
  out << std::setprecision(3);
  for (const double v : t.to_vector<double>()) out << (out.tellp() > 0 ? ", " : "") << v;
  return out.str();
}

constexpr double kWidth = 120, kHeight = 34;

/// A node: its name in a box, its value above it, the gradient of its value below.
static void node(Diagram& diagram, double x, double y, const char* name, const Tensor& value,
                 const Tensor& gradient) {
  diagram.box(x, y, kWidth, kHeight, name, "#eef3f8");
  diagram.text(x + kWidth / 2, y - 13, numbers(value), Diagram::kBlue);
  diagram.text(x + kWidth / 2, y + kHeight + 13, numbers(gradient), Diagram::kOrange);
}

/// From the right side of one node to the left side of another, and back below.
static void edge(Diagram& diagram, double x1, double y1, double x2, double y2) {
  constexpr double apart = 5;
  const double bend = y2 > y1 ? 9 : y2 < y1 ? -9 : 0;  // arrows that meet leave room for each other
  y1 += kHeight / 2 + bend;
  y2 += kHeight / 2 - bend;
  diagram.arrow(x1 + kWidth + 4, y1 - apart, x2 - 4, y2 - apart, Diagram::kBlue);
  diagram.arrow(x2 - 4, y2 + apart, x1 + kWidth + 4, y1 + apart, Diagram::kOrange);
}

int main(int argc, char** argv) {
  const Var x = Var::leaf(Tensor::from<double>({0.5, 1, 4}, {3}));
  Tape tape;
  const Var a = watched("a", log(watched("by log", x)));
  const Var b = watched("b", square(watched("by square", x)));
  const Var c = watched("c", a + b), y = sum(c);
  tape.backward(y);

  Diagram diagram(780, 250);
  const double left = 20, step = 200, middle = 108, up = 50, down = 166;
  edge(diagram, left, middle, left + step, up);
  edge(diagram, left, middle, left + step, down);
  edge(diagram, left + step, up, left + 2 * step, middle);
  edge(diagram, left + step, down, left + 2 * step, middle);
  edge(diagram, left + 2 * step, middle, left + 3 * step, middle);
  node(diagram, left, middle, "x, a leaf", x.value(), x.grad());
  node(diagram, left + step, up, "1: a = log x", a.value(), gradients["a"]);
  node(diagram, left + step, down, "2: b = square x", b.value(), gradients["b"]);
  node(diagram, left + 2 * step, middle, "3: c = a + b", c.value(), gradients["c"]);
  node(diagram, left + 3 * step, middle, "4: y = sum c", y.value(), Tensor::ones({}, DType::F64));
  diagram.text(216, 114, "+ " + numbers(gradients["by log"]), Diagram::kOrange);
  diagram.text(150, 184, "+ " + numbers(gradients["by square"]), Diagram::kOrange);
  diagram.text(640, 20, "values, forwards", Diagram::kBlue);
  diagram.text(640, 230, "gradients of y, backwards", Diagram::kOrange);
  const char* path = argc > 1 ? argv[1] : "tape.svg";
  diagram.write(path);
  std::printf("wrote %s\n", path);

  const Tensor expected = reciprocal(x.value()) + 2 * x.value();
  return max(abs(x.grad() - expected)).item() < 1e-12 ? 0 : 1;
}
