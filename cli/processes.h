// The processes of this command: one, or several that a launcher (mpirun, srun) or --processes
// started. Rank 0 writes and prints; what fails is told once.
#pragma once

#include <functional>
#include <string>

#include "cli/cli.h"
#include "comm/group.h"
#include "comm/wire.h"
#include "tensor/communicator.h"

namespace nf::cli {

/// Those of this command; this process alone until others are joined.
comm::Group& processes();

/// Joins those that a launcher started, if any. Throws UsageError where this build cannot.
void join_processes();
/// Throws UsageError when there are several and the command that these words name is for one.
void check_command_of_processes(int argc, const char* const* argv);

/// --processes and --comm-timeout of a command that several can share.
struct ProcessOptions {
  int count = 1;
  double timeout = 25;  ///< seconds: with what a launcher takes to end the others less than 30

  void add_to(CLI::App& app);
  /// Makes the processes that were asked for, and from then on ends the command when one of them
  /// gives no sign of life. Before any thread is started, and before Common::apply().
  void start() const;
};
/// Threads of each of several processes: those that the user said, else a fair share.
int threads_of_process(int asked);
/// Lets the GPUs of several processes add up gradients between them where they can: not as bf16,
/// nor on the CPU. Collective, after Common::apply().
void join_devices_of_processes(Device device, comm::Wire wire);
/// What joins them; null: nothing does.
Communicator* communicator();
/// How gradients are added up, for people; empty for one process, and on the CPU.
std::string how_gradients_are_added();
/// The run folder of rank 0, which messages about lost processes name: its last checkpoint is
/// whole.
void tell_run_folder(const std::string& path);
/// What a message about a lost process says of it; empty before there is one.
std::string where_it_stands();

// Where one of several fails, all must: the others would wait for it. These throw in every process
// what the first that failed says, which names the process unless it is rank 0. Collective.

/// Runs body in every process.
void in_all(const std::function<void()>& body);
/// Runs body in rank 0 alone: what writes or prints.
void on_first(const std::function<void()>& body);
/// Throws, naming the first process that has another text than rank 0: it `differs`, "has ...".
void check_same_in_all(const std::string& own, const char* differs);

/// A fault_point "rank-R-WHAT" of this process R of several.
void fault_point_of_rank(const char* what);

/// What a process found wrong in its command line, "" for nothing: the others throw a UsageError
/// that says so. Called once it was read; later calls do nothing. Collective.
void agree_on_command_line(const std::string& wrong);

// The end of a process.

/// The error on its way is one that all processes have: in_all and on_first threw it, a training
/// that diverged.
void mark_known_to_all();
/// A message that says which process it is of, where there are several and the others do not know
/// of it.
std::string named_by_rank(const std::string& message);
/// Says what went wrong: rank 0 what all know of, else whoever is the first to tell.
void complain_of_one(const std::string& message);
/// Returns `status`; ends all processes when this one failed and the others do not know of it.
int leave_processes(int status);

}  // namespace nf::cli
