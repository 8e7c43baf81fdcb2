#include "flows/models/model.h"

#include "flows/models/list.h"
#include "tensor/error.h"
#include "tensor/text.h"

namespace nf::flows {

namespace {

std::vector<std::shared_ptr<const Model>>& all_models() {
  static std::vector<std::shared_ptr<const Model>> all = models_of_this_tree();
  return all;
}

}  // namespace

const std::vector<std::shared_ptr<const Model>>& models() { return all_models(); }

void add_model(std::shared_ptr<const Model> model) {
  for (const auto& other : models()) {
    NF_CHECK(other->name() != model->name(), "[add_model] there is a model '", model->name(),
             "' already; give yours another name");
  }
  all_models().push_back(std::move(model));
}

std::vector<std::string> preset_names() {
  std::vector<std::string> names;
  for (const auto& model : models()) names.push_back(model->name());
  return names;
}

const Model& model_by_name(const std::string& name) {
  for (const auto& model : models()) {
    if (model->name() == name) return *model;
  }
  fail(str("[model] there is no model '", printable(name), "'; the models are ",
           join(preset_names(), ", "), ", or give a configuration file ending in .json"));
}

Config preset(const std::string& name, const DataShape& data, const std::string& recipe) {
  return model_by_name(name).preset(data, recipe);
}

}  // namespace nf::flows
