#include "comm/local_group.h"

#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <new>
#include <utility>

namespace nf::comm {

namespace {

// What processes see of each other without a message.
struct Shared {
  std::atomic<std::int64_t> signs[kMostLocal] = {};
  std::atomic<bool> told = false;
};

std::shared_ptr<Shared> shared_page() {
  void* page =
      ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  NF_CHECK(page != MAP_FAILED, "[processes] no shared memory: ", std::strerror(errno));
  return {new (page) Shared, [](Shared* shared) { ::munmap(shared, sizeof(Shared)); }};
}

// One end of a connection.
class Socket {
 public:
  Socket() = default;
  explicit Socket(int fd) : fd_(fd) {}
  Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Socket& operator=(Socket&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Socket() {
    if (fd_ >= 0) ::close(fd_);
  }
  int fd() const { return fd_; }

 private:
  int fd_ = -1;
};

class LocalGroup final : public Group {
 public:
  LocalGroup(int rank, std::vector<Socket> peers, std::shared_ptr<Shared> shared)
      : Group(rank, static_cast<int>(peers.size())),
        peers_(std::move(peers)),
        shared_(std::move(shared)) {
    set_hosts(std::vector<std::string>(peers_.size(), host_name()));
  }
  ~LocalGroup() override { stop_watching(); }

  void exchange(int to, std::span<const std::byte> out, int from,
                std::span<std::byte> in) override {
    if (to < 0) out = {};
    if (from < 0) in = {};
    while (!out.empty() || !in.empty()) {
      pollfd ends[2] = {{out.empty() ? -1 : fd_of(to), POLLOUT, 0},
                        {in.empty() ? -1 : fd_of(from), POLLIN, 0}};
      const int ready = ::poll(ends, 2, -1);
      NF_CHECK(ready >= 0 || errno == EINTR, "[processes] poll: ", std::strerror(errno));
      if (ready <= 0) continue;
      if (ends[0].revents != 0) {
        out = out.subspan(moved(to, ::send(fd_of(to), out.data(), out.size(), kFlags)));
      }
      if (ends[1].revents != 0) {
        const ssize_t got = ::recv(fd_of(from), in.data(), in.size(), kFlags);
        if (got == 0) gone(from);
        in = in.subspan(moved(from, got));
      }
    }
  }

  bool first_to_tell() override { return !shared_->told.exchange(true); }

  /// Of rank 0, which made the others: waits for these.
  void own_children(std::vector<pid_t> children) { children_ = std::move(children); }
  void finish() override {
    stop_watching();
    for (const pid_t child : children_) {
      int status = 0;
      while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
      }
    }
    children_.clear();
  }

 protected:
  void give_sign() override { ++shared_->signs[rank()]; }
  std::int64_t signs_of(int rank) override { return shared_->signs[rank]; }

 private:
  static constexpr int kFlags = MSG_NOSIGNAL | MSG_DONTWAIT;
  int fd_of(int rank) const { return peers_[static_cast<std::size_t>(rank)].fd(); }

  [[noreturn]] void gone(int rank) const {
    throw Lost(str("[processes] ", name_of(rank), " is gone, which ", name_of(this->rank()),
                   " waited for at step ", step()),
               rank);
  }
  std::size_t moved(int rank, ssize_t count) const {
    if (count >= 0) return static_cast<std::size_t>(count);
    if (errno == EPIPE || errno == ECONNRESET) gone(rank);
    NF_CHECK(errno == EAGAIN || errno == EINTR, "[processes] ", name_of(rank), ": ",
             std::strerror(errno));
    return 0;
  }

  std::vector<Socket> peers_;
  std::shared_ptr<Shared> shared_;
  std::vector<pid_t> children_;
};

}  // namespace

std::vector<std::unique_ptr<Group>> local_groups(int size) {
  NF_CHECK(size >= 1 && size <= kMostLocal, "[processes] ", size, " processes; give 1 to ",
           kMostLocal, ", or start more by mpirun");
  const auto n = static_cast<std::size_t>(size);
  std::vector<std::vector<Socket>> peers(n);
  for (auto& of_rank : peers) of_rank.resize(n);
  for (std::size_t a = 0; a < n; ++a) {
    for (std::size_t b = a + 1; b < n; ++b) {
      int ends[2];
      NF_CHECK(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0,
               "[processes] socketpair: ", std::strerror(errno));
      peers[a][b] = Socket(ends[0]);
      peers[b][a] = Socket(ends[1]);
    }
  }
  const std::shared_ptr<Shared> shared = shared_page();
  std::vector<std::unique_ptr<Group>> groups;
  for (int r = 0; r < size; ++r) {
    groups.push_back(
        std::make_unique<LocalGroup>(r, std::move(peers[static_cast<std::size_t>(r)]), shared));
  }
  return groups;
}

std::unique_ptr<Group> fork_group(int size) {
  std::vector<std::unique_ptr<Group>> groups = local_groups(size);
  const auto keep = [&](int rank) { return std::move(groups[static_cast<std::size_t>(rank)]); };
  const pid_t parent = ::getpid();
  std::vector<pid_t> children;
  for (int rank = 1; rank < size; ++rank) {
    const pid_t child = ::fork();
    NF_CHECK(child >= 0, "[processes] fork: ", std::strerror(errno));
    if (child == 0) {
      // One that is stopped sees no closed socket.
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (::getppid() != parent) std::_Exit(1);
      return keep(rank);
    }
    children.push_back(child);
  }
  std::unique_ptr<Group> own = keep(0);
  static_cast<LocalGroup&>(*own).own_children(std::move(children));
  return own;
}

}  // namespace nf::comm
