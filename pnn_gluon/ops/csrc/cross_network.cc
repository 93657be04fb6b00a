// pnn_cross_network(x (B, D), weight (L, D), bias (L, D)) -> (B, D): x_L of x_{l+1} = x_0 (x_l w_l) + b_l + x_l.
//
// x_l = a_l x + c_l with a number a_l a row and a vector c_l for all rows: a_0 = 1, c_0 = 0,
// a_{l+1} = a_l (1 + x w_l) + c_l w_l and c_{l+1} = c_l + b_l. The backward pass computes the a_l anew.
#define KERNELS "cross_network.inc"
#include "each_isa.h"

namespace pnn {

static MXReturnValue forward(const Attributes&, Tensors* inputs, Tensors* outputs, const OpResource&) {
  const int64_t rows = (*inputs)[0].shape[0], d = (*inputs)[0].shape[1], layers = (*inputs)[1].shape[0];
  const float *x = (*inputs)[0].data<float>(), *weight = (*inputs)[1].data<float>();
  float* y = (*outputs)[0].data<float>();
  static thread_local Scratch scratch;
  float *c = scratch.get((layers + 1) * d + layers), *shift = c + (layers + 1) * d;
  PNN_FOR_THIS_PROCESSOR(cross_constants)(weight, (*inputs)[2].data<float>(), c, shift, layers, d);
  const auto run = PNN_FOR_THIS_PROCESSOR(cross_rows);
  for_chunks(rows, [&](int64_t, int64_t begin, int64_t end) {
    static thread_local Scratch numbers;
    run(x, weight, c, shift, y, begin, end, layers, d, numbers.get(3 * layers + 1));
  });
  return MX_SUCCESS;
}

static MXReturnValue backward(const Attributes&, Tensors* inputs, Tensors* outputs, const OpResource&) {
  MXTensor& in = (*inputs)[1];  // dy, x, weight, bias, y
  const int64_t rows = in.shape[0], d = in.shape[1], layers = (*inputs)[2].shape[0], padded = (d + 15) / 16 * 16;
  const float *dy = (*inputs)[0].data<float>(), *x = in.data<float>(), *weight = (*inputs)[2].data<float>();
  float *dx = (*outputs)[0].data<float>(), *d_weight = (*outputs)[1].data<float>();
  float* d_bias = (*outputs)[2].data<float>();
  static thread_local Scratch scratch, sum_scratch;
  float *c = scratch.get((layers + 1) * d + 2 * layers), *shift = c + (layers + 1) * d, *d_shift = shift + layers;
  PNN_FOR_THIS_PROCESSOR(cross_constants)(weight, (*inputs)[3].data<float>(), c, shift, layers, d);
  const int64_t stride = (layers + 1) * padded + (layers + 15) / 16 * 16;  // sums of a chunk: d_weight, d_c_L, d_shift
  float* sums = sum_scratch.zeros(kChunks * stride);
  const auto run = PNN_FOR_THIS_PROCESSOR(cross_rows_backward);
  for_chunks(rows, [&](int64_t chunk, int64_t begin, int64_t end) {
    static thread_local Scratch numbers;
    float *mine = sums + chunk * stride, *d_last = mine + layers * padded;
    run(dy, x, weight, shift, dx, mine, d_last, d_last + padded, begin, end, layers, d, padded,
        numbers.get(3 * layers + 1));
  });
  add_chunks(sums + (layers + 1) * padded, stride, rows, d_shift, layers);
  // b_l is in c_{l+1} ... c_L: its gradient is the sum of theirs, that of c_l is d_shift_l w_l for l < L.
  for (int64_t l = layers - 1; l >= 0; --l) {
    add_chunks(sums + l * padded, stride, rows, d_weight + l * d, d);
    float* d_b = d_bias + l * d;
    if (l == layers - 1) add_chunks(sums + layers * padded, stride, rows, d_b, d);
    for (int64_t j = 0; j < d; ++j) {
      d_weight[l * d + j] += d_shift[l] * c[l * d + j];
      if (l < layers - 1) d_b[j] = d_b[d + j] + d_shift[l + 1] * weight[(l + 1) * d + j];
    }
  }
  return MX_SUCCESS;
}

static MXReturnValue shapes(const Attributes&, Shapes* inputs, Shapes* outputs) {
  const Shape &x = (*inputs)[0], &weight = (*inputs)[1];
  if (x.size() != 2 || weight.size() != 2 || weight[1] != x[1])
    return refuse("pnn_cross_network: x must have the shape (B, D), weight and bias (L, D)");
  (*inputs)[2] = weight;
  (*outputs)[0] = x;
  return MX_SUCCESS;
}

PNN_OPERATOR(pnn_cross_network, (counts<3, 1>), forward, backward, shapes);

}  // namespace pnn
