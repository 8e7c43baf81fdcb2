#include "cli/processes.h"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <new>
#include <string_view>
#include <utility>

#include "comm/devices.h"
#include "comm/launcher.h"
#include "comm/local_group.h"
#include "flows/train/fit.h"
#include "tensor/fault.h"

namespace nf::cli {

namespace {

struct Processes {
  std::unique_ptr<comm::Group> group = comm::alone();
  comm::Devices devices;
  bool line_read = false;  // by all
  // The thread that looks after the others reads these, too.
  std::atomic<bool> known = false;   // the error on its way is that of all
  std::atomic<bool> silent = false;  // another process says the same
  std::mutex mutex;                  // of the run
  std::string run;
};

// Never destroyed: a thread looks at it until the process ends.
Processes& all_of_them() {
  static Processes* const processes = new Processes;
  return *processes;
}

void set_group(std::unique_ptr<comm::Group> group) {
  all_of_them().group = std::move(group);
  // One of them speaks.
  if (!processes().first() && !std::freopen("/dev/null", "w", stdout)) fail("[write] /dev/null");
}

/// What an error is, as a letter, and its message.
std::string packed_failure(const std::function<void()>& body) {
  try {
    body();
    return "";
  } catch (const UsageError& error) {
    return str("u", error.what());
  } catch (const flows::Diverged& error) {
    return str("d", error.step(), " ", error.what());
  } catch (const std::bad_alloc&) {
    return "eout of memory; try a smaller --batch-size or fewer samples";
  } catch (const std::exception& error) {
    return str("e", error.what());
  }
}

}  // namespace

comm::Group& processes() { return *all_of_them().group; }

void join_processes() {
  if (comm::launched().size == 1) return;
  try {
    set_group(comm::join_launched());
  } catch (const Error& error) {
    all_of_them().silent = comm::launched().rank != 0;
    throw UsageError(error.what());
  }
}

void check_command_of_processes(int argc, const char* const* argv) {
  constexpr std::string_view kShared[] = {"train", "resume", "eval", "bench"};
  const std::string_view command = argc > 1 ? argv[1] : "";
  const bool shared =
      std::find(std::begin(kShared), std::end(kShared), command) != std::end(kShared);
  if (processes().size() == 1 || shared) return;
  throw UsageError(str("[processes] flowcli ", command, " is for one process, and ",
                       processes().size(),
                       " were started; several can train, resume, eval and bench"));
}

void ProcessOptions::add_to(CLI::App& app) {
  app.add_option("--processes", count, "Processes on this machine that share the work, without MPI")
      ->check(whole(1, comm::kMostLocal))
      ->capture_default_str();
  app.add_option("--comm-timeout", timeout,
                 "Seconds without a sign of life after which a process is given up")
      ->check(real(1, 1e6))
      ->capture_default_str();
}

void ProcessOptions::start() const {
  if (count > 1) {
    check_usage(processes().size() == 1,
                "--processes is for one machine; the launcher has started ", processes().size(),
                " processes already");
    std::fflush(nullptr);
    set_group(comm::fork_group(count));
  }
  processes().watch(timeout, [limit = timeout](int rank) {
    comm::Group& group = processes();
    complain_of_one(str("[processes] ", group.name_of(rank), " has given no sign of life for ",
                        limit, " seconds (--comm-timeout), at step ", group.step(),
                        where_it_stands()));
    group.abort(kFailed);
  });
}

int threads_of_process(int asked) {
  comm::Group& group = processes();
  if (group.size() == 1) return asked;
  const int fair = comm::fair_threads(group);
  const char* const said = std::getenv("NF_NUM_THREADS");
  return asked > 0 || (said && *said != '\0') ? asked : fair;
}

void join_devices_of_processes(Device device, comm::Wire wire) {
  if (processes().size() == 1) return;
  check_same_in_all(name(device), "computes on another device than rank 0 (--device)");
  if (device == Device::CPU) return;
  if (wire == comm::Wire::BF16) {
    all_of_them().devices.why_not = "these exchange them in bf16";
    return;
  }
  all_of_them().devices = comm::join_devices(processes());
}

Communicator* communicator() { return all_of_them().devices.communicator.get(); }

std::string how_gradients_are_added() {
  const comm::Devices& devices = all_of_them().devices;
  if (devices.communicator) {
    return str("gradients are added up between the GPUs by ", devices.communicator->name());
  }
  return devices.why_not.empty() ? "" : "gradients are added up by the hosts: " + devices.why_not;
}

void tell_run_folder(const std::string& path) {
  std::string run = processes().gather(path)[0];
  const std::lock_guard lock(all_of_them().mutex);
  all_of_them().run = std::move(run);
}

std::string where_it_stands() {
  const std::lock_guard lock(all_of_them().mutex);
  const std::string& run = all_of_them().run;
  return run.empty() ? "" : str("; the last checkpoint is whole: flowcli resume ", run);
}

void in_all(const std::function<void()>& body) {
  comm::Group& group = processes();
  if (group.size() == 1) return body();
  const std::vector<std::string> failures = group.gather(packed_failure(body));
  for (std::size_t r = 0; r < failures.size(); ++r) {
    if (failures[r].empty()) continue;
    all_of_them().known = true;
    const std::string whose = r == 0 ? "" : group.name_of(static_cast<int>(r)) + ": ";
    const std::string said = failures[r].substr(1);
    if (failures[r][0] == 'u') throw UsageError(whose + said);
    if (failures[r][0] == 'e') fail(whose + said);
    const std::size_t space = said.find(' ');
    throw flows::Diverged(whose + said.substr(space + 1), std::atoll(said.c_str()));
  }
}

void on_first(const std::function<void()>& body) {
  in_all([&] {
    if (processes().first()) body();
  });
}

void check_same_in_all(const std::string& own, const char* differs) {
  comm::Group& group = processes();
  const std::vector<std::string> all = group.gather(own);
  for (std::size_t r = 1; r < all.size(); ++r) {
    if (all[r] == all[0]) continue;
    throw comm::Failed(str("[processes] ", group.name_of(static_cast<int>(r)), " ", differs,
                           "; give all of them the same"));
  }
}

void agree_on_command_line(const std::string& wrong) {
  comm::Group& group = processes();
  if (std::exchange(all_of_them().line_read, true) || group.size() == 1) return;
  const std::vector<std::string> all = group.gather(wrong);
  for (std::size_t r = 0; r < all.size(); ++r) {
    if (all[r].empty()) continue;
    all_of_them().known = true;
    if (wrong.empty()) throw UsageError(group.name_of(static_cast<int>(r)) + ": " + all[r]);
    return;
  }
}

void fault_point_of_rank(const char* what) {
  const comm::Group& group = processes();
  if (group.size() > 1) fault_point(str("rank-", group.rank(), "-", what).c_str(), "");
}

void mark_known_to_all() { all_of_them().known = true; }

std::string named_by_rank(const std::string& message) {
  const comm::Group& group = processes();
  if (group.size() == 1 || all_of_them().known) return message;
  const std::string at = group.step() > 0 ? str(", step ", group.step()) : "";
  return str(group.name_of(group.rank()), at, ": ", message, where_it_stands());
}

void complain_of_one(const std::string& message) {
  comm::Group& group = processes();
  if (all_of_them().silent) return;
  if (group.size() == 1) return complain(message);
  if (all_of_them().known ? group.first() : group.first_to_tell()) complain(message);
}

int leave_processes(int status) {
  comm::Group& group = processes();
  if (group.size() == 1) return status;
  std::fflush(nullptr);
  const bool known = status == kDone || status == kInterrupted || all_of_them().known;
  if (!known) group.abort(status);
  try {
    all_of_them().devices = {};
    group.finish();
  } catch (const std::exception& error) {
    all_of_them().known = false;
    complain_of_one(error.what());
    group.abort(status == kDone ? static_cast<int>(kFailed) : status);
  }
  return status;
}

}  // namespace nf::cli
