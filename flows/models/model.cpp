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

std::string of_other_models(const std::string& key, const std::string& model,
                            const std::function<std::string(const std::string&)>& shown) {
  std::vector<std::string> owners, own;
  for (const std::string& name : preset_names()) {
    const Config config = preset(name);
    for (const Field& field : config.fields()) {
      if (field.group != "model") continue;
      if (name == model) own.push_back(shown(field.key));
      if (name != model && field.key == key) owners.push_back(name);
    }
  }
  if (owners.empty()) return "";
  return str(shown(key), " is of ", join(owners, ", "), "; ", model, " has ", join(own, ", "));
}

Config preset(const std::string& name, const DataShape& data, const std::string& recipe) {
  const Model& model = model_by_name(name);
  const std::vector<std::string> all = model.recipes();
  return model.preset(data, recipe.empty() && !all.empty() ? all.front() : recipe);
}

}  // namespace nf::flows
