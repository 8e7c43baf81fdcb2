// How long to train on a table: what presets of models of rows share.
#pragma once

#include <cstdint>

#include "flows/models/config.h"

namespace nf::flows {

/// Batches and epochs for a table of so many rows. It has these and no more, and a flow learns them
/// by heart when it goes on too long. So the rate falls to 0 within 40 epochs, and training ends
/// `patience` epochs after the best validation result. 500 rows give 10 steps an epoch and at most
/// 400, a million rows 1000 and at most 20,000.
void adapt_to_rows(TrainingSettings& training, std::int64_t rows);

/// A preset's patience is for the epochs that it has itself. Of a budget that makes many more
/// steps, the learning rate is high for longer, and a better result comes late: patience becomes
/// half of the epochs of `training.steps`, with so many rows, unless it is more or none (0).
void be_patient(TrainingSettings& training, std::int64_t rows);

}  // namespace nf::flows
