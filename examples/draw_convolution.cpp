// Draws what a row of windows reads of an image whose channels lie side by side: three runs of
// memory each, which are those of the neighbour, one pixel further. Chapter 9 of the book.
#include <cstdio>

#include "examples/picture.h"
#include "tensor/ops.h"

using namespace nf;

constexpr std::int64_t kWidth = 5, kChannels = 2, kKernel = 3, kWindows = kWidth - kKernel + 1;
constexpr double kBox = 44, kLeft = 90, kTop = 40, kRow = 118;

int main(int argc, char** argv) {
  const Tensor image =
      Tensor::arange(kKernel * kWidth * kChannels).reshape({kKernel, kWidth, kChannels});
  Layout layout;  // (windows, rows of the kernel, a run)
  layout.shape = {kWindows, kKernel, kKernel * kChannels};
  layout.strides = {image.strides()[1], image.strides()[0], 1};
  const Tensor windows = image.with_layout(layout);

  Diagram diagram(kLeft + kBox * kWidth * kChannels + 30, kTop + kRow * kKernel);
  const auto place = [&](double number) {  // of its box
    const double row = std::floor(number / (kWidth * kChannels));
    return std::pair{kLeft + kBox * (number - row * kWidth * kChannels), kTop + kRow * row};
  };
  for (std::int64_t i = 0; i < kWidth; ++i) {
    diagram.text(kLeft + kBox * kChannels * (static_cast<double>(i) + 0.5), 22, str("pixel ", i),
                 Diagram::kGray);
  }
  for (std::int64_t i = 0; i < image.numel(); ++i) {
    const auto [x, y] = place(static_cast<double>(i));
    diagram.box(x, y, kBox, 28, str(i), i / kChannels % kWidth % 2 == 0 ? "#eef3f8" : "#dbe6f0");
  }
  const char* colors[kWindows] = {Diagram::kBlue, Diagram::kOrange, Diagram::kGreen};
  bool runs = true;
  for (std::int64_t ky = 0; ky < kKernel; ++ky) {
    diagram.text(40, kTop + kRow * static_cast<double>(ky) + 14, str("row ", ky), Diagram::kGray);
    for (std::int64_t j = 0; j < kWindows; ++j) {
      const auto run = windows.narrow(0, j, 1).narrow(1, ky, 1).to_vector<float>();
      const auto [x, top] = place(run.front());
      const double y = top + 46 + 16 * static_cast<double>(j);
      diagram.dot(x + kBox / 2, y, colors[j]);
      diagram.arrow(x + kBox / 2, y, place(run.back()).first + kBox / 2, y, colors[j]);
      for (std::size_t k = 1; k < run.size(); ++k) runs = runs && run[k] == run[k - 1] + 1;
    }
  }
  const char* path = argc > 1 ? argv[1] : "convolution.svg";
  diagram.write(path);
  std::printf("a window reads %lld runs of %lld numbers\nwrote %s\n",
              static_cast<long long>(kKernel), static_cast<long long>(kKernel * kChannels), path);
  return runs ? 0 : 1;
}
