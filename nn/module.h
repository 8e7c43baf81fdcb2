// Module: something with named parameters. Layers, networks and flows are Modules.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "autograd/var.h"
#include "tensor/profile.h"
#include "tensor/random.h"

namespace nf::nn {

/// One line of the table that `inspect` prints.
struct LayerInfo {
  std::string name;  ///< dotted path, e.g. "couplings.0.net.2"
  std::string kind;  ///< e.g. "Linear(784 -> 1000, relu)"
  Shape out_shape;   ///< of a batch; the first size is the batch size asked for
  std::int64_t parameters = 0;
  double flops = 0;  ///< of one forward pass, as Module::flops counts them
  /// A step of training recovers the output from what comes behind, and needs it beside those of
  /// the same part only (flows::Compose); parts are counted from 1, 0: of none.
  bool recovered = false;
  std::size_t part = 0;
  double beside = 0;  ///< numbers that the layer computes on its way, and backward needs
};

/// About the bytes that a step of training keeps, in f32, before backward begins: of all layers, of
/// those that are recovered the most in one part.
double kept_bytes(const std::vector<LayerInfo>& layers);

/// What an optimizer should know of a parameter.
struct ParameterOptions {
  /// It learns as rate * p does where p is what is learned, and the gradient that is clipped is
  /// that of p: Adam, which moves a number by about the learning rate per step, moves it rate times
  /// as far.
  double rate = 1;
  /// Whether weight decay is for it. Without a word: where its name ends with "weight".
  std::optional<bool> decayed = {};
};

/// Tensors by dotted name, in order.
using StateDict = std::vector<std::pair<std::string, Tensor>>;

/// Copies the values of `from` into the tensors of `own`. Throws Error, before anything is changed,
/// when a name is missing or unknown or a shape differs.
void copy_state(const StateDict& own, const std::map<std::string, Tensor>& from);

/// A tree of named parameters (trained), buffers (saved but not trained: masks, running statistics,
/// "initialised" flags), generators (of what is drawn in forward; a training saves and resumes
/// them) and sub-modules. A module that several others hold is one module: it is
/// visited, counted, trained and saved once, by the first of its names.
class Module {
 public:
  Module() = default;
  virtual ~Module() = default;
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;

  /// What it is, with its sizes: "Linear(784 -> 1000, relu)".
  virtual std::string kind() const = 0;
  /// Shape of the output for an input of shape `in` (batch first).
  virtual Shape out_shape(const Shape& in) const { return in; }
  /// Floating-point operations of this module alone in one forward pass of `in`: 1 for each + - * /
  /// and each elementary function (exp, log, tanh, max, ...) of one number, so 2 for a
  /// multiply-add. What is done once for a batch counts too; moving, selecting and drawing numbers
  /// does not.
  virtual double flops(const Shape& /*in*/) const { return 0; }
  /// Appends the rows of the `inspect` table. Leaves add one row; containers hand down. Returns
  /// out_shape(in).
  virtual Shape inspect(const Shape& in, const std::string& name,
                        std::vector<LayerInfo>& rows) const;

  /// Train or evaluation mode, for the whole tree. Modules start in train mode.
  void train(bool on = true);
  void eval() { train(false); }
  bool training() const { return training_; }

  // The tree, in the order of declaration, each module once. Names are joined by dots.
  void for_each_module(const std::function<void(const std::string&, const Module&)>& visit) const;
  void for_each_parameter(const std::function<void(const std::string&, Var&)>& visit,
                          const std::string& prefix = "");
  void for_each_parameter(
      const std::function<void(const std::string&, Var&, const ParameterOptions&)>& visit,
      const std::string& prefix = "");
  void for_each_buffer(const std::function<void(const std::string&, Tensor&)>& visit,
                       const std::string& prefix = "");
  void for_each_generator(const std::function<void(const std::string&, Generator&)>& visit,
                          const std::string& prefix = "");
  std::vector<std::pair<std::string, Var*>> parameters();
  std::vector<Generator*> generators();
  std::int64_t parameter_count() const;  ///< number of trained numbers
  Device device() const;                 ///< of its parameters and buffers; the CPU without any

  void clear_grads();
  /// Converts all parameters and float buffers.
  void to(DType dtype);
  void to(Device device);

  /// Parameters and buffers; the tensors are the module's own, not copies.
  StateDict state();
  void load_state(const std::map<std::string, Tensor>& tensors) { copy_state(state(), tensors); }

 protected:
  // The returned references stay valid as long as the module lives. A parameter is contiguous, as
  // optimizers need it: of a view with other strides, add_parameter keeps a copy.
  Var& add_parameter(std::string name, Tensor init, const ParameterOptions& options = {});
  Tensor& add_buffer(std::string name, Tensor init);
  /// What the module draws comes from generators of its own, in forward for rows of samples: the
  /// first dimension of every draw is that of the batch (Generator::place).
  Generator& add_generator(std::string name, const Generator& gen);
  template <class M>
  M& add_module(std::string name, std::shared_ptr<M> module) {
    M& reference = *module;
    children_.emplace_back(std::move(name), std::move(module));
    return reference;
  }
  const std::vector<std::pair<std::string, std::shared_ptr<Module>>>& children() const {
    return children_;
  }

 private:
  /// visit(module, name) for every module that is not in `seen`, this one first.
  template <class M, class Visit>
  static void walk(M& module, const std::string& name, std::set<const Module*>& seen,
                   const Visit& visit);

  struct Parameter {
    std::string name;
    Var var;
    ParameterOptions options;
  };
  std::deque<Parameter> parameters_;
  std::deque<std::pair<std::string, Tensor>> buffers_;
  std::deque<std::pair<std::string, Generator>> generators_;
  std::vector<std::pair<std::string, std::shared_ptr<Module>>> children_;
  bool training_ = true;
};

/// While it lives, what is computed is this module's for a Profile. Who calls a module opens one
/// (layers and transforms have an operator() that does): so the module need not know of it.
class Call : Profile::Scope {
 public:
  explicit Call(const Module& module) : Scope(&module) {}
};

/// "a" + "b" = "a.b", and "" + "b" = "b".
std::string join_names(const std::string& prefix, const std::string& name);

}  // namespace nf::nn
