// flowcli as a library: the whole program, for one of your own with models of your own.
#pragma once

namespace nf::cli {

/// What the program does with these words; its exit status. A model that was handed to
/// flows::add_model() before (flows/models/model.h) is trained, evaluated and sampled by all
/// commands as the project's own are.
int run(int argc, char** argv);

}  // namespace nf::cli
