// Small good files of every format, from which the fuzzers start: seeds FOLDER writes
// FOLDER/<target>/<name>.
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "data/png.h"
#include "nn/safetensors.h"
#include "tensor/files.h"
#include "tests/file_makers.h"
#include "tests/fuzz/settings.h"
#include "tests/picture_makers.h"

using namespace nf;
using namespace nf::test;

int main(int argc, char** argv) {
  if (argc != 2) return std::fprintf(stderr, "usage: seeds FOLDER\n"), 2;
  const std::filesystem::path folder = argv[1];
  const auto path = [&](const std::string& target, const std::string& name) {
    std::filesystem::create_directories(folder / target);
    return (folder / target / name).string();
  };
  const auto write = [&](const std::string& target, const std::string& name,
                         const std::string& bytes) { atomic_write(path(target, name), bytes); };

  const std::string idx("\0\0\x08\3\0\0\0\2\0\0\0\2\0\0\0\2abcdefgh", 24);
  write("idx", "images", idx);
  write("idx", "images.gz", gzip(idx));
  write("idx", "rows", std::string("\0\0\x0b\2\0\0\0\2\0\0\0\1abcd", 16));

  write("cifar", "10", cifar_file({"\1"}));
  write("cifar", "100.gz", gzip(cifar_file({"\1\2", "\3\4"})));

  const std::string bytes = npy("|u1", "(2, 3)", "abcdef");
  const std::string longs = npy("<i8", "(3, 1)", std::string(24, '\0'), /*fortran=*/true);
  write("npy", "bytes", bytes);
  write("npy", "longs", longs);
  write("npy", "big-endian", npy(">f4", "(2, 1)", std::string(8, '\0')));
  write("npy", "version2", npy_file(npy_header("<f8", "(1, 1)"), std::string(8, '\0'), 2));
  write("npy", "bytes.gz", gzip(bytes));
  write("npz", "stored", zip_file({{"x.npy", bytes, false}}));
  write("npz", "deflated", zip_file({{"x_train.npy", bytes}, {"x_test.npy", bytes}}));
  write("npz", "labels", zip_file({{"x.npy", longs}, {"y.npy", npy("|u1", "(3,)", "\1\2\3")}}));

  const std::string x = mat_matrix("X", 9, {1, 1, 3, 2}, 2, "abcdef");
  const std::string y = mat_matrix("y", 6, {2, 1}, 2, "\1\12");
  write("mat", "svhn", mat_file(x + y));
  write("mat", "packed", mat_file(mat_packed(x) + mat_packed(y)));
  write("mat", "faces", mat_file(mat_matrix("faces", 9, {4, 2}, 2, "abcdefgh")));

  write("csv", "comma", "a,b\n1,2\n-3e5,.5\n");
  write("csv", "quoted", "\"a;\"\"\";b\r\n\"1\";2\r\n");
  write("csv", "spaces.gz", gzip("1 2 3\n4 5 6\n"));

  const Tensor picture = Tensor::zeros({1, 3, 4, 4}, DType::U8);
  data::write_png(path("png", "gray"), picture.narrow(1, 0, 1).contiguous());
  data::write_png(path("png", "colour"), picture);

  write("picture", "gray.jpg", gray_jpeg());
  write("picture", "colour.jpg", colour_jpeg());
  write("picture", "progressive.jpg", progressive_jpeg());
  write("picture", "cmyk.jpg", cmyk_jpeg());
  write("picture", "gray.png", gray_png(3, 2, 7));
  write("picture", "bits.png", png_file(9, 2, kGray, 1, "abcd"));
  write("picture", "16.png", png_file(2, 1, kRgb, 16, "abcdefghijkl"));
  write("picture", "opacity.png", png_file(1, 2, kRgba, 8, "abcdefgh"));
  write("picture", "palette.png",
        png_file(2, 2, kPalette, 8, std::string("\0\1\1\0", 4),
                 png_chunk("PLTE", "abcdef") + png_chunk("tRNS", "gh")));

  nn::save_safetensors(path("safetensors", "two"),
                       {{"a", Tensor::zeros({2})}, {"b.c", Tensor::zeros({1, 2}, DType::I32)}},
                       {{"step", "3"}});
  write("config", "all", flows::to_json(fuzz::some_config()).dump());
  write("config", "set", "lr=1e-3");
}
