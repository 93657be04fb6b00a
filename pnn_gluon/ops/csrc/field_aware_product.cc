// pnn_field_aware_product(vectors (B, N, (N-1) K)) -> (B,)
#define KERNELS "field_aware_product.inc"
#include "each_isa.h"

namespace pnn {

struct Sizes {
  int64_t rows, fields, k;
};

static Sizes sizes_of(MXTensor& vectors) {
  return {vectors.shape[0], vectors.shape[1], vectors.shape[2] / (vectors.shape[1] - 1)};
}

static MXReturnValue forward(const Attributes&, Tensors* inputs, Tensors* outputs, const OpResource&) {
  const Sizes s = sizes_of((*inputs)[0]);
  const float* v = (*inputs)[0].data<float>();
  float* y = (*outputs)[0].data<float>();
  const auto run = s.k == 4   ? PNN_FOR_THIS_PROCESSOR(field_aware_rows<4>)
                   : s.k == 8 ? PNN_FOR_THIS_PROCESSOR(field_aware_rows<8>)
                              : PNN_FOR_THIS_PROCESSOR(field_aware_rows<0>);
  for_chunks(s.rows, [&](int64_t, int64_t begin, int64_t end) { run(v, y, begin, end, s.fields, s.k); });
  return MX_SUCCESS;
}

static MXReturnValue backward(const Attributes&, Tensors* inputs, Tensors* outputs, const OpResource&) {
  const Sizes s = sizes_of((*inputs)[1]);
  const float *dy = (*inputs)[0].data<float>(), *v = (*inputs)[1].data<float>();
  float* dv = (*outputs)[0].data<float>();
  const auto run = s.k == 4   ? PNN_FOR_THIS_PROCESSOR(field_aware_rows_backward<4>)
                   : s.k == 8 ? PNN_FOR_THIS_PROCESSOR(field_aware_rows_backward<8>)
                              : PNN_FOR_THIS_PROCESSOR(field_aware_rows_backward<0>);
  for_chunks(s.rows, [&](int64_t, int64_t begin, int64_t end) { run(dy, v, dv, begin, end, s.fields, s.k); });
  return MX_SUCCESS;
}

static MXReturnValue shapes(const Attributes&, Shapes* inputs, Shapes* outputs) {
  const Shape& v = (*inputs)[0];
  if (v.size() != 3 || v[1] < 2 || v[2] % (v[1] - 1) != 0)
    return refuse("pnn_field_aware_product: vectors must have the shape (B, N, (N-1) K) with N of 2 or more");
  (*outputs)[0] = {v[0]};
  return MX_SUCCESS;
}

PNN_OPERATOR(pnn_field_aware_product, (counts<1, 1>), forward, backward, shapes);

}  // namespace pnn
