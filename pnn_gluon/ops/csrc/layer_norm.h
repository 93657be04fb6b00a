// Layer normalization of rows of n numbers: y = act((x + shift - mean) / sqrt(var + epsilon) * gamma + beta).
#pragma once

#include "common.h"

namespace pnn {

// The shift may be null.
struct Norm {
  const float *shift, *gamma, *beta;
  int64_t n;
  float epsilon;
};

// Sums, padded to whole vectors, to which the gradients of rows are added; that of the shift may be null if it is.
struct NormGradients {
  float *shift, *gamma, *beta;
};

}  // namespace pnn
