// pnn_field_attention(projected (B, N, 4 H S); heads = H, precision = f32 | x3 | bf16) -> (B, N, H S): queries, keys,
// values and residuals of the N fields, each of H heads of S numbers, one after the other in `projected`.
//
// y_i = relu(sum_j a_ij value_j + residual_i) for each head, a_ij = softmax over j of <query_i, key_j>.
//
// Nothing of size N N is kept for the backward pass, which computes the attention of an example anew. With `precision`
// = bf16 the products are of bfloat16, forward and backward; x3 is float32.
#include <algorithm>

#include "common.h"
#include "precision.h"

namespace pnn {

struct AttentionSizes {
  int64_t n, heads, size;
};

// In place: scores (rows, n) become their softmax over n; gradients of the softmax become those of the scores.
struct Softmax {
  void (*forward)(float* scores, int64_t rows, int64_t n);
  void (*backward)(const float* attention, float* d, int64_t rows, int64_t n);
};

// What computes in one precision on this processor, for up to `lanes` examples at a time. Memory in floats.
struct AttentionKernels {
  int64_t lanes;
  int64_t (*memory)(const AttentionSizes& s);
  int64_t (*memory_backward)(const AttentionSizes& s);
  void (*forward)(const float* x, float* y, int64_t examples, const AttentionSizes& s, const Softmax& softmax,
                  float* memory);
  void (*backward)(const float* dy, const float* x, const float* y, float* dx, int64_t examples,
                   const AttentionSizes& s, const Softmax& softmax, float* memory);
};

}  // namespace pnn

#define KERNELS "field_attention.inc"
#define PAIRED 0
#define CONVERTED 0
#include "each_isa.h"
#undef PAIRED
#undef CONVERTED
#include "each_matrix_unit.h"

namespace pnn {

static AttentionKernels kernels_of(bool bf16) {
#if PNN_MATRIX_UNITS
  if (bf16) {
    if (matrix_unit() == MatrixUnit::amx) return amx::bf16_attention();
    if (matrix_unit() == MatrixUnit::emulated_tiles) return emulated_tiles::bf16_attention();
    if (matrix_unit() == MatrixUnit::avx512_bf16) return avx512_bf16::bf16_attention();
  }
#endif
  return bf16 ? PNN_FOR_THIS_PROCESSOR(bf16_attention)() : PNN_FOR_THIS_PROCESSOR(f32_attention)();
}

namespace {
struct Attention : AttentionSizes {
  Attention(const Attributes& attributes, const MXTensor& projected)
      : with(kernels_of(precision_of(attributes) == Precision::bf16)),
        softmax(PNN_FOR_THIS_PROCESSOR(softmax_of_rows)()),
        examples(projected.shape[0]) {
    n = projected.shape[1];
    heads = integer(attributes, "heads", 1);
    size = projected.shape[2] / (4 * heads);
  }
  int64_t in_tile(int64_t tile) const { return std::min(with.lanes, examples - tile * with.lanes); }
  // run(tile, first example, scratch memory of so many floats) for each tile, in parallel.
  template <class Run>
  void for_tiles(int64_t memory, Run&& run) const {
    for_chunks((examples + with.lanes - 1) / with.lanes, [&](int64_t, int64_t begin, int64_t end) {
      static thread_local Scratch scratch;
      for (int64_t tile = begin; tile < end; ++tile) run(tile, tile * with.lanes, scratch.get(memory));
    });
  }

  AttentionKernels with;
  Softmax softmax;
  int64_t examples;
};
}  // namespace

static MXReturnValue forward(const Attributes& attributes, Tensors* inputs, Tensors* outputs, const OpResource&) {
  const Attention s(attributes, (*inputs)[0]);
  const float* x = (*inputs)[0].data<float>();
  float* y = (*outputs)[0].data<float>();
  const int64_t out = s.n * s.heads * s.size;  // numbers of an example
  s.for_tiles(s.with.memory(s), [&](int64_t tile, int64_t first, float* memory) {
    s.with.forward(x + first * 4 * out, y + first * out, s.in_tile(tile), s, s.softmax, memory);
  });
  return MX_SUCCESS;
}

static MXReturnValue backward(const Attributes& attributes, Tensors* inputs, Tensors* outputs, const OpResource&) {
  const Attention s(attributes, (*inputs)[1]);  // dy, projected, y
  const float *dy = (*inputs)[0].data<float>(), *x = (*inputs)[1].data<float>(), *y = (*inputs)[2].data<float>();
  float* dx = (*outputs)[0].data<float>();
  const int64_t out = s.n * s.heads * s.size;
  s.for_tiles(s.with.memory_backward(s), [&](int64_t tile, int64_t first, float* memory) {
    s.with.backward(dy + first * out, x + first * 4 * out, y + first * out, dx + first * 4 * out, s.in_tile(tile), s,
                    s.softmax, memory);
  });
  return MX_SUCCESS;
}

static MXReturnValue shapes(const Attributes& attributes, Shapes* inputs, Shapes* outputs) {
  const Shape& x = (*inputs)[0];
  const int64_t heads = integer(attributes, "heads", 1);
  if (!names_precision(attributes))
    return refuse("pnn_field_attention: precision must be f32, x3 or bf16, not " +
                  text(attributes, "precision", "f32"));
  if (heads < 1 || x.size() != 3 || x[2] == 0 || x[2] % (4 * heads) != 0)
    return refuse("pnn_field_attention: projected must have the shape (B, N, 4 heads S), with heads = " +
                  std::to_string(heads));
  (*outputs)[0] = {x[0], x[1], x[2] / 4};
  return MX_SUCCESS;
}

PNN_OPERATOR(pnn_field_attention, (counts<1, 1>), forward, backward, shapes);

}  // namespace pnn
