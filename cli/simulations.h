// What a run of `infer` keeps of its simulations.
//
//   simulations.csv      parameters and data, a row for each simulation: those that failed have nan
//                        for data, those not yet done nothing
//   simulations.journal  answers that are not yet there; left over by a process that was killed
//   infer.json           of what they are, and in which rounds
#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "cli/cli.h"
#include "tensor/tensor.h"

namespace nf::cli {

/// One round: its parameters are draws of the prior, of the first so many that no round tried
/// before, where they have at least this log density given the observed data.
struct SimulationRound {
  std::int64_t simulations = 0;
  std::int64_t tried = 0;
  double threshold = -INFINITY;
};

class Simulations {
 public:
  /// Those of a folder, or none yet. `identity`: what must be the same, key by key. Throws Error
  /// for simulations of something else, and for damaged files.
  Simulations(const std::string& folder, const std::vector<std::string>& parameters,
              const std::vector<std::string>& data, const Json& identity);
  ~Simulations();

  std::int64_t size() const { return std::ssize(states_); }
  std::int64_t waiting() const { return count(State::Waiting); }
  std::int64_t failed() const { return count(State::Failed); }
  const std::vector<SimulationRound>& rounds() const { return rounds_; }
  std::string path() const { return folder_ + "/simulations.csv"; }

  /// More simulations to do, of parameters (n, P), f64: those of a round or, with `more`, of the
  /// last one. On the disk when this returns.
  void add(const Tensor& parameters, const SimulationRound& round, bool more);
  /// The numbers of those that are not done, ascending.
  std::vector<std::int64_t> to_do() const;
  /// The parameters of one as a program reads them: 0.1,2
  std::string line(std::int64_t row) const;
  /// What the program answered; NaN and infinity make a failed one. Kept in the journal.
  void answer(std::int64_t row, const std::vector<double>& data);
  /// Writes simulations.csv with all answers.
  void save();

  /// f64 (n, G), the data of those that were done.
  Tensor data() const;

  /// What is kept beside them, as "training"; null without.
  const Json& noted() const { return noted_; }
  void note(const Json& value);

 private:
  enum class State : char { Waiting, Done, Failed };

  std::int64_t count(State state) const;
  void read_rows(std::int64_t rows);
  void read_journal();
  void set(std::int64_t row, const std::vector<double>& data);
  void save_facts() const;

  std::string folder_;
  std::vector<std::string> names_;  // parameters, then data
  std::size_t parameters_, data_;
  Json identity_, noted_;
  std::vector<SimulationRound> rounds_;
  std::vector<double> values_;  // row after row
  std::vector<State> states_;
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> journal_;
};

}  // namespace nf::cli
