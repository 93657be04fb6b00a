// pnn_log_loss(z (...), label (...) of 0 or 1) -> log(1 + e^s) with s = (1 - 2 label) z, of the shape of z.
// Computed as max(s, 0) + log(1 + e^-|s|), which neither overflows nor loses small losses.
#include "common.h"

#include <cmath>

namespace pnn {

static MXReturnValue forward(const Attributes&, Tensors* inputs, Tensors* outputs, const OpResource&) {
  const float *z = (*inputs)[0].data<float>(), *label = (*inputs)[1].data<float>();
  float* loss = (*outputs)[0].data<float>();
  for_chunks((*inputs)[0].size(), [&](int64_t, int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const float s = (1 - 2 * label[i]) * z[i];
      loss[i] = (s > 0 ? s : 0) + std::log1p(std::exp(-std::fabs(s)));
    }
  });
  return MX_SUCCESS;
}

static MXReturnValue backward(const Attributes&, Tensors* inputs, Tensors* outputs, const OpResource&) {
  const float* d_loss = (*inputs)[0].data<float>();  // d_loss, z, label, loss
  const float *z = (*inputs)[1].data<float>(), *label = (*inputs)[2].data<float>();
  float *d_z = (*outputs)[0].data<float>(), *d_label = (*outputs)[1].data<float>();
  for_chunks((*inputs)[1].size(), [&](int64_t, int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const float sign = 1 - 2 * label[i], s = sign * z[i], small = std::exp(-std::fabs(s));
      const float d_s = d_loss[i] * ((s < 0 ? small : 1) / (1 + small));  // sigmoid(s)
      d_z[i] = d_s * sign;
      d_label[i] = d_s * -2 * z[i];
    }
  });
  return MX_SUCCESS;
}

static MXReturnValue shapes(const Attributes&, Shapes* inputs, Shapes* outputs) {
  (*inputs)[1] = (*outputs)[0] = (*inputs)[0];
  return MX_SUCCESS;
}

PNN_OPERATOR(pnn_log_loss, (counts<2, 1>), forward, backward, shapes);

}  // namespace pnn
