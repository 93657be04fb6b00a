// pnn_layer_norm(x (..., n), gamma (n,), beta (n,); epsilon, activation = identity | relu) -> (..., n)
#include "layer_norm.h"

#define KERNELS "layer_norm.inc"
#include "each_isa.h"

namespace pnn {

static bool relu(const Attributes& attributes) { return text(attributes, "activation", "identity") == "relu"; }

static MXReturnValue forward(const Attributes& attributes, Tensors* inputs, Tensors* outputs, const OpResource&) {
  MXTensor& x = (*inputs)[0];
  const int64_t n = x.shape.back(), rows = x.size() / n;
  const Norm norm{nullptr, (*inputs)[1].data<float>(), (*inputs)[2].data<float>(), n,
                  number(attributes, "epsilon", 1e-5f)};
  const float* from = x.data<float>();
  float* y = (*outputs)[0].data<float>();
  const auto run =
      relu(attributes) ? PNN_FOR_THIS_PROCESSOR(layer_norm_rows<true>) : PNN_FOR_THIS_PROCESSOR(layer_norm_rows<false>);
  for_chunks(rows,
             [&](int64_t, int64_t begin, int64_t end) { run(from + begin * n, norm, y + begin * n, end - begin); });
  return MX_SUCCESS;
}

static MXReturnValue backward(const Attributes& attributes, Tensors* inputs, Tensors* outputs, const OpResource&) {
  MXTensor& x = (*inputs)[1];  // dy, x, gamma, beta, y
  const int64_t n = x.shape.back(), rows = x.size() / n, padded = (n + 15) / 16 * 16;
  const Norm norm{nullptr, (*inputs)[2].data<float>(), (*inputs)[3].data<float>(), n,
                  number(attributes, "epsilon", 1e-5f)};
  const float *dy = (*inputs)[0].data<float>(), *from = x.data<float>();
  float* dx = (*outputs)[0].data<float>();
  static thread_local Scratch scratch;
  float* sums = scratch.zeros(kChunks * 2 * padded);
  const auto run = relu(attributes) ? PNN_FOR_THIS_PROCESSOR(layer_norm_rows_backward<true>)
                                    : PNN_FOR_THIS_PROCESSOR(layer_norm_rows_backward<false>);
  for_chunks(rows, [&](int64_t chunk, int64_t begin, int64_t end) {
    float* mine = sums + chunk * 2 * padded;
    run(dy + begin * n, from + begin * n, norm, dx + begin * n, end - begin, {nullptr, mine, mine + padded});
  });
  add_chunks(sums, 2 * padded, rows, (*outputs)[1].data<float>(), n);
  add_chunks(sums + padded, 2 * padded, rows, (*outputs)[2].data<float>(), n);
  return MX_SUCCESS;
}

static MXReturnValue shapes(const Attributes& attributes, Shapes* inputs, Shapes* outputs) {
  const std::string activation = text(attributes, "activation", "identity");
  if (activation != "identity" && activation != "relu")
    return refuse("pnn_layer_norm: activation must be identity or relu, not " + activation);
  if ((*inputs)[0].empty()) return refuse("pnn_layer_norm: x must have the shape (..., n)");
  const unsigned n = (*inputs)[0].back();
  (*inputs)[1] = (*inputs)[2] = {n};
  (*outputs)[0] = (*inputs)[0];
  return MX_SUCCESS;
}

PNN_OPERATOR(pnn_layer_norm, (counts<3, 1>), forward, backward, shapes);

}  // namespace pnn
