// Faults on purpose, for tests of what survives a crash: the process is stopped, or a write fails,
// at a named place in the writing of a file.
//
//   NF_FAULT=write-rename:3:kill flowcli train ...    ends at its third rename, as kill -9 would
#pragma once

#include <cstdio>
#include <string>

namespace nf {

/// Marks a place in the writing of `path`. When the environment's NF_FAULT is
/// "<point>:<count>:<action>", the process takes the action at the count-th time (from 1) that it
/// comes to `point`:
///   kill  SIGKILL: nothing is cleaned up
///   stop  SIGSTOP: it waits for SIGCONT, and its parent can wait for that with waitpid(WUNTRACED)
///   fail  throws Error as of a full disk, here and at every later point, whatever its name
/// `file`, if any, is flushed before, so that what was written is seen. Without NF_FAULT it costs
/// one look at the environment. An NF_FAULT of another form throws Error.
///
/// Points, in the order of a save: atomic_write has write-begin (nothing is there yet), write-part
/// (after each piece of bytes), write-sync (all bytes, before fsync), write-rename and write-done
/// (renamed); append_to_file has log-append (half of it); flowcli has save-between (the files of a
/// checkpoint) and importance-draw (after each of a batch, where nothing is written), and of
/// several processes rank-R-data and rank-R-step: in the process R, before it loads data and after
/// each step.
void fault_point(const char* point, const std::string& path, std::FILE* file = nullptr);

}  // namespace nf
