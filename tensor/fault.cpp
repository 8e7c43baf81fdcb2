#include "tensor/fault.h"

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <string>

#include "tensor/error.h"

namespace nf {
namespace {

struct Fault {
  std::string point, action;  // no point: none is wanted
  long count = 0;
};

Fault read_fault() {
  const char* text = std::getenv("NF_FAULT");
  if (!text || !*text) return {};
  const std::string all = text;
  const std::size_t first = all.find(':'), second = all.find(':', first + 1);
  Fault fault;
  if (first != std::string::npos && second != std::string::npos) {
    fault.point = all.substr(0, first);
    fault.count = std::strtol(all.c_str() + first + 1, nullptr, 10);
    fault.action = all.substr(second + 1);
  }
  NF_CHECK(!fault.point.empty() && fault.count > 0 &&
               (fault.action == "kill" || fault.action == "stop" || fault.action == "fail"),
           "[fault] NF_FAULT='", all, "' is not <point>:<count>:<kill, stop or fail>");
  return fault;
}

}  // namespace

void fault_point(const char* point, const std::string& path, std::FILE* file) {
  const Fault fault = read_fault();  // at every call: a test sets it in a forked process
  if (fault.point.empty()) return;
  static std::atomic<long> passed{0};
  const auto full = [&] { fail(str("[write] '", path, "': ", std::strerror(ENOSPC))); };
  if (fault.action == "fail" && passed >= fault.count) full();
  if (fault.point != point || ++passed != fault.count) return;
  if (file) std::fflush(file);
  if (fault.action == "fail") full();
  std::raise(fault.action == "kill" ? SIGKILL : SIGSTOP);
}

}  // namespace nf
