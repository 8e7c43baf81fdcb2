// Signals that end a training, and those that must not.
#pragma once

namespace nf::cli {

/// From now on SIGINT (Ctrl-C), SIGTERM and SIGHUP (the terminal or ssh was closed) only raise a
/// flag, so that training can save. A second SIGINT or SIGTERM ends the process at once; SIGHUP,
/// which a closing terminal may send twice, never does. A SIGINT or SIGHUP that was ignored at the
/// start, as nohup does, stays ignored. Before this call each has its usual effect.
void catch_interrupts();
bool interrupted();

/// A closed pipe (SIGPIPE) ends nothing from now on: writing to it fails instead.
void ignore_closed_pipes();

}  // namespace nf::cli
