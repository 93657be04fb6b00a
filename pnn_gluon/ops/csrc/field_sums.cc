// pnn_field_sums(vectors (B, N, K) or (B, N K); size = K) -> sum of the vectors (B, K)
// pnn_pair_sums(vectors (B, N, K); total = 0 | 1) -> sum of the products of all pairs (B, K), with total added up (B,)
#define KERNELS "field_sums.inc"
#include "each_isa.h"

namespace pnn {

namespace {
struct Sizes {
  Sizes(const MXTensor& vectors, int64_t given_size)
      : rows(vectors.shape[0]), size(given_size > 0 ? given_size : vectors.shape.back()) {
    fields = vectors.size() / rows / size;
  }
  int64_t rows, size, fields;
};
}  // namespace

template <bool kPairs>
static MXReturnValue forward(const Attributes& attributes, Tensors* inputs, Tensors* outputs, const OpResource&) {
  const Sizes s((*inputs)[0], integer(attributes, "size", 0));
  const float* v = (*inputs)[0].data<float>();
  float* y = (*outputs)[0].data<float>();
  const bool total = kPairs && integer(attributes, "total", 0) != 0;
  const auto run = total ? PNN_FOR_THIS_PROCESSOR(field_sums_rows<kPairs * 2 + 1>)
                         : PNN_FOR_THIS_PROCESSOR(field_sums_rows<kPairs * 2>);
  for_chunks(s.rows, [&](int64_t, int64_t begin, int64_t end) { run(v, y, begin, end, s.fields, s.size); });
  return MX_SUCCESS;
}

template <bool kPairs>
static MXReturnValue backward(const Attributes& attributes, Tensors* inputs, Tensors* outputs, const OpResource&) {
  const Sizes s((*inputs)[1], integer(attributes, "size", 0));  // dy, vectors, y
  const float *dy = (*inputs)[0].data<float>(), *v = (*inputs)[1].data<float>();
  float* dv = (*outputs)[0].data<float>();
  const bool total = kPairs && integer(attributes, "total", 0) != 0;
  const int64_t scratch_size = PNN_FOR_THIS_PROCESSOR(field_sums_scratch)(s.size);
  const auto run = total ? PNN_FOR_THIS_PROCESSOR(field_sums_rows_backward<kPairs * 2 + 1>)
                         : PNN_FOR_THIS_PROCESSOR(field_sums_rows_backward<kPairs * 2>);
  for_chunks(s.rows, [&](int64_t, int64_t begin, int64_t end) {
    static thread_local Scratch scratch;
    run(dy, v, dv, begin, end, s.fields, s.size, scratch.get(scratch_size));
  });
  return MX_SUCCESS;
}

static MXReturnValue sum_shapes(const Attributes& attributes, Shapes* inputs, Shapes* outputs) {
  const Shape& v = (*inputs)[0];
  const int64_t size = integer(attributes, "size", 0);
  const bool fits = size > 0 && ((v.size() == 2 && v[1] % size == 0) || (v.size() == 3 && v[2] == size));
  if (!fits)
    return refuse(
        "pnn_field_sums: vectors must have the shape (B, N, K) or (B, N K) with K = size = " + std::to_string(size) +
        ", not " + std::to_string(v.size()) + " axes, the last of " + std::to_string(v.empty() ? 0 : v.back()));
  (*outputs)[0] = {v[0], static_cast<unsigned>(size)};
  return MX_SUCCESS;
}

static MXReturnValue pair_shapes(const Attributes& attributes, Shapes* inputs, Shapes* outputs) {
  const Shape& v = (*inputs)[0];
  if (v.size() != 3)
    return refuse("pnn_pair_sums: vectors must have the shape (B, N, K), not " + std::to_string(v.size()) + " axes");
  (*outputs)[0] = integer(attributes, "total", 0) != 0 ? Shape{v[0]} : Shape{v[0], v[2]};
  return MX_SUCCESS;
}

PNN_OPERATOR(pnn_field_sums, (counts<1, 1>), forward<false>, backward<false>, sum_shapes);

PNN_OPERATOR(pnn_pair_sums, (counts<1, 1>), forward<true>, backward<true>, pair_shapes);

}  // namespace pnn
