// Draws the masks of a MADE and the Jacobian of its outputs, found by gradients: a weight that is
// masked gets none. Colours say at which dimension of the inverse a weight is used. Chapter 12 of
// the book shows the picture.
#include <cstdio>

#include "examples/picture.h"
#include "nn/nets/made.h"

using namespace nf;

constexpr std::int64_t kDims = 4, kUnits = 7;
constexpr double kCell = 26;
constexpr const char* kColours[] = {"#dbe6f0", "#f8dcc8", "#d5ecd9", "#e6d9f0"};

using Table = std::vector<std::vector<bool>>;  // by row and column

static Table nonzero(const Tensor& gradient) {
  Table table;
  for (std::int64_t row = 0; row < gradient.dim(0); ++row) {
    table.emplace_back();
    for (const double v : gradient.narrow(0, row, 1).contiguous().to_vector<double>()) {
      table.back().push_back(v != 0);
    }
  }
  return table;
}

/// A box for every place; what is not 0 has the colour of its row's dimension, from 0.
static void draw(Diagram& diagram, double left, const std::string& title, const Table& table,
                 const std::vector<std::size_t>& dimension) {
  const double top = 70, width = kCell * static_cast<double>(table[0].size());
  diagram.text(left + width / 2, top - 26, title);
  for (std::size_t row = 0; row < table.size(); ++row) {
    const double y = top + kCell * static_cast<double>(row);
    diagram.text(left - 14, y + kCell / 2, str(dimension[row] + 1), Diagram::kGray);
    for (std::size_t column = 0; column < table[row].size(); ++column) {
      diagram.box(left + kCell * static_cast<double>(column), y, kCell, kCell, "",
                  table[row][column] ? kColours[dimension[row]] : "#fff");
    }
  }
}

int main(int argc, char** argv) {
  Generator gen(1);
  nn::Made net({.dims = kDims,
                .hidden_units = kUnits,
                .hidden_layers = 2,
                .activation = nn::activation_by_name("tanh")},
               gen);
  net.to(DType::F64);
  const Tensor x = normal(gen, {20, kDims}, DType::F64);
  {
    Tape tape;
    tape.backward(sum(square(net(Var(x)) + 1.0)));
  }
  std::vector<Table> masks;
  for (const auto& [name, p] : net.parameters()) {
    if (p->value().rank() == 2) masks.push_back(nonzero(p->grad()));
  }

  // What a row needs: the inputs that it sees, counted, or the units, by what these need.
  std::vector<std::vector<std::size_t>> dimensions;
  for (const Table& mask : masks) {
    std::vector<std::size_t> needs;
    for (const std::vector<bool>& row : mask) {
      std::size_t most = 0;
      for (std::size_t i = 0; i < row.size(); ++i) {
        if (row[i]) most = dimensions.empty() ? most + 1 : std::max(most, dimensions.back()[i]);
      }
      needs.push_back(most);
    }
    dimensions.push_back(needs);
  }

  std::vector<Tensor> rows;
  for (std::int64_t d = 0; d < kDims; ++d) {
    const Var at = Var::leaf(x.narrow(0, 0, 1).contiguous());
    Tape tape;
    tape.backward(sum(narrow(net(at), 1, d, 1)));
    rows.push_back(at.grad());
  }
  const Table jacobian = nonzero(concat(rows, 0));

  Diagram diagram(820, 280);
  draw(diagram, 60, "inputs to units", masks[0], dimensions[0]);
  draw(diagram, 230, "units to units", masks[1], dimensions[1]);
  draw(diagram, 470, "units to outputs", masks[2], dimensions[2]);
  draw(diagram, 710, "outputs by inputs", jacobian, {0, 1, 2, 3});
  const char* path = argc > 1 ? argv[1] : "made.svg";
  diagram.write(path);
  std::printf("wrote %s\n", path);
  bool triangular = true;
  for (std::size_t i = 0; i < jacobian.size(); ++i) {
    for (std::size_t j = 0; j < jacobian.size(); ++j) {
      triangular = triangular && jacobian[i][j] == (j < i);
    }
  }
  return triangular && dimensions[2] == std::vector<std::size_t>{0, 1, 2, 3} ? 0 : 1;
}
