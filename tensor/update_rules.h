// The optimizers' update of one scalar parameter, each written once for CPU and CUDA.
//
// p: parameter, g: gradient (already scaled by the clip factor), m and v: the rule's state, zero at
// the start. Fields of UpdateArgs that a rule does not use are ignored.
#pragma once

#include <cstdint>

#include "tensor/host_device.h"
#include "tensor/math.h"

namespace nf {

struct UpdateArgs {
  double lr = 1e-3;
  double beta1 = 0.9;    ///< momentum (SGD, RMSProp), first-moment decay (Adam family), EMA decay
  double beta2 = 0.999;  ///< second-moment decay
  double eps = 1e-8;
  double weight_decay = 0;  ///< added to the gradient as L2; decoupled in AdamW
  double correction1 = 1;   ///< 1 - beta1^t
  double correction2 = 1;   ///< 1 - beta2^t
};

/// What the constants of UpdateArgs are multiplied with for one parameter.
struct UpdateFactors {
  double lr = 1;
  double eps = 1;
  double weight_decay = 1;
};

namespace rules {

template <class T>
struct Coefficients {
  T lr, beta1, beta2, eps, weight_decay, correction1, correction2;
  NF_HD explicit Coefficients(const UpdateArgs& a, const UpdateFactors& factors = {})
      : lr(static_cast<T>(a.lr * factors.lr)),
        beta1(static_cast<T>(a.beta1)),
        beta2(static_cast<T>(a.beta2)),
        eps(static_cast<T>(a.eps * factors.eps)),
        weight_decay(static_cast<T>(a.weight_decay * factors.weight_decay)),
        correction1(static_cast<T>(a.correction1)),
        correction2(static_cast<T>(a.correction2)) {}
};

/// v = beta1*v + g; p -= lr*v  (momentum in the form of Sutskever et al. 2013 as PyTorch has it)
struct Sgd {
  static constexpr const char* name = "sgd";
  static constexpr int states = 1;
  template <class T>
  NF_HD static void step(T& p, T g, T& m, T&, const Coefficients<T>& k) {
    m = k.beta1 * m + (g + k.weight_decay * p);
    p -= k.lr * m;
  }
};

/// v = beta2*v + (1-beta2)*g^2; m = beta1*m + g/(sqrt(v)+eps); p -= lr*m  (Tieleman & Hinton 2012)
struct RmsProp {
  static constexpr const char* name = "rmsprop";
  static constexpr int states = 2;
  template <class T>
  NF_HD static void step(T& p, T g, T& m, T& v, const Coefficients<T>& k) {
    g += k.weight_decay * p;
    v = k.beta2 * v + (T(1) - k.beta2) * g * g;
    m = k.beta1 * m + g / (math::sqrt(v) + k.eps);
    p -= k.lr * m;
  }
};

/// The same with g / max(sqrt(v), eps): small gradients stay small. (NICE's code, 2014)
struct RmsPropFloor {
  static constexpr const char* name = "rmsprop-floor";
  static constexpr int states = 2;
  template <class T>
  NF_HD static void step(T& p, T g, T& m, T& v, const Coefficients<T>& k) {
    g += k.weight_decay * p;
    v = k.beta2 * v + (T(1) - k.beta2) * g * g;
    const T root = math::sqrt(v);
    m = k.beta1 * m + g / (root > k.eps ? root : k.eps);
    p -= k.lr * m;
  }
};

/// Kingma & Ba 2015, algorithm 1.
struct Adam {
  static constexpr const char* name = "adam";
  static constexpr int states = 2;
  template <class T>
  NF_HD static void step(T& p, T g, T& m, T& v, const Coefficients<T>& k) {
    g += k.weight_decay * p;
    m = k.beta1 * m + (T(1) - k.beta1) * g;
    v = k.beta2 * v + (T(1) - k.beta2) * g * g;
    p -= k.lr * (m / k.correction1) / (math::sqrt(v / k.correction2) + k.eps);
  }
};

/// Adam with decoupled weight decay (Loshchilov & Hutter 2019).
struct AdamW {
  static constexpr const char* name = "adamw";
  static constexpr int states = 2;
  template <class T>
  NF_HD static void step(T& p, T g, T& m, T& v, const Coefficients<T>& k) {
    p -= k.lr * k.weight_decay * p;
    m = k.beta1 * m + (T(1) - k.beta1) * g;
    v = k.beta2 * v + (T(1) - k.beta2) * g * g;
    p -= k.lr * (m / k.correction1) / (math::sqrt(v / k.correction2) + k.eps);
  }
};

/// Kingma & Ba 2015, algorithm 2: v is the decayed infinity norm of the gradients.
struct Adamax {
  static constexpr const char* name = "adamax";
  static constexpr int states = 2;
  template <class T>
  NF_HD static void step(T& p, T g, T& m, T& v, const Coefficients<T>& k) {
    g += k.weight_decay * p;
    m = k.beta1 * m + (T(1) - k.beta1) * g;
    const T decayed = k.beta2 * v, size = math::abs(g) + k.eps;
    v = decayed > size ? decayed : size;
    p -= (k.lr / k.correction1) * m / v;
  }
};

/// Exponential moving average: p is the average, g the parameter. p = beta1*p + (1-beta1)*g
struct Ema {
  static constexpr const char* name = "ema";
  static constexpr int states = 0;
  template <class T>
  NF_HD static void step(T& p, T g, T&, T&, const Coefficients<T>& k) {
    p += (T(1) - k.beta1) * (g - p);
  }
};

}  // namespace rules

#define NF_UPDATE_RULES(X) X(Sgd) X(RmsProp) X(RmsPropFloor) X(Adam) X(AdamW) X(Adamax) X(Ema)

#define NF_ENUMERATOR(Rule) Rule,
enum class UpdateRule : std::uint8_t { NF_UPDATE_RULES(NF_ENUMERATOR) };
#undef NF_ENUMERATOR

template <class Body>
constexpr decltype(auto) visit(UpdateRule rule, Body&& body) {
#define NF_CASE(Rule)    \
  case UpdateRule::Rule: \
    return body.template operator()<rules::Rule>();
  switch (rule) { NF_UPDATE_RULES(NF_CASE) }
#undef NF_CASE
  __builtin_unreachable();
}

constexpr const char* name_of(UpdateRule rule) {
  return visit(rule, []<class Rule>() { return Rule::name; });
}
constexpr int states_of(UpdateRule rule) {
  return visit(rule, []<class Rule>() { return Rule::states; });
}

/// The factors with which a parameter moves as rate * p does where p is what is learned. The
/// gradient of p is rate times as large as the parameter's own, and p moves 1/rate as far. A rule
/// that divides by the gradient's size takes steps of rate * lr then, and looks at the size with
/// eps / rate; the steps of one that does not are proportional to rate twice. L2 decay pulls p,
/// with a gradient of weight_decay * parameter / rate. Decoupled decay shrinks both alike.
constexpr UpdateFactors factors_of(UpdateRule rule, double rate) {
  const bool divides = rule != UpdateRule::Sgd, decoupled = rule == UpdateRule::AdamW;
  return {.lr = divides ? rate : rate * rate,
          .eps = 1 / rate,
          .weight_decay = decoupled ? 1 / rate : 1 / (rate * rate)};
}

}  // namespace nf
