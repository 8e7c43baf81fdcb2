// What a saved state says of its training is checked against itself.
#include "flows/train/position.h"

#include <boost/test/unit_test.hpp>

#include "tests/data_util.h"

using namespace nf;
using namespace nf::flows;

namespace {

// Batch 3 of epoch 5: 7 batches of 15 from 100 samples; epoch 3 was the best.
const Position kMiddle = {.status = TrainingStatus::Interrupted,
                          .epoch = 4,
                          .batch = 3,
                          .step = 31,
                          .batch_size = 15,
                          .samples = 100,
                          .prepared = true,
                          .epoch_nats = -12.5,
                          .epoch_samples = 45,
                          .seconds = 0.1,
                          .best_epoch = 3,
                          .since_best = 1,
                          .best_valid_nats = -1.25,
                          .last_valid_nats = -1.5};

Position changed(const std::function<void(Position&)>& change, const Position& from = kMiddle) {
  Position position = from;
  change(position);
  return position;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(flows_position)

BOOST_AUTO_TEST_CASE(what_can_be_comes_back) {
  const Position begun = {.batch_size = 15, .samples = 100};
  const Position whole =
      changed([](Position& p) { p.batch = 0, p.step = 28, p.epoch_samples = 0, p.epoch_nats = 0; });
  const Position cases[] = {
      kMiddle,
      begun,
      whole,
      changed([](Position& p) { p.best_epoch = 4, p.since_best = 0; }, whole),
      changed([](Position& p) { p.best_epoch = 0, p.since_best = 0, p.best_valid_nats = kNaN; }),
      // An epoch that ended in its middle was the best, ...
      changed([](Position& p) { p.best_epoch = 5, p.since_best = 0; }),
      // ... and was not when it was whole.
      changed([](Position& p) { p.best_epoch = 4, p.since_best = 1; }, whole),
  };
  for (const Position& p : cases) {
    BOOST_CHECK(to_metadata(position_from(to_metadata(p), "here")) == to_metadata(p));
  }
}

BOOST_AUTO_TEST_CASE(contradictions_are_told) {
  struct Case {
    const char* key;
    const char* value;
    const char* says;
  };
  for (const Case& c : std::initializer_list<Case>{
           {"status", "finisjed", "'finisjed' is no status"},
           {"status", "", "no status"},
           {"status", "Finished", "no status"},
           {"epoch", "5", "step 31 is not that of batch 3 after epoch 5 of 7 batches"},
           {"epoch", "9007199254740992", "step 31"},
           {"epoch", "-4", "'epoch' = '-4' is not a count"},
           {"epoch", "4.5", "not a count"},
           {"epoch", "4 ", "not a count"},
           {"epoch", "", "not a count"},
           {"epoch", "18446744073709551620", "not a count"},
           {"batch", "2", "step 31"},
           {"batch", "7", "batch 7 of 7"},
           {"step", "30", "step 30"},
           {"step", "63", "step 63"},
           {"step", "24", "step 24"},
           {"batch_size", "16", "3 batches of 16 have not 45 samples"},
           {"batch_size", "0", "batches of 0"},
           {"samples", "106", "step 31"},
           {"samples", "0", "from 0 samples"},
           {"prepared", "3", "'prepared' = 3"},
           {"epoch_samples", "44", "have not 44 samples"},
           {"epoch_samples", "0", "have not 0 samples"},
           {"epoch_nats", "nan", "nats"},
           {"epoch_nats", "-0x1.9p+3q", "'epoch_nats' = '-0x1.9p+3q' is not a number"},
           {"seconds", "-1", "seconds"},
           {"seconds", "inf", "seconds"},
           {"best_epoch", "6", "epoch 6 is the best of 4"},
           {"best_epoch", "0", "epoch 0 is the best with -1.25 nats"},
           {"best_epoch", "1", "1 epochs since epoch 1 of 4"},
           {"since_best", "0", "0 epochs since"},
           {"since_best", "3", "3 epochs since"},
           {"best_valid_nats", "nan", "epoch 3 is the best with nan nats"},
           {"best_valid_nats", "-inf", "-inf nats"},
           {"last_valid_nats", "inf", "inf nats"}}) {
    BOOST_TEST_CONTEXT(c.key << " = " << c.value) {
      nn::Metadata metadata = to_metadata(kMiddle);
      metadata[c.key] = c.value;
      test::check_error([&] { position_from(metadata, "[here] state"); }, {"[here] state", c.says});
      metadata.erase(c.key);
      test::check_error([&] { position_from(metadata, "[here] state"); },
                        {"[here] state has no '" + std::string(c.key) + "'"});
    }
  }
  nn::Metadata metadata = to_metadata(Position{.batch_size = 15, .samples = 100});
  metadata["epoch_nats"] = "0x1p+3";
  test::check_error([&] { position_from(metadata, "here"); }, {"0 samples", "have 8 nats"});
}

BOOST_AUTO_TEST_SUITE_END()
