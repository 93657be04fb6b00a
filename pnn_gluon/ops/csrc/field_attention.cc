// pnn_field_attention(vectors (B, N, D), weight (4 H S, D); heads = H, precision = f32 | x3 | bf16) -> (B, N, H S): the
// weight projects each of the N vectors to its query, key, value and residual, one after the other, each of H heads of
// S numbers.
//
// y_i = relu(sum_j a_ij value_j + residual_i) for each head, a_ij = softmax over j of <query_i, key_j>.
//
// Neither projections nor anything of size N N is kept for the backward pass, which computes them anew. With
// `precision` = bf16 the products are of bfloat16, forward and backward; x3 is float32, but for the gradient of the
// weight.
#include <algorithm>

#include "common.h"
#include "precision.h"

namespace pnn {

struct AttentionSizes {
  int64_t n, inputs, heads, size;
};

// In place: scores (rows, n) become their softmax over n; gradients of the softmax become those of the scores.
struct Softmax {
  void (*forward)(float* scores, int64_t rows, int64_t n);
  void (*backward)(const float* attention, float* d, int64_t rows, int64_t n);
};

// Numbers of a weight, or its words: (r, k) is data[r row + k column].
struct Weights {
  const float* data;
  int64_t row, column;
};

// What computes in one precision on this processor, for up to `lanes` examples at a time and in words of `step`
// numbers. Memory in floats.
struct AttentionKernels {
  int64_t lanes, step;
  // Null where the numbers themselves are multiplied.
  void (*words_of_weights)(Weights from, int64_t rows, int64_t count, float* to);
  int64_t (*forward_memory)(const AttentionSizes& s);
  int64_t (*backward_memory)(const AttentionSizes& s);
  void (*forward)(const float* x, const Weights& weight, float* y, int64_t examples, const AttentionSizes& s,
                  const Softmax& softmax, float* memory);
  void (*backward)(const float* dy, const float* x, const Weights& weight, const Weights& turned, const float* y,
                   float* dx, float* d_projected, int64_t examples, const AttentionSizes& s, const Softmax& softmax,
                   float* memory);
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
  Attention(const Attributes& attributes, const MXTensor& vectors, const MXTensor& weight)
      : with(kernels_of(precision_of(attributes) == Precision::bf16)),
        softmax(PNN_FOR_THIS_PROCESSOR(softmax_of_rows)()),
        examples(vectors.shape[0]) {
    n = vectors.shape[1];
    inputs = vectors.shape[2];
    heads = integer(attributes, "heads", 1);
    size = weight.shape[0] / (4 * heads);
  }
  int64_t in() const { return n * inputs; }  // numbers of an example
  int64_t out() const { return n * heads * size; }
  int64_t in_tile(int64_t first) const { return std::min(with.lanes, examples - first); }
  // run(first example, scratch memory of so many floats) for each tile, in parallel.
  template <class Run>
  void for_tiles(int64_t memory, Run&& run) const {
    for_chunks((examples + with.lanes - 1) / with.lanes, [&](int64_t, int64_t begin, int64_t end) {
      static thread_local Scratch scratch;
      for (int64_t tile = begin; tile < end; ++tile) run(tile * with.lanes, scratch.get(memory));
    });
  }
  // A weight (rows, count) as it is multiplied, words along the second place.
  Weights multiplied(Weights weight, int64_t rows, int64_t count, Scratch& scratch) const {
    if (with.words_of_weights == nullptr) return weight;
    const int64_t words = (count + with.step - 1) / with.step;
    float* to = scratch.get(rows * words);
    with.words_of_weights(weight, rows, count, to);
    return {to, words, 1};
  }

  AttentionKernels with;
  Softmax softmax;
  int64_t examples;
};
}  // namespace

static MXReturnValue forward(const Attributes& attributes, Tensors* inputs, Tensors* outputs, const OpResource&) {
  const Attention s(attributes, (*inputs)[0], (*inputs)[1]);
  const float* x = (*inputs)[0].data<float>();
  float* y = (*outputs)[0].data<float>();
  static thread_local Scratch words;
  const Weights weight = s.multiplied({(*inputs)[1].data<float>(), s.inputs, 1}, 4 * s.heads * s.size, s.inputs, words);
  s.for_tiles(s.with.forward_memory(s), [&](int64_t first, float* memory) {
    s.with.forward(x + first * s.in(), weight, y + first * s.out(), s.in_tile(first), s, s.softmax, memory);
  });
  return MX_SUCCESS;
}

static MXReturnValue backward(const Attributes& attributes, Tensors* inputs, Tensors* outputs, const OpResource&) {
  const Attention s(attributes, (*inputs)[1], (*inputs)[2]);  // dy, vectors, weight, y
  const float *dy = (*inputs)[0].data<float>(), *x = (*inputs)[1].data<float>(), *y = (*inputs)[3].data<float>();
  const float* w = (*inputs)[2].data<float>();
  float* dx = (*outputs)[0].data<float>();
  const int64_t projections = 4 * s.heads * s.size;
  static thread_local Scratch words, turned_words, gradients;
  const Weights weight = s.multiplied({w, s.inputs, 1}, projections, s.inputs, words);
  const Weights turned = s.multiplied({w, 1, s.inputs}, s.inputs, projections, turned_words);
  float* d_projected = gradients.get(s.examples * s.n * projections);
  s.for_tiles(s.with.backward_memory(s), [&](int64_t first, float* memory) {
    s.with.backward(dy + first * s.out(), x + first * s.in(), weight, turned, y + first * s.out(), dx + first * s.in(),
                    d_projected + first * 4 * s.out(), s.in_tile(first), s, s.softmax, memory);
  });
  matrix_product(precision_of(attributes), projections, s.inputs, s.examples * s.n,
                 transposed(row_major(d_projected, projections)), row_major(x, s.inputs),
                 {(*outputs)[1].data<float>(), nullptr, false});
  return MX_SUCCESS;
}

static MXReturnValue shapes(const Attributes& attributes, Shapes* inputs, Shapes* outputs) {
  const Shape &x = (*inputs)[0], &weight = (*inputs)[1];
  const int64_t heads = integer(attributes, "heads", 1);
  if (!names_precision(attributes))
    return refuse("pnn_field_attention: precision must be f32, x3 or bf16, not " +
                  text(attributes, "precision", "f32"));
  if (heads < 1 || x.size() != 3 || weight.size() != 2 || weight[0] == 0 || weight[0] % (4 * heads) != 0 ||
      weight[1] != x[2])
    return refuse("pnn_field_attention: vectors must have the shape (B, N, D), weight (4 heads S, D), with heads = " +
                  std::to_string(heads));
  (*outputs)[0] = {x[0], x[1], weight[0] / 4};
  return MX_SUCCESS;
}

PNN_OPERATOR(pnn_field_attention, (counts<2, 1>), forward, backward, shapes);

}  // namespace pnn
