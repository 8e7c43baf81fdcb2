// The models of this tree.
#pragma once

#include <memory>
#include <vector>

namespace nf::flows {

class Model;

std::vector<std::shared_ptr<const Model>> models_of_this_tree();

}  // namespace nf::flows
