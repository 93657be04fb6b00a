// What dense layers have in common.
#pragma once

#include "common.h"

namespace pnn {

constexpr int64_t kNarrow = 4;  // layers of up to so many units are float32 always, and no matrix products

// The gradient of (rows, n) through ReLU, which passes where y > 0, or dy itself without one; its sum over rows goes to
// d_bias (n,) unless that is null. It is good until the thread calls again.
const float* through_activation(bool relu, const float* dy, const float* y, float* d_bias, int64_t rows, int64_t n);

}  // namespace pnn
