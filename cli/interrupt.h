// Ctrl-C: the first one asks politely, so that training can save; the second one ends at once.
#pragma once

namespace nf::cli {

/// From now on SIGINT and SIGTERM only raise a flag, once.
void catch_interrupts();
bool interrupted();

}  // namespace nf::cli
