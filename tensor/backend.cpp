#include "tensor/backend.h"

namespace nf {

const char* name_of(ReduceOp op) {
  switch (op) {
    case ReduceOp::Sum:
      return "sum";
    case ReduceOp::Mean:
      return "mean";
    case ReduceOp::SumSquares:
      return "sum_squares";
    case ReduceOp::Prod:
      return "prod";
    case ReduceOp::Max:
      return "max";
    case ReduceOp::Min:
      return "min";
    case ReduceOp::LogSumExp:
      return "logsumexp";
    case ReduceOp::Variance:
      return "variance";
    case ReduceOp::ArgMax:
      return "argmax";
  }
  return "?";
}

Backend& backend_for(Device device) {
  return device == Device::CUDA ? cuda_backend() : cpu_backend();
}

}  // namespace nf
