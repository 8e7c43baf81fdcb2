#include "data/npy.h"

#include "tensor/files.h"

namespace nf::data {

namespace {

// Little-endian, as on every machine that this runs on.
const char* type_text(DType dtype) {
  switch (dtype) {
    case DType::F32:
      return "<f4";
    case DType::F64:
      return "<f8";
    case DType::U8:
      return "|u1";
    case DType::I32:
      return "<i4";
  }
  return "?";
}

}  // namespace

void write_npy(const std::string& path, const Tensor& values) {
  std::string header = str("{'descr': '", type_text(values.dtype()),
                           "', 'fortran_order': False, 'shape': ", values.shape(), ", }");
  constexpr std::size_t kPrefix = 10;  // magic, version, header length
  header.resize((kPrefix + header.size() + 1 + 63) / 64 * 64 - kPrefix - 1, ' ');
  header += '\n';
  const Tensor host = values.to(Device::CPU).contiguous();
  atomic_write(path, [&](FileWriter& out) {
    out.write(std::string_view("\x93NUMPY\x01\x00", 8));
    const unsigned char length[2] = {static_cast<unsigned char>(header.size() & 255),
                                     static_cast<unsigned char>(header.size() >> 8)};
    out.write(length, 2);
    out.write(header);
    if (host.numel() == 0) return;
    visit_dtype(host.dtype(), [&]<class T>() {
      out.write(host.data<T>(), static_cast<std::size_t>(host.numel()) * sizeof(T));
    });
  });
}

}  // namespace nf::data
