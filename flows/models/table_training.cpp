#include "flows/models/table_training.h"

#include <algorithm>

namespace nf::flows {

void adapt_to_rows(TrainingSettings& training, std::int64_t rows) {
  training.batch_size = std::max(std::clamp<std::int64_t>(rows / 20, 50, 300),
                                 std::min<std::int64_t>(rows / 1000, 1000));
  const std::int64_t per_epoch = (rows + training.batch_size - 1) / training.batch_size;
  training.epochs = std::clamp<std::int64_t>(20'000 / per_epoch, 5, 40);
  training.steps = 0;
  training.warmup = std::min<std::int64_t>(200, training.epochs * per_epoch / 10);
  training.patience = 20;
}

void be_patient(TrainingSettings& training, std::int64_t rows) {
  if (training.patience == 0) return;
  const std::int64_t per_epoch = (rows + training.batch_size - 1) / training.batch_size;
  training.patience = std::max(training.patience, training.steps / per_epoch / 2);
}

}  // namespace nf::flows
