// Puts the last ten digits of each of several grids side by side, a row for each. Chapter 17 of the
// book shows the pictures.
//
//   example_draw_sheet SHEET.png GRID.png[:LAST]...    # LAST: the image that ends the row, from 0
//
// Grids are those of examples/zoo and of `flowcli sample --scale 2`. Without arguments it makes two
// of the program's own digits, and looks whether these come back.
#include <cstdio>
#include <cstdlib>

#include "data/decode.h"
#include "data/glyphs.h"
#include "data/png.h"
#include "tensor/files.h"
#include "tensor/ops.h"
#include "tensor/text.h"

using namespace nf;

constexpr std::int64_t kSide = data::kGlyphSize, kZoom = 2, kPadding = 2, kCount = 10;
constexpr std::int64_t kTile = kSide * kZoom + kPadding;

/// The images of a grid, row by row, u8 (N, 28, 28). Throws Error for other grids.
static Tensor images_of(const std::string& path) {
  constexpr std::uint64_t kLargest = 16 << 20;
  const Tensor pixels =
      data::gray_levels(data::decode_picture(printable(path), read_file(path, kLargest)).pixels);
  const std::int64_t height = pixels.dim(0) - kPadding, width = pixels.dim(1) - kPadding;
  NF_CHECK(height > 0 && width > 0 && height % kTile == 0 && width % kTile == 0, "[sheet] ",
           printable(path), " is no grid of 28x28 pixels, each ", kZoom, " wide and high");
  std::vector<Tensor> images;
  for (std::int64_t y = 0; y < height; y += kTile) {
    for (std::int64_t x = 0; x < width; x += kTile) {
      const Tensor tile = pixels.narrow(0, y + kPadding, kSide * kZoom)
                              .narrow(1, x + kPadding, kSide * kZoom)
                              .contiguous()
                              .reshape({kSide, kZoom, kSide, kZoom});
      images.push_back(
          tile.narrow(1, 0, 1).narrow(3, 0, 1).contiguous().reshape({1, kSide, kSide}));
    }
  }
  return concat(images, 0);
}

/// Ten images of GRID.png[:LAST], u8 (10, 28, 28).
static Tensor row_of(const std::string& argument) {
  const std::size_t colon = argument.find(".png:");
  const bool said = colon != std::string::npos;
  const Tensor images = images_of(said ? argument.substr(0, colon + 4) : argument);
  const std::int64_t last = said ? std::atoll(argument.c_str() + colon + 5) : images.dim(0) - 1;
  NF_CHECK(last >= kCount - 1 && last < images.dim(0), "[sheet] ", printable(argument), ": of ",
           images.dim(0), " images, a row of ", kCount, " cannot end at number ", last);
  return images.narrow(0, last - kCount + 1, kCount);
}

static void write_sheet(const std::string& path, const std::vector<std::string>& grids) {
  std::vector<Tensor> rows;
  rows.reserve(grids.size());
  for (const std::string& grid : grids) rows.push_back(row_of(grid));
  data::write_png(path, concat(rows, 0), {.columns = kCount, .zoom = kZoom});
  std::printf("wrote %s\n", path.c_str());
}

/// Whether digits that went into grids stand in the sheet.
static bool comes_back() {
  const Tensor x = data::glyphs(/*seed=*/1, data::GlyphSet::Train, 0, 40).x;
  const Tensor images = x.reshape({40, kSide, kSide});
  data::write_png("sheet-1.png", images.narrow(0, 0, 20), {.columns = 4, .zoom = kZoom});
  data::write_png("sheet-2.png", images.narrow(0, 20, 20), {.columns = 20, .zoom = kZoom});
  write_sheet("sheet.png", {"sheet-1.png", "sheet-2.png:11"});
  const Tensor expected =
      concat(std::vector<Tensor>{images.narrow(0, 10, 10), images.narrow(0, 22, 10)}, 0);
  return images_of("sheet.png").to_vector<std::uint8_t>() == expected.to_vector<std::uint8_t>();
}

int main(int argc, char** argv) {
  try {
    if (argc == 1) return comes_back() ? 0 : 1;
    NF_CHECK(argc > 2, "usage: ", argv[0], " SHEET.png GRID.png[:LAST]...");
    write_sheet(argv[1], {argv + 2, argv + argc});
    return 0;
  } catch (const Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
