#include "flows/runs/saved_run.h"

#include <filesystem>
#include <fstream>

#include "data/given.h"
#include "flows/models/build.h"
#include "flows/models/kinds.h"
#include "flows/runs/config_file.h"
#include "flows/runs/ensemble_run.h"
#include "flows/train/fit.h"
#include "tensor/backend.h"
#include "tensor/ops.h"
#include "tensor/text.h"

namespace nf::flows {

// --- config.json --------------------------------------------------------------------------------

bool holds_config(const std::string& path) {
  std::error_code error;
  return std::filesystem::exists(path + "/config.json", error);
}

bool holds_our_files(const std::string& path) {
  for (const char* name : {"/state.safetensors", "/best.safetensors", "/last.safetensors"}) {
    try {
      const nn::Metadata said = nn::read_safetensors_header(path + name).metadata;
      if (said.contains("data_checksum") && said.contains("step")) return true;
      if (said.contains("model") && said.contains("settings")) return true;
    } catch (const Error&) {  // not there, or damaged
    }
  }
  std::error_code error;
  if (!std::filesystem::is_regular_file(path + "/log.jsonl", error))
    return false;  // a pipe would wait
  std::ifstream log(path + "/log.jsonl");
  std::string line(400, '\0');
  log.read(line.data(), std::ssize(line));
  line.resize(static_cast<std::size_t>(log.gcount()));
  return line.starts_with("{\"epoch\":") && line.find("\"train_nats\":") != std::string::npos;
}

SavedRun open_run(const std::string& path) {
  NF_CHECK(holds_config(path), "[run] ", path,
           " is not a run folder: it has no config.json; 'flowcli "
           "train' makes one");
  const ConfigFile file = read_config(path + "/config.json");
  const auto older = [&](const char* why) {
    return str("an older version of flowcli, which kept ", why,
               "; train it again with 'flowcli train ", path, "/config.json --out NEW'");
  };
  NF_CHECK(file.version == kRunVersion || file.version == 2, "[run] ", path, " was made by ",
           file.version > kRunVersion ? "a newer version of flowcli; use that one"
                                      : older("other files"));
  SavedRun run{path, preset(file.preset), known_from_facts(file.facts, file.where + "data: ")};
  NF_CHECK(file.version == kRunVersion || run.known.shape.channels < 2, "[run] ", path,
           " was made by ", older("colour images one channel after the other"));
  run.config = file.on(run.config);
  const data::GivenNames given = data::parse_given(run.config.data.given);
  const std::vector<std::string> names =
      given.labels ? std::vector<std::string>{"label"} : given.columns;
  NF_CHECK(names == run.known.shape.given && given.labels == (run.known.shape.given_classes > 0),
           file.where, "data: 'given' is '", printable(run.config.data.given),
           "', but 'given_names' is '", printable(join(run.known.shape.given, ",")),
           "'; restore the file");
  const std::size_t names_of_labels = run.known.shape.class_names.size();
  NF_CHECK(!given.labels || run.config.data.label.empty() ||
               static_cast<int>(names_of_labels) == run.known.shape.given_classes,
           file.where, "data: ", names_of_labels, " 'class_names' of ",
           run.known.shape.given_classes, " labels; restore the file");
  return run;
}

// --- the state ----------------------------------------------------------------------------------

RunState read_state(const std::string& path) {
  const nn::Metadata metadata = nn::read_safetensors_header(path).metadata;
  const Position at = position_from(metadata, "[run] " + path);
  const auto checksum = metadata.find("data_checksum");
  NF_CHECK(checksum != metadata.end(), "[run] ", path,
           " has no 'data_checksum'; it is not a training state");
  return {.status = name_of(at.status),
          .step = at.step,
          .data_checksum = checksum->second,
          .metadata = metadata,
          .best_epoch = at.best_epoch,
          .best_valid_nats = at.best_valid_nats};
}

RunState state_of(const std::string& path) {
  if (const auto members = members_of(path); !members.empty()) {
    return state_of_members(path, members);
  }
  const std::string file = path + "/state.safetensors";
  const bool there = std::filesystem::exists(file);
  NF_CHECK(there || !holds_our_files(path), "[run] ", path,
           " has lost its state (state.safetensors); put the file back");
  NF_CHECK(there, "[run] ", path,
           " has no state.safetensors: its training never began; train it again with 'flowcli "
           "train ",
           path + "/config.json", "'");
  return read_state(file);
}

std::string warning_of(const std::string& path, const RunState& state) {
  if (state.status == "finished") return "";
  if (state.status == "diverged") {
    return str(path, " diverged; its weights are of step ", state.step, " at most, before that");
  }
  return str(path, " has not finished training: it stands at step ", state.step);
}

// --- weights ------------------------------------------------------------------------------------

void check_data_checksum(const std::string& file, const std::string& theirs,
                         const KnownData& known) {
  NF_CHECK(theirs == known.shape.checksum, "[run] ", file,
           " is of a training on other data (checksum ", printable(theirs), ", in config.json ",
           known.shape.checksum, "); put the run's own files back together");
}

nn::Metadata load_weights(Density& density, const std::string& path, const KnownData& known) {
  const nn::SafetensorsHeader header = nn::read_safetensors_header(path);
  density.check_description(header.metadata, "[run] " + path);
  const auto data = header.metadata.find("data_checksum");
  if (data != header.metadata.end()) check_data_checksum(path, data->second, known);
  std::int64_t wanted = 0, there = 0;
  for (const auto& [name, tensor] : density.state()) wanted += tensor.numel();
  for (const auto& [name, entry] : header.tensors) there += entry.shape.numel();
  NF_CHECK(there == wanted, "[run] ", path, " holds ", there, " numbers, the model of config.json ",
           "has ", wanted, "; they do not belong together");
  const nn::SafetensorsFile file = nn::load_safetensors(path);
  for (const auto& [name, tensor] : file.tensors) {
    if (is_float(tensor.dtype()) && !all_finite(tensor)) {
      throw Diverged(str("[run] ", path, ": ", name,
                         " holds numbers that are not finite; the weights are of no use"));
    }
  }
  density.load_state(file.tensors);
  return file.metadata;
}

std::string weights_file(const SavedRun& run, const RunState& state, const std::string& which,
                         const Note& note) {
  const std::string& path = run.path;
  check_data_checksum(run.file("state.safetensors"), state.data_checksum, run.known);
  NF_CHECK(state.usable(), "[run] ", path, " has not been trained yet (status ", state.status,
           ", step 0); ",
           state.status == "diverged" ? "train it again with other settings"
                                      : "continue it with 'flowcli resume " + path + "'");
  const std::string warning = warning_of(path, state);
  if (!warning.empty()) note("note: " + warning);
  std::string weights = run.file(which + ".safetensors");
  if (which == "best" && !std::filesystem::exists(weights)) {
    NF_CHECK(state.best_epoch == 0, "[run] ", path,
             " has lost its best weights (best.safetensors); put the file back, or take the last "
             "ones with --weights last");
    weights = run.file("last.safetensors");
    note(str(
        "note: ", path,
        " has no best weights: nothing was validated, or no epoch may be the best yet (vae: its "
        "kl_warmup, beta or mmd); the last ones are taken"));
  }
  NF_CHECK(std::filesystem::exists(weights), "[run] ", path, " has lost its weights: there is no ",
           weights);
  return weights;
}

std::string set_precision(Device device, const std::string& precision, Need need) {
  Backend& backend = backend_for(device);
  Precision wanted = device == Device::CPU ? Precision::F32 : Precision::TF32;
  if (precision != "auto") wanted = precisions().at(precision);
  const bool can = backend.has_precision(wanted);
  // A run that a GPU trained in tf32 goes on in f32.
  const bool must = need == Need::Must && wanted == Precision::BF16;
  backend.set_precision(can || must ? wanted : Precision::F32);
  return name_of(backend.precision());
}

LoadedRun load_run(const SavedRun& run, const std::string& which, Device device, const Note& note) {
  LoadedRun loaded{state_of(run.path), run.known.shape, nullptr};
  loaded.shape.label = data::unquoted(run.config.data.label);
  loaded.shape.unit_scale = !loaded.shape.discrete && built_in(run.config.data.source);
  if (const auto members = members_of(run.path); !members.empty()) {
    loaded.density = load_members(run, members, which, device, note);
    return loaded;
  }
  const std::string weights = weights_file(run, loaded.state, which, note);
  loaded.density = make_density(run.config, shape_of(loaded.shape));
  loaded.density->to(device);
  load_weights(*loaded.density, weights, run.known);
  loaded.density->eval();
  return loaded;
}

}  // namespace nf::flows
