#include "comm/launcher.h"

#include <dlfcn.h>
#include <sched.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string_view>

#include "comm/mpi_plugin.h"
#include "tensor/threads.h"

namespace nf::comm {

namespace {

constexpr const char* kPlugin = "libnf_mpi.so";

/// The number that a variable says; 0 without one.
int number_in(const char* variable) {
  const char* const text = std::getenv(variable);
  if (!text) return 0;
  int value = 0;
  const std::string_view view(text);
  const auto [end, error] = std::from_chars(view.begin(), view.end(), value);
  return error == std::errc() && end == view.end() ? value : 0;
}

class MpiGroup final : public Group {
 public:
  explicit MpiGroup(const nf_mpi& mpi) : Group(mpi.rank, mpi.size), mpi_(mpi) {
    set_hosts(gather(host_name()));
  }
  ~MpiGroup() override { stop_watching(); }

  void exchange(int to, std::span<const std::byte> out, int from,
                std::span<std::byte> in) override {
    const int error = mpi_.exchange(to, out.data(), out.size(), from, in.data(), in.size());
    if (error == 0) return;
    const int other = to >= 0 ? to : from;
    throw Lost(str("[processes] MPI gives error ", error, " between ", name_of(rank()), " and ",
                   name_of(other), " at step ", step()),
               other);
  }
  [[noreturn]] void abort(int status) override {
    mpi_.abort(status);
    std::_Exit(status);
  }
  void finish() override {
    gather("");  // here they are all: none misses the signs of another
    stop_watching();
    mpi_.finish();
  }

 protected:
  void give_sign() override { mpi_.give_sign(); }
  std::int64_t signs_of(int rank) override {
    return (rank + 1) % size() == this->rank() ? mpi_.signs() : -1;
  }

 private:
  const nf_mpi& mpi_;
};

/// Beside the program, as in a build folder, or where it is installed.
std::string plugin_path() {
  std::error_code error;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", error);
  const auto folder = program.parent_path();
  for (const auto& place : {folder, folder / ".." / NF_LIBRARY_FOLDER,
                            folder / ".." / NF_LIBRARY_FOLDER / "nf", folder / "../lib/nf"}) {
    if (std::filesystem::exists(place / kPlugin, error)) return (place / kPlugin).string();
  }
  return "";
}

/// "Open MPI v4.1.4", "MPICH Version: 4.0.2": the rest is how it was built.
std::string first_words(const std::string& library) {
  std::string words = library.substr(0, library.find_first_of(",\n"));
  std::replace(words.begin(), words.end(), '\t', ' ');
  return words;
}

std::unique_ptr<Group> start_mpi(const Launch& launch) {
  const std::string told = str(launch.by, " says that ", launch.size, " processes were started");
  const std::string path = plugin_path();
  NF_CHECK(!path.empty(), "[processes] ", told, ", and this build has no MPI (", kPlugin,
           "): build it where mpi.h is (apt install libopenmpi-dev), or start one process (env -u ",
           launch.by, " flowcli ...); on one machine --processes needs no MPI");
  void* const library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL);
  NF_CHECK(library, "[processes] ", told, ", and MPI cannot be opened: ", ::dlerror());
  const auto start = reinterpret_cast<const nf_mpi* (*)()>(::dlsym(library, "nf_mpi_start"));
  const nf_mpi* const mpi = start ? start() : nullptr;
  NF_CHECK(mpi && mpi->version == NF_MPI_VERSION, "[processes] ", told, ", and ", path,
           " does not start; is it of this version?");
  NF_CHECK(mpi->size == launch.size, "[processes] ", told, ", but MPI sees ", mpi->size, " (",
           first_words(mpi->library),
           "): start them by the mpirun of that MPI, or start one process (env -u ", launch.by,
           " flowcli ...)");
  return std::make_unique<MpiGroup>(*mpi);
}

std::string affinity() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return "";
  return {reinterpret_cast<const char*>(&set), sizeof set};
}

}  // namespace

Launch launched() {
  struct Variable {
    const char *rank, *size;
  };
  constexpr Variable kVariables[] = {{"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"},
                                     {"PMI_RANK", "PMI_SIZE"},
                                     {"SLURM_PROCID", "SLURM_STEP_NUM_TASKS"},
                                     {"RANK", "WORLD_SIZE"}};
  for (const Variable& v : kVariables) {
    const int size = number_in(v.size);
    if (std::getenv(v.rank) && size > 1) return {v.size, size, number_in(v.rank)};
  }
  return {};
}

std::unique_ptr<Group> join_launched() {
  const Launch launch = launched();
  return launch.size > 1 ? start_mpi(launch) : alone();
}

int fair_threads(Group& group) {
  const std::string host = host_name() + '\0', own = host + affinity();
  const auto all = group.gather(own);
  cpu_set_t set;
  const bool known = sched_getaffinity(0, sizeof set, &set) == 0;
  // What a container may take is for all of its processes, whatever they are bound to.
  const bool limited = known && usable_processors() < CPU_COUNT(&set);
  const auto beside = std::count_if(all.begin(), all.end(), [&](const std::string& other) {
    return limited ? other.starts_with(host) : other == own;
  });
  return std::max(1, usable_processors() / static_cast<int>(beside));
}

int rank_on_machine(Group& group) {
  const std::string own = host_name();
  const auto all = group.gather(own);
  return static_cast<int>(std::count(all.begin(), all.begin() + group.rank(), own));
}

}  // namespace nf::comm
