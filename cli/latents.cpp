#include "cli/latents.h"

#include "cli/progress.h"
#include "tensor/ops.h"

namespace nf::cli {

namespace {

// What work(on_rows) gives, with a bar that shows how far it is.
template <class Work>
Tensor with_bar(const TrainedModel& model, const Work& work) {
  struct Bar : Progress {
    using Progress::Progress;
    ~Bar() { clear(); }  // also before an error is told
  };
  Bar bar(model.common.quiet);
  return work([&](std::int64_t done, std::int64_t total) {
    bar.step(done, total, "decoding", str(done, " of ", total));
  });
}

}  // namespace

Tensor encode_in_parts(const char* command, const TrainedModel& model, const Tensor& x,
                       const Tensor& given) {
  return flows::encode_in_parts(command, flows::InParts(model.flow(command)), x, given);
}

Tensor decode_in_parts(const char* command, const TrainedModel& model, std::int64_t n,
                       const std::function<Tensor(std::int64_t, std::int64_t)>& latents,
                       const Tensor& given) {
  const flows::InParts parts(model.flow(command));
  return with_bar(model, [&](const flows::OnRows& on_rows) {
    return flows::decode_in_parts(command, parts, n, latents, given, on_rows);
  });
}

Tensor decode_in_parts(const char* command, const TrainedModel& model, const Tensor& latents,
                       const Tensor& given) {
  return decode_in_parts(
      command, model, latents.dim(0),
      [&](std::int64_t first, std::int64_t count) { return latents.narrow(0, first, count); },
      given);
}

Tensor sample_in_parts(const char* command, const TrainedModel& model, std::int64_t n,
                       double temperature, Generator& gen, const Tensor& given) {
  const flows::InParts parts(model.flow(command));
  return with_bar(model, [&](const flows::OnRows& on_rows) {
    return flows::sample_in_parts(command, parts, n, temperature, gen, given, on_rows);
  });
}

}  // namespace nf::cli
