#include "flows/maps/map.h"

#include "flows/maps/affine.h"
#include "tensor/names.h"

namespace nf::flows {

namespace {

using MakeMap = std::shared_ptr<ElementwiseMap> (*)(double limit);

const Names<MakeMap>& all_maps() {
  static const Names<MakeMap> names("coupling",
                                    {{"additive", [](double) { return additive_map(); }},
                                     {"multiplicative", multiplicative_map},
                                     {"affine", affine_map}});
  return names;
}

}  // namespace

std::vector<std::string> map_names() { return all_maps().all(); }

std::shared_ptr<ElementwiseMap> map_by_name(const std::string& name, double limit) {
  return all_maps().at(name)(limit);
}

}  // namespace nf::flows
