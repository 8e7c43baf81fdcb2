// Rows of the flow table (flows_table.cpp) that stand in files of their own.
#pragma once

#include <string>
#include <vector>

#include "flows/examine/check.h"

namespace nf::test {

struct FlowRow {
  std::string type;  ///< the class, as its header has it
  flows::BijectionCase test;
};

std::vector<FlowRow> map_rows();    ///< couplings of every elementwise map beside the affine ones
std::vector<FlowRow> image_rows();  ///< layers of images (N, H, W, C)
std::vector<FlowRow> autoregressive_rows();
std::vector<FlowRow> planar_rows();  ///< planar, radial and Sylvester
std::vector<FlowRow> ladder_rows();  ///< of latents
std::vector<FlowRow> residual_rows();
std::vector<FlowRow> realnvp_rows();  ///< batch norm, RealNVP's couplings, both orders of squeezes

}  // namespace nf::test
