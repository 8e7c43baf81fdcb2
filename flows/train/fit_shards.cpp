// Training by shards: each part of a batch has a forward and a backward of its own, and gradients
// are added up by one tree, on however many processes.
#include <algorithm>
#include <cmath>
#include <exception>
#include <utility>

#include "autograd/watch.h"
#include "flows/train/fit.h"
#include "flows/train/gradient_sum.h"
#include "nn/layers/norm.h"
#include "tensor/checksum.h"
#include "tensor/clock.h"

namespace nf::flows {

namespace {

data::Batch part_of(const data::Batch& batch, comm::Range part) {
  const auto cut = [&](const Tensor& all) {
    return all.defined() ? all.narrow(0, part.begin, part.count()) : Tensor();
  };
  return {.x = cut(batch.x),
          .rows = cut(batch.rows),
          .labels = cut(batch.labels),
          .given = cut(batch.given),
          .epoch = batch.epoch,
          .index = batch.index};
}

/// The first text that is not empty, and whose it is.
std::pair<int, std::string> first_said(comm::Group& group, const std::string& own) {
  const std::vector<std::string> all = group.gather(own);
  for (std::size_t r = 0; r < all.size(); ++r) {
    if (!all[r].empty()) return {static_cast<int>(r), all[r]};
  }
  return {0, ""};
}

}  // namespace

// A shard that cannot be computed takes part all the same: the others wait for it.
comm::Sum Trainer::sum_of_shard(const data::Batch& batch, std::int64_t shard,
                                GradientSum& gradients, comm::TreeSum& tree, std::string& failure) {
  const comm::Range range = shards_.part(batch.rows.dim(0), shard);
  comm::Sum sum = gradients.begin();
  if (shard + 1 == shards_.own().end) tree.expect(sum.values);
  bool taken = false;
  try {
    if (range.count() > 0 && failure.empty()) {
      Tape tape;
      const Profile::Scope part("loss", Profile::Forward);
      const Var each = losses(part_of(batch, range));
      const double loss = nf::sum(each.value().to(DType::F64)).item();
      const BackwardWatch watch([&] { tree.complete_from(gradients.take_complete(sum)); });
      tape.backward(nf::sum(each));
      gradients.take_rest(sum, loss, range.count());
      taken = true;
    }
  } catch (const std::exception& error) {
    density_.clear_grads();
    if (shards_.group().size() == 1) throw;
    failure = error.what();
    if (failure.empty()) failure = "an error without words";
  }
  if (!taken) gradients.take_nothing(sum);
  sum.numbers[GradientSum::Failed] = failure.empty() ? 0 : 1;
  sum.numbers[GradientSum::Stop] = asked_.stop ? 1 : 0;
  sum.numbers[GradientSum::Checkpoint] = asked_.checkpoint ? 1 : 0;
  return sum;
}

// Statistics of batches may have been loaded or measured since the last step.
comm::Sum Trainer::sum_of_shards(const data::Batch& batch) {
  comm::Group& group = shards_.group();
  GradientSum gradients(density_);
  comm::TreeSum tree(
      shards_, {.wire = options_.wire, .exact = gradients.statistics(), .bucket = options_.bucket});
  std::string failure;
  for (std::int64_t shard = shards_.own().begin; shard < shards_.own().end; ++shard) {
    tree.add(sum_of_shard(batch, shard, gradients, tree, failure));
  }
  const double before = seconds_now();
  comm::Sum total = tree.total();
  communication_.waited += seconds_now() - before;
  communication_.exchanged += tree.times().exchanged;
  communication_.beside += tree.times().beside;
  if (total.numbers[GradientSum::Failed] > 0) {
    const auto [rank, what] = first_said(group, failure);
    throw comm::Failed(str(group.name_of(rank), ", step ", step() + 1, ": ", what));
  }
  if (std::isfinite(total.numbers[GradientSum::Loss])) gradients.put(total);
  return total;
}

void Trainer::update_by_shards(const data::Batch& batch) {
  const comm::Sum total = sum_of_shards(batch);
  agreed_ = {.stop = total.numbers[GradientSum::Stop] > 0,
             .checkpoint = total.numbers[GradientSum::Checkpoint] > 0};
  const double loss = total.numbers[GradientSum::Loss];
  if (!std::isfinite(loss)) {
    diverged(batch, str("the loss is ", loss / total.numbers[GradientSum::Samples]), step() + 1);
  }
  unread_.add_(Tensor::full({}, loss, DType::F64, density_.device()));
  update(batch, /*late=*/false, /*measure=*/true);
}

// Where NaN or infinity begins: this process looks at its own part of the batch.
std::string Trainer::first_nonfinite(const data::Batch& batch) {
  comm::Group& group = shards_.group();
  const comm::Range own = shards_.own_part(batch.rows.dim(0));
  const std::int64_t count = std::min<std::int64_t>(own.count(), 1000);
  std::string where;
  if (count > 0) {
    const data::Batch some{.rows = batch.rows.narrow(0, own.begin, count), .epoch = batch.epoch};
    const auto layer = objective_.find_nonfinite(some, batches_.split());
    where = layer ? *layer : nonfinite_gradient(some);
  }
  if (group.size() == 1) return where;
  const auto [rank, what] = first_said(group, where);
  return what.empty() ? "" : str(what, " on ", group.name_of(rank));
}

std::string Trainer::parameters_checksum() {
  Checksum sum;
  for (const auto& [name, tensor] : density_.state()) {
    sum.add(name);
    sum.add(tensor);
  }
  return sum.text();
}

// Processes of other processors, or of a broken memory, drift apart without a sign; and each has
// loaded a file that may be another one.
void Trainer::check_replicas() {
  comm::Group& group = shards_.group();
  if (group.size() == 1) return;
  const std::vector<std::string> all =
      group.gather(str(parameters_checksum(), " after step ", step(), ", best epoch ", best_epoch_,
                       ", ", since_best_, " since"));
  for (std::size_t r = 1; r < all.size(); ++r) {
    if (all[r] == all[0]) continue;
    throw comm::Failed(str("[fit] the parameters of ", group.name_of(static_cast<int>(r)), " (",
                           all[r], ") are not those of ", group.name_of(0), " (", all[0],
                           "); do all see the same run folder, and run one program, on processors "
                           "with the same kernels (NF_CPU)?"));
  }
}

// --- processes that have a GPU each -------------------------------------------------------------
// These add up what the shards give, and the hosts run ahead as that of one GPU does. What a
// process does must be the same in all at each step: who adds up less keeps the others waiting.

// Gradients, statistics of batches (each shard's weighted by its samples) and losses of the shards
// of this process, one after another, then those of all. Nothing is looked at.
void Trainer::backward_on_devices(const data::Batch& batch) {
  const std::int64_t all = batch.rows.dim(0);
  std::vector<Tensor> statistics = nn::statistics_of(density_), before, means;
  for (const Tensor& tensor : statistics) {
    before.push_back(tensor.clone());
    means.push_back(tensor.zeros_like());
  }
  Tensor loss = Tensor::zeros({}, DType::F64, density_.device());
  for (std::int64_t shard = shards_.own().begin; shard < shards_.own().end; ++shard) {
    const comm::Range part = shards_.part(all, shard);
    const double share = static_cast<double>(part.count()) / static_cast<double>(all);
    for (std::size_t i = 0; i < statistics.size(); ++i) statistics[i].copy_(before[i]);
    Tape tape;
    const Profile::Scope scope("loss", Profile::Forward);
    // One without samples takes the first one 0 times: so all have the same gradients to add up.
    const comm::Range some = part.count() > 0 ? part : comm::Range{0, 1};
    const Var mean_loss = mean(losses(part_of(batch, some)));
    loss.add_(mean_loss.value().to(DType::F64) * static_cast<double>(part.count()));
    tape.backward(mean_loss * share);
    for (std::size_t i = 0; i < statistics.size(); ++i) means[i].add_(statistics[i] * share);
  }
  std::vector<Tensor> sums = {loss};
  for (std::size_t i = 0; i < statistics.size(); ++i) {
    statistics[i].copy_(means[i]);
    sums.push_back(statistics[i]);
  }
  density_.for_each_parameter([&](const std::string&, Var& p) {
    if (!p.requires_grad() || !p.grad().defined()) return;
    Tensor& grad = p.slot()->grad;
    if (!grad.unique()) grad = grad.clone();  // sums are made in place
    sums.push_back(grad);
  });
  options_.communicator->sum(sums);
  unread_.add_(loss);
}

// Before a step whose sums would wait for a process that is gone: here that is noticed, by its
// closed connection.
void Trainer::agree_on_wishes() {
  double votes[] = {asked_.stop ? 1.0 : 0.0, asked_.checkpoint ? 1.0 : 0.0};
  try {
    shards_.group().sum(std::span<double>(votes));
  } catch (const comm::Lost&) {
    options_.communicator->abort();
    throw;
  }
  agreed_ = {.stop = votes[0] > 0, .checkpoint = votes[1] > 0};
}

// A step is recorded by all processes or by none.
void Trainer::record_in_all() {
  double failed[] = {graph_ ? 0.0 : 1.0};
  shards_.group().sum(std::span<double>(failed));
  if (failed[0] == 0) return;
  graph_.reset();
  options_.graph = false;
  if (graph_note_.empty()) graph_note_ = "another process could not";
}

void Trainer::wait_for_devices() const {
  if (options_.communicator) options_.communicator->wait();
}

}  // namespace nf::flows
