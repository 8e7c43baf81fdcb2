// The models of the playground: this takes the place of flows/models/list.cpp.
#include "flows/models/list.h"

namespace nf::flows {

std::shared_ptr<const Model> nice_model();
std::shared_ptr<const Model> realnvp_2d_model();
std::shared_ptr<const Model> maf_model();
std::shared_ptr<const Model> nsf_model();

std::vector<std::shared_ptr<const Model>> models_of_this_tree() {
  return {nice_model(), realnvp_2d_model(), maf_model(), nsf_model()};
}

}  // namespace nf::flows
