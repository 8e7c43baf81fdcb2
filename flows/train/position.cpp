#include "flows/train/position.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "tensor/error.h"
#include "tensor/text.h"

namespace nf::flows {

namespace {

constexpr const char* kStatusNames[] = {"running", "interrupted", "finished", "diverged"};

// Doubles travel as text that reads back to the same bits.
std::string exact(double value) {
  char text[40];
  std::snprintf(text, sizeof text, "%a", value);
  return text;
}

class PositionReader {
 public:
  PositionReader(const nn::Metadata& metadata, const std::string& where)
      : metadata_(metadata), where_(where) {}

  const std::string& entry(const char* key) const {
    const auto found = metadata_.find(key);
    NF_CHECK(found != metadata_.end(), where_, " has no '", key, "'; it is not a training state");
    return found->second;
  }
  double number(const char* key) const {
    const std::string& text = entry(key);
    char* end = nullptr;
    const double value = std::strtod(text.c_str(), &end);
    NF_CHECK(!text.empty() && end == text.c_str() + text.size(), where_, ": '", key, "' = '",
             printable(text), "' is not a number");
    return value;
  }
  std::int64_t count(const char* key) const {
    const std::string& text = entry(key);
    std::int64_t value = -1;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    NF_CHECK(error == std::errc() && end == text.data() + text.size() && value >= 0 &&
                 value <= std::int64_t{1} << 53,
             where_, ": '", key, "' = '", printable(text), "' is not a count");
    return value;
  }
  TrainingStatus status() const {
    const std::string& text = entry("status");
    const auto found = std::find(std::begin(kStatusNames), std::end(kStatusNames), text);
    NF_CHECK(found != std::end(kStatusNames), where_, ": '", printable(text), "' is no status; ",
             "there are ", join({std::begin(kStatusNames), std::end(kStatusNames)}, ", "));
    return static_cast<TrainingStatus>(found - std::begin(kStatusNames));
  }

 private:
  const nn::Metadata& metadata_;
  const std::string& where_;
};

void check_position(const Position& p, const std::string& where) {
  const auto check = [&](bool holds, const auto&... says) {
    NF_CHECK(holds, where, " contradicts itself: ", says..., "; restore it from a copy");
  };
  check(p.batch_size > 0 && p.samples > 0, "batches of ", p.batch_size, " from ", p.samples,
        " samples");
  const std::int64_t per_epoch = (p.samples + p.batch_size - 1) / p.batch_size;
  check(p.batch < per_epoch, "batch ", p.batch, " of ", per_epoch);
  check(p.step / per_epoch == p.epoch && p.step % per_epoch == p.batch, "step ", p.step,
        " is not that of batch ", p.batch, " after epoch ", p.epoch, " of ", per_epoch, " batches");
  check(p.epoch_samples == p.batch * p.batch_size, p.batch, " batches of ", p.batch_size,
        " have not ", p.epoch_samples, " samples");
  check(std::isfinite(p.epoch_nats) && (p.epoch_samples > 0 || p.epoch_nats == 0), p.epoch_samples,
        " samples of the epoch have ", p.epoch_nats, " nats");
  check(std::isfinite(p.seconds) && p.seconds >= 0, "it took ", p.seconds, " seconds");

  // The best may be of an epoch that ended in its middle. Whole epochs count since then, that one
  // too where the training went on.
  check(p.best_epoch <= p.epoch + (p.batch > 0 ? 1 : 0), "epoch ", p.best_epoch, " is the best of ",
        p.epoch);
  const bool none = p.best_epoch == 0;
  check(none ? std::isnan(p.best_valid_nats) : std::isfinite(p.best_valid_nats), "epoch ",
        p.best_epoch, " is the best with ", p.best_valid_nats, " nats");
  const std::int64_t after = p.epoch - p.best_epoch;
  check(none ? p.since_best == 0
             : p.since_best >= std::max<std::int64_t>(after, 0) && p.since_best <= after + 1,
        p.since_best, " epochs since epoch ", p.best_epoch, " of ", p.epoch);
  check(!std::isinf(p.last_valid_nats), "the last validation gave ", p.last_valid_nats, " nats");
}

}  // namespace

const char* name_of(TrainingStatus status) { return kStatusNames[static_cast<int>(status)]; }

nn::Metadata to_metadata(const Position& p) {
  return {{"status", name_of(p.status)},
          {"epoch", str(p.epoch)},
          {"batch", str(p.batch)},
          {"step", str(p.step)},
          {"batch_size", str(p.batch_size)},
          {"samples", str(p.samples)},
          {"prepared", p.prepared ? "1" : "0"},
          {"epoch_nats", exact(p.epoch_nats)},
          {"epoch_samples", str(p.epoch_samples)},
          {"seconds", exact(p.seconds)},
          {"best_epoch", str(p.best_epoch)},
          {"since_best", str(p.since_best)},
          {"best_valid_nats", exact(p.best_valid_nats)},
          {"last_valid_nats", exact(p.last_valid_nats)}};
}

Position position_from(const nn::Metadata& metadata, const std::string& where) {
  const PositionReader read(metadata, where);
  const std::int64_t prepared = read.count("prepared");
  NF_CHECK(prepared <= 1, where, ": 'prepared' = ", prepared, " is neither 0 nor 1");
  const Position position{.status = read.status(),
                          .epoch = read.count("epoch"),
                          .batch = read.count("batch"),
                          .step = read.count("step"),
                          .batch_size = read.count("batch_size"),
                          .samples = read.count("samples"),
                          .prepared = prepared == 1,
                          .epoch_nats = read.number("epoch_nats"),
                          .epoch_samples = read.count("epoch_samples"),
                          .seconds = read.number("seconds"),
                          .best_epoch = read.count("best_epoch"),
                          .since_best = read.count("since_best"),
                          .best_valid_nats = read.number("best_valid_nats"),
                          .last_valid_nats = read.number("last_valid_nats")};
  check_position(position, where);
  return position;
}

}  // namespace nf::flows
