#include "nn/module.h"

#include <algorithm>

namespace nf::nn {

std::string join_names(const std::string& prefix, const std::string& name) {
  if (prefix.empty() || name.empty()) return prefix + name;
  return prefix + "." + name;
}

Shape Module::inspect(const Shape& in, const std::string& name,
                      std::vector<LayerInfo>& rows) const {
  const Shape out = out_shape(in);
  rows.push_back({name, kind(), out, parameter_count(), flops(in)});
  return out;
}

void Module::train(bool on) {
  training_ = on;
  for (auto& [name, child] : children_) child->train(on);
}

template <class M, class Visit>
void Module::walk(M& module, const std::string& name, std::set<const Module*>& seen,
                  const Visit& visit) {
  if (!seen.insert(&module).second) return;
  visit(module, name);
  for (const auto& [child_name, child] : module.children_) {
    walk<M>(*child, join_names(name, child_name), seen, visit);
  }
}

void Module::for_each_module(
    const std::function<void(const std::string&, const Module&)>& visit) const {
  std::set<const Module*> seen;
  walk(*this, "", seen,
       [&](const Module& module, const std::string& name) { visit(name, module); });
}

void Module::for_each_parameter(const std::function<void(const std::string&, Var&)>& visit,
                                const std::string& prefix) {
  for_each_parameter(
      [&](const std::string& name, Var& p, const ParameterOptions&) { visit(name, p); }, prefix);
}

void Module::for_each_parameter(
    const std::function<void(const std::string&, Var&, const ParameterOptions&)>& visit,
    const std::string& prefix) {
  std::set<const Module*> seen;
  walk(*this, prefix, seen, [&](Module& module, const std::string& path) {
    for (Parameter& p : module.parameters_) visit(join_names(path, p.name), p.var, p.options);
  });
}

void Module::for_each_buffer(const std::function<void(const std::string&, Tensor&)>& visit,
                             const std::string& prefix) {
  std::set<const Module*> seen;
  walk(*this, prefix, seen, [&](Module& module, const std::string& path) {
    for (auto& [name, buffer] : module.buffers_) visit(join_names(path, name), buffer);
  });
}

void Module::for_each_generator(const std::function<void(const std::string&, Generator&)>& visit,
                                const std::string& prefix) {
  std::set<const Module*> seen;
  walk(*this, prefix, seen, [&](Module& module, const std::string& path) {
    for (auto& [name, gen] : module.generators_) visit(join_names(path, name), gen);
  });
}

std::vector<Generator*> Module::generators() {
  std::vector<Generator*> all;
  for_each_generator([&](const std::string&, Generator& gen) { all.push_back(&gen); });
  return all;
}

std::vector<std::pair<std::string, Var*>> Module::parameters() {
  std::vector<std::pair<std::string, Var*>> all;
  for_each_parameter([&](const std::string& name, Var& p) { all.emplace_back(name, &p); });
  return all;
}

std::int64_t Module::parameter_count() const {
  std::int64_t n = 0;
  std::set<const Module*> seen;
  walk(*this, "", seen, [&](const Module& module, const std::string&) {
    for (const Parameter& p : module.parameters_) n += p.var.numel();
  });
  return n;
}

Device Module::device() const {
  if (!parameters_.empty()) return parameters_[0].var.value().device();
  if (!buffers_.empty()) return buffers_[0].second.device();
  for (const auto& [name, child] : children_) {
    if (child->device() != Device::CPU) return child->device();
  }
  return Device::CPU;
}

void Module::clear_grads() {
  for_each_parameter([](const std::string&, Var& p) { p.clear_grad(); });
}

void Module::to(DType dtype) {
  for_each_parameter([&](const std::string&, Var& p) { p.set_value(p.value().to(dtype)); });
  for_each_buffer([&](const std::string&, Tensor& b) {
    if (is_float(b.dtype())) b = b.to(dtype);
  });
}

void Module::to(Device device) {
  for_each_parameter([&](const std::string&, Var& p) { p.set_value(p.value().to(device)); });
  for_each_buffer([&](const std::string&, Tensor& b) { b = b.to(device); });
}

StateDict Module::state() {
  StateDict all;
  for_each_parameter([&](const std::string& name, Var& p) { all.emplace_back(name, p.value()); });
  for_each_buffer([&](const std::string& name, Tensor& b) { all.emplace_back(name, b); });
  return all;
}

void copy_state(const StateDict& own, const std::map<std::string, Tensor>& from) {
  std::set<std::string> unknown;
  for (const auto& [name, tensor] : from) unknown.insert(name);
  for (const auto& [name, tensor] : own) {
    const auto found = from.find(name);
    NF_CHECK(found != from.end(), "[load] the checkpoint has no tensor '", name,
             "'; it was made for another model");
    NF_CHECK(found->second.shape() == tensor.shape(), "[load] '", name, "' has shape ",
             found->second.shape(), " in the checkpoint and ", tensor.shape(),
             " in the model; the configurations differ");
    unknown.erase(name);
  }
  NF_CHECK(unknown.empty(), "[load] the checkpoint's tensor '", *unknown.begin(),
           "' is not in the model; it was made for another one");
  for (const auto& [name, tensor] : own) Tensor(tensor).copy_(from.at(name));
}

Var& Module::add_parameter(std::string name, Tensor init, const ParameterOptions& options) {
  NF_CHECK(options.rate > 0, "[parameter] the rate of '", name, "' must be positive, got ",
           options.rate);
  return parameters_.emplace_back(Parameter{std::move(name), Var::leaf(init.contiguous()), options})
      .var;
}

Tensor& Module::add_buffer(std::string name, Tensor init) {
  return buffers_.emplace_back(std::move(name), std::move(init)).second;
}

Generator& Module::add_generator(std::string name, const Generator& gen) {
  return generators_.emplace_back(std::move(name), gen).second;
}

double kept_bytes(const std::vector<LayerInfo>& layers) {
  double kept = 0, most = 0;
  std::map<std::size_t, double> parts;
  for (const LayerInfo& layer : layers) {
    const double numbers = static_cast<double>(layer.out_shape.numel()) + layer.beside;
    const double bytes = numbers * sizeof(float);
    double& sum = layer.recovered ? parts[layer.part] : kept;
    sum += bytes;
    if (layer.recovered) most = std::max(most, sum);
  }
  return kept + most;
}

}  // namespace nf::nn
