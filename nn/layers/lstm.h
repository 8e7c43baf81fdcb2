// LSTM: what is kept from step to step, and the gates that change it; RowLstm, down the rows of
// images.
#pragma once

#include <string>
#include <vector>

#include "nn/layers/conv2d.h"

namespace nf::nn {

/// What an LSTM has after a step, both (.., M): h, which it tells, and c, which it keeps.
struct LstmState {
  Var h, c;
};

/// A step of the cell. a (.., 4 M) are sums that weights made, o, f, i and g beside each other in
/// the last axis; `c` (.., M) is what was kept, undefined for zeros:
///
///   c' = sigmoid(f) c + sigmoid(i) tanh(g),   h' = sigmoid(o) tanh(c')
///
/// (Hochreiter, Schmidhuber 1997; Gers, Schmidhuber, Cummins 2000 for f)
LstmState lstm_step(const Var& a, const Var& c);
/// Floating-point operations of that for so many numbers of h; see Module::flops.
double lstm_flops(double numbers);

struct RowLstmOptions {
  std::int64_t in = 0;      ///< channels of the image
  std::int64_t maps = 0;    ///< M, channels of the state
  std::int64_t kernel = 3;  ///< K columns that a step sees, odd
};

/// An LSTM down the rows of images, all columns at once: x (N, H, W, in) to h (N, H, W, M),
///
///   a_i = input(x_i) + state(h_(i-1)),   (h_i, c_i) = lstm_step(a_i, c_(i-1)),   h_0 = c_0 = 0.
///
/// Both are convolutions along the row. `input`, with a bias, sees a column and the (K - 1) / 2 to
/// its left, zeros before the first; `state` as many on both sides. So h at a pixel knows x there
/// and to the left, and of the rows above a triangle. With one column and K = 1 it is the LSTM of a
/// sequence of H steps. The bias of f begins at 1: what is kept stays for a while (Jozefowicz,
/// Zaremba, Sutskever 2015). (van den Oord, Kalchbrenner, Kavukcuoglu, "Pixel recurrent neural
/// networks" (2016), section 3.1)
class RowLstm : public Layer {
 public:
  /// Throws Error for sizes below 1 and an even kernel.
  RowLstm(const RowLstmOptions& options, Generator& gen);
  Var forward(const Var& x) override { return run(x, {}); }
  /// The same with `more`, (N, 1, 1, 4 M) or undefined, in all sums a.
  Var run(const Var& x, const Var& more);
  std::string kind() const override;  ///< "RowLstm(32 -> 16, kernel 3)"
  Shape out_shape(const Shape& in) const override;
  Shape inspect(const Shape& in, const std::string& name,
                std::vector<LayerInfo>& rows) const override;

  // Its parts, for those who know an image pixel by pixel:
  std::int64_t columns() const { return (options_.kernel + 1) / 2; }  ///< that `input` sees
  /// (N, R, columns() - 1 + W, in) to (N, R, W, 4 M), with zeros in front where W is all.
  Var from_left(const Var& x) { return input_(x); }
  /// h of a row (N, 1, W, M) to what it adds to the next one's sums, (N, 1, W, 4 M).
  Var from_above(const Var& h) { return state_(h); }

 private:
  RowLstmOptions options_;
  Conv2d &input_, &state_;
};

}  // namespace nf::nn
