// FactorOut: part of the channels leaves, the rest goes on.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "flows/bijection.h"
#include "flows/maps/map.h"
#include "nn/layers/linear.h"

namespace nf::flows {

/// Of images (N, H, W, C), the last C/2 channels (rounded down) leave; the others go through
/// `rest`, whose output is rows. What leaves is mapped by `map`, with parameters that `prior` makes
/// of what stays: (N, H, W, C - C/2) to (N, H, W, C/2 * map->parameters_per_dim()). So all latents
/// have one distribution, and a learned prior of what leaves is this map (Kingma, Dhariwal, "Glow"
/// (2018), appendix B). Without `map` and `prior` it leaves as it is (Dinh et al., "Real NVP"
/// (2017), section 3.6).
///
/// The output is (N, H W C): the row of `rest`, then what left, as rows of pixels. So the latents
/// of the coarsest scale come first.
class FactorOut : public Bijection {
 public:
  /// `image` is (H, W, C). Throws Error unless C >= 2 and `rest` is exact.
  FactorOut(const Shape& image, std::shared_ptr<Transform> rest,
            std::shared_ptr<ElementwiseMap> map = nullptr,
            std::shared_ptr<nn::Layer> prior = nullptr);
  Mapped forward(const Var& x, const Var& context = {}) override;
  Mapped inverse(const Var& z, const Var& context = {}) override;
  Walked walk_back(const Walked& at, const Tensor& dlog_det, const Var& context) override;
  void initialize(const Samples& x) override;
  std::int64_t initial_rows() const override { return rest_.initial_rows(); }
  Shape out_shape(const Shape& in) const override { return {in.dim(0), image_.numel()}; }
  std::int64_t leaving() const { return leaving_.numel(); }  ///< numbers of an image that leave
  std::string kind() const override;
  Shape inspect(const Shape& in, const std::string& name,
                std::vector<nn::LayerInfo>& rows) const override;

 private:
  Var parameters_for(const Var& stays, const Var& context);
  Walked left_back(const Walked& at, const Tensor& dlog_det, const Var& stays, const Var& context);

  Shape image_, leaving_;  // (H, W, C), (H, W, C/2)
  std::int64_t stay_;      // channels
  Transform& rest_;
  ElementwiseMap* map_ = nullptr;
  nn::Layer* prior_ = nullptr;
};

/// How many of the `dims` latents of a flow belong to each scale and the coarser ones, the finest
/// scale first: {784, 392, 196} of three. They are the first so many of a row. {dims} where nothing
/// is factored out.
std::vector<std::int64_t> latents_from_scale(const nn::Module& flow, std::int64_t dims);

}  // namespace nf::flows
