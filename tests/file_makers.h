// Small files of every format, byte by byte as the formats' papers say, for tests and fuzzing.
#pragma once

#include <zlib.h>

#include <cstdint>
#include <string>
#include <vector>

namespace nf::test {

/// Deflated, in the container that zlib's window bits choose.
inline std::string deflated(const std::string& bytes, int window_bits) {
  z_stream z{};
  deflateInit2(&z, 9, Z_DEFLATED, window_bits, 9, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&z, bytes.size()), '\0');
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  z.avail_in = static_cast<uInt>(bytes.size());
  z.next_out = reinterpret_cast<Bytef*>(out.data());
  z.avail_out = static_cast<uInt>(out.size());
  deflate(&z, Z_FINISH);
  out.resize(z.total_out);
  deflateEnd(&z);
  return out;
}

inline std::string gzip(const std::string& bytes) { return deflated(bytes, MAX_WBITS + 16); }
inline std::string zlib(const std::string& bytes) { return deflated(bytes, MAX_WBITS); }

/// The `count` lowest bytes of a number, little-endian.
inline std::string little(std::uint64_t value, int count) {
  std::string out;
  for (; count > 0; --count, value >>= 8) out += static_cast<char>(value);
  return out;
}

// --- .npy and .npz ------------------------------------------------------------------------------

/// A .npy file with this header text (the dictionary).
inline std::string npy_file(const std::string& header, const std::string& data, int version = 1) {
  return "\x93NUMPY" + little(static_cast<std::uint64_t>(version), 1) + '\0' +
         little(header.size(), version == 1 ? 2 : 4) + header + data;
}

inline std::string npy_header(const std::string& descr, const std::string& shape,
                              bool fortran = false) {
  return "{'descr': '" + descr + "', 'fortran_order': " + (fortran ? "True" : "False") +
         ", 'shape': " + shape + ", }";
}

inline std::string npy(const std::string& descr, const std::string& shape, const std::string& data,
                       bool fortran = false) {
  return npy_file(npy_header(descr, shape, fortran), data);
}

struct ZipMember {
  std::string name, content;
  bool deflate = true;
};

/// A zip file as Python's zipfile writes it. Field offsets in its directory: see APPNOTE 4.3.12.
inline std::string zip_file(const std::vector<ZipMember>& members) {
  std::string out, directory;
  for (const ZipMember& m : members) {
    const std::string packed = m.deflate ? deflated(m.content, -MAX_WBITS) : m.content;
    const auto crc = crc32(0, reinterpret_cast<const Bytef*>(m.content.data()),
                           static_cast<uInt>(m.content.size()));
    const std::string common = little(20, 2) + little(0, 2) + little(m.deflate ? 8 : 0, 2) +
                               little(0, 4) + little(crc, 4) + little(packed.size(), 4) +
                               little(m.content.size(), 4) + little(m.name.size(), 2);
    directory += "PK\1\2" + little(20, 2) + common + little(0, 2 + 2 + 2 + 2 + 4) +
                 little(out.size(), 4) + m.name;
    out += "PK\3\4" + common + little(0, 2) + m.name + packed;
  }
  const std::string end = little(members.size(), 2) + little(members.size(), 2) +
                          little(directory.size(), 4) + little(out.size(), 4) + little(0, 2);
  return out + directory + "PK\5\6" + little(0, 4) + end;
}

// --- .mat ---------------------------------------------------------------------------------------

/// An element: type, number of bytes, the bytes, padded to a multiple of 8.
inline std::string mat_element(std::uint32_t type, const std::string& bytes) {
  return little(type, 4) + little(bytes.size(), 4) + bytes +
         std::string((8 - bytes.size() % 8) % 8, '\0');
}

/// A real array: class (double 6, single 7, uint8 9, ...), sizes, type of its elements and these.
inline std::string mat_matrix(const std::string& name, int array_class,
                              const std::vector<std::uint32_t>& sizes, std::uint32_t type,
                              const std::string& elements) {
  std::string dims;
  for (const std::uint32_t size : sizes) dims += little(size, 4);
  return mat_element(14, mat_element(6, little(static_cast<std::uint64_t>(array_class), 8)) +
                             mat_element(5, dims) + mat_element(1, name) +
                             mat_element(type, elements));
}

/// save -v7 packs every variable.
inline std::string mat_packed(const std::string& matrix) {
  const std::string packed = zlib(matrix);
  return little(15, 4) + little(packed.size(), 4) + packed;
}

inline std::string mat_file(const std::string& elements) {
  std::string text = "MATLAB 5.0 MAT-file, written by a test";
  text.resize(124, ' ');
  return text + std::string("\0\1IM", 4) + elements;
}

// --- CIFAR --------------------------------------------------------------------------------------

/// Records with these labels; pixel p of record i is i + p.
inline std::string cifar_file(const std::vector<std::string>& labels) {
  std::string out;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    out += labels[i];
    for (std::size_t p = 0; p < 3072; ++p) out += static_cast<char>(i + p);
  }
  return out;
}

}  // namespace nf::test
