// pnn_field_attention(projected (B, N, 4 H S); heads = H) -> (B, N, H S): queries, keys, values and residuals of the N
// fields, each of H heads of S numbers, one after the other in `projected`.
//
// y_i = relu(sum_j a_ij value_j + residual_i) for each head, a_ij = softmax over j of <query_i, key_j>.
//
// Nothing of size N N is kept for the backward pass, which computes the attention of an example anew.
#define KERNELS "field_attention.inc"
#include "each_isa.h"

namespace pnn {

namespace {
struct Sizes {
  Sizes(const Attributes& attributes, const MXTensor& projected)
      : rows(projected.shape[0]),
        fields(projected.shape[1]),
        heads(integer(attributes, "heads", 1)),
        size(projected.shape[2] / (4 * heads)) {}
  int64_t rows, fields, heads, size;
};
}  // namespace

static MXReturnValue forward(const Attributes& attributes, Tensors* inputs, Tensors* outputs, const OpResource&) {
  const Sizes s(attributes, (*inputs)[0]);
  const float* x = (*inputs)[0].data<float>();
  float* y = (*outputs)[0].data<float>();
  const int64_t memory = PNN_FOR_THIS_PROCESSOR(attention_scratch)(s.fields, s.size);
  const auto run = PNN_FOR_THIS_PROCESSOR(attention_rows);
  for_chunks(s.rows, [&](int64_t, int64_t begin, int64_t end) {
    static thread_local Scratch scratch;
    run(x, y, begin, end, s.fields, s.heads, s.size, scratch.get(memory));
  });
  return MX_SUCCESS;
}

static MXReturnValue backward(const Attributes& attributes, Tensors* inputs, Tensors* outputs, const OpResource&) {
  const Sizes s(attributes, (*inputs)[1]);  // dy, projected, y
  const float *dy = (*inputs)[0].data<float>(), *x = (*inputs)[1].data<float>(), *y = (*inputs)[2].data<float>();
  float* dx = (*outputs)[0].data<float>();
  const int64_t memory = PNN_FOR_THIS_PROCESSOR(attention_scratch)(s.fields, s.size);
  const auto run = PNN_FOR_THIS_PROCESSOR(attention_rows_backward);
  for_chunks(s.rows, [&](int64_t, int64_t begin, int64_t end) {
    static thread_local Scratch scratch;
    run(dy, x, y, dx, begin, end, s.fields, s.heads, s.size, scratch.get(memory));
  });
  return MX_SUCCESS;
}

static MXReturnValue shapes(const Attributes& attributes, Shapes* inputs, Shapes* outputs) {
  const Shape& x = (*inputs)[0];
  const int64_t heads = integer(attributes, "heads", 1);
  if (heads < 1 || x.size() != 3 || x[2] == 0 || x[2] % (4 * heads) != 0)
    return refuse("pnn_field_attention: projected must have the shape (B, N, 4 heads S), with heads = " +
                  std::to_string(heads));
  (*outputs)[0] = {x[0], x[1], x[2] / 4};
  return MX_SUCCESS;
}

PNN_OPERATOR(pnn_field_attention, (counts<1, 1>), forward, backward, shapes);

}  // namespace pnn
