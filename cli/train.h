// A training from its settings to its run folder, and what is told at the end of one for a target.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cli/trained_model.h"
#include "flows/train/objective.h"

namespace nf::cli {

/// Trains in a new run folder, to the end or until a signal comes (Interrupted). Of a configuration
/// whose data are a target, by reverse KL.
void train_new(const flows::Config& config, data::Dataset data, const Common& common, Device device,
               const std::string& out, bool overwrite, bool graph = true);
/// Goes on with a run, which is locked, with its settings and its data; `later`: to an end that was
/// asked for, which must be ahead.
void train_on(const RunFolder& run, const flows::Config& config, data::Dataset data,
              const Common& common, Device device, bool later, bool graph);
/// Of a configuration that says no shards: as many as processes. Throws UsageError for what these
/// processes cannot share.
void settle_shards(flows::Config& config);
/// How a configuration is trained here.
flows::FitOptions training_options(const flows::Config& config, bool graph);

/// What brings the density down to the target that takes the place of its data; nothing where there
/// are data. ln p counts for more and more in a quarter of the training.
std::unique_ptr<flows::ReverseKl> objective_of_target(flows::Density& density,
                                                      const flows::Config& config,
                                                      const data::Dataset& data);

/// What the weights, "best" or "last", of a run that was fitted to a target reach, as result; those
/// of the best in target.json of the run folder, too. Of two dimensions with a picture of both
/// densities there. (fit_target.cpp)
void report_target(const std::string& run, const Common& common, Device device,
                   const std::string& weights = "best");
using NamedTexts = std::vector<std::pair<std::string, std::string>>;
/// What target.json of a run says, as names and texts; nothing where there is none.
NamedTexts kept_of_target(const RunFolder& run);
/// The command that fits a flow as this run's was, but for its folder, --out NEW.
std::string command_of_target(const RunFolder& run);

/// Of train --help.
inline constexpr const char* kTrainExamples = R"(Examples:
  flowcli train nice --data glyphs --epochs 10 --hidden-units 500
  flowcli train nice --data path/to/mnist --out runs/mnist --epochs 60 --lr 2e-3
  flowcli train realnvp-2d --data checkerboard --couplings 16
  flowcli train realnvp-2d --data table.csv --given 3      p(others | column 3)
  flowcli train realnvp-2d --data table.csv --drop 1 --label 3 --given label
  flowcli train realnvp-2d --data table.csv --types 2=bounded:0:,3=real
  flowcli train tabular --data people.csv      with categories and missing cells
  flowcli train tabular --data people.csv --types sex=category,age=bounded:0:
  flowcli train vae --data path/to/mnist --bits 1 --posterior iaf
  flowcli train nice --data path/to/mnist --given label
  flowcli train nice --data path/to/photos --images square,resize:32 --pack
  flowcli train my-model.json --set ema=0.999
  flowcli train realnvp-2d --data moons --from runs/moons --out runs/more
  flowcli train realnvp-2d --data table.csv --ensemble 5     5 seeds, error bars
)";

}  // namespace nf::cli
