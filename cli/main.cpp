// flowcli: normalizing flows from the command line. Each command has a file of its own.
#include "cli/flowcli.h"

int main(int argc, char** argv) { return nf::cli::run(argc, argv); }
