// pnn_inner_products(vectors (B, N, K)) -> products of all pairs (B, P), P = N (N - 1) / 2
#define KERNELS "inner_products.inc"
#include "each_isa.h"

namespace pnn {

static MXReturnValue forward(const Attributes&, Tensors* inputs, Tensors* outputs, const OpResource&) {
  MXTensor& vectors = (*inputs)[0];
  const int64_t fields = vectors.shape[1], size = vectors.shape[2];
  const float* v = vectors.data<float>();
  float* out = (*outputs)[0].data<float>();
  const int64_t scratch_size = PNN_FOR_THIS_PROCESSOR(inner_products_scratch)(fields, size);
  const auto run = PNN_FOR_THIS_PROCESSOR(inner_products_rows);
  for_chunks(vectors.shape[0], [&](int64_t, int64_t begin, int64_t end) {
    static thread_local Scratch scratch;
    run(v, out, begin, end, fields, size, scratch.get(scratch_size));
  });
  return MX_SUCCESS;
}

static MXReturnValue backward(const Attributes&, Tensors* inputs, Tensors* outputs, const OpResource&) {
  MXTensor& vectors = (*inputs)[1];  // d_products, vectors, products
  const int64_t fields = vectors.shape[1], size = vectors.shape[2];
  const float *d_products = (*inputs)[0].data<float>(), *v = vectors.data<float>();
  float* dv = (*outputs)[0].data<float>();
  const int64_t scratch_size = PNN_FOR_THIS_PROCESSOR(inner_products_scratch)(fields, size);
  const auto run = PNN_FOR_THIS_PROCESSOR(inner_products_rows_backward);
  for_chunks(vectors.shape[0], [&](int64_t, int64_t begin, int64_t end) {
    static thread_local Scratch scratch;
    run(d_products, v, dv, begin, end, fields, size, scratch.get(scratch_size));
  });
  return MX_SUCCESS;
}

static MXReturnValue shapes(const Attributes&, Shapes* inputs, Shapes* outputs) {
  const Shape& v = (*inputs)[0];
  if (v.size() != 3)
    return refuse("pnn_inner_products: vectors must have the shape (B, N, K), not " + std::to_string(v.size()) +
                  " axes");
  if (v[1] < 2) return refuse("pnn_inner_products: N must be 2 or more, not " + std::to_string(v[1]));
  (*outputs)[0] = {v[0], v[1] * (v[1] - 1) / 2};
  return MX_SUCCESS;
}

PNN_OPERATOR(pnn_inner_products, (counts<1, 1>), forward, backward, shapes);

}  // namespace pnn
