#include "flows/models/list.h"

namespace nf::flows {

// A new model is one file, which defines such a function, and one line here.
#define NF_MODELS(M) \
  M(nice)            \
  M(nice_plus)       \
  M(realnvp_2d)      \
  M(realnvp)         \
  M(glow)            \
  M(image_plus)      \
  M(maf)             \
  M(nsf)             \
  M(made)            \
  M(planar)          \
  M(iresnet)         \
  M(residual_flow)   \
  M(tabular)         \
  M(vae)             \
  M(nade)            \
  M(pixelcnn)        \
  M(pixelrnn)        \
  M(wavenet)

#define NF_DECLARE(name) std::shared_ptr<const Model> name##_model();
NF_MODELS(NF_DECLARE)
#undef NF_DECLARE

std::vector<std::shared_ptr<const Model>> models_of_this_tree() {
#define NF_ENTRY(name) name##_model(),
  return {NF_MODELS(NF_ENTRY)};
#undef NF_ENTRY
}

}  // namespace nf::flows
