// Tensors: shapes, strides, views, broadcasting, and an error that says what to do.
#include <cstdio>

#include "tensor/ops.h"

using namespace nf;

static void show(const char* what, const Tensor& t) {
  std::printf("%-18s %-8s strides", what, str(t.shape()).c_str());
  for (int d = 0; d < t.rank(); ++d) std::printf(" %2lld", static_cast<long long>(t.strides()[d]));
  std::printf("  values");
  for (const float value : t.to_vector<float>()) std::printf(" %g", value);
  std::printf("\n");
}

int main() {
  // A view is another layout over the same storage: no element moves.
  Tensor a = Tensor::arange(6).reshape({2, 3});
  show("a", a);
  show("a.t()", a.t());
  show("a.flip(1)", a.flip(1));
  show("every second", a.slice(1, 0, 2, 2));  // of dimension 1: from 0, 2 of them, step 2
  a.t().narrow(0, 1, 1).fill_(9);             // row 1 of the transpose is column 1 of a
  show("a, written to", a);

  // Broadcasting is a view too: stride 0 repeats an element.
  const Tensor row_means = mean(a, {1}, /*keep_dims=*/true);  // (2, 1)
  show("means of rows", row_means);
  show("means, broadcast", row_means.broadcast_to({2, 3}));
  const Tensor centred = a - row_means;  // (2, 3) - (2, 1)
  show("a - means", centred);

  // A product takes transposed views as they are.
  const Tensor gram = matmul(centred, centred.t());  // (2, 3) x (3, 2)
  show("centred gram", gram);

  std::string message;
  try {
    matmul(a, a);
  } catch (const Error& error) {
    message = error.what();
  }
  std::printf("%s\n", message.c_str());

  const bool view_wrote = a.narrow(1, 1, 1).to_vector<float>() == std::vector<float>{9, 9};
  const bool rows_sum_to_zero = max(abs(sum(centred, {1}))).item() < 1e-6;
  return view_wrote && rows_sum_to_zero && message.find("(2, 3)") != message.npos ? 0 : 1;
}
