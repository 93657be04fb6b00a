// pnn_kernel_products(vectors (B, N, K), weight; kernel = matrix | vector | number,
// precision = f32 | x3 | bf16) -> (B, P), P = N (N - 1) / 2;
// weight is (P, K, K), (P, K) or (P, 1) by `kernel`.
//
// Products and gradients of vectors: in parallel over groups of tiles of examples, each example by itself. Gradients of
// kernels: in parallel over pairs, each over all examples in order. So no sum depends on the number of threads. One
// number a pair is computed as K equal ones.
//
// With `precision` = bf16 the products with matrix kernels are of bfloat16, forward and backward; x3 is float32.
#include <algorithm>

#include "common.h"
#include "precision.h"

namespace pnn {

// What computes in one precision on this processor, in tiles of `tile` examples and words of `step` numbers.
struct ProductKernels {
  int64_t tile, step, scaled, lanes;  // floats of scratch memory: `scaled` a number of a vector, `lanes` one of phi
  void (*to_lanes)(const float* from, int64_t examples, int64_t width, float* to);
  void (*from_lanes)(const float* from, int64_t examples, int64_t width, float* to);
  // Null where the numbers themselves are multiplied: then the others are not called.
  void (*words_of_numbers)(const float* lanes, int64_t fields, int64_t size, float* to);
  void (*words_of_examples)(const float* lanes, int64_t count, float* to);
  void (*words_of_kernels)(const float* phi, int64_t pairs, int64_t size, float* to);
  void (*products)(float* lanes, const float* in_words, const float* phi, float* p, int64_t tiles, int64_t fields,
                   int64_t size);
  void (*vector_gradients)(const float* lanes, const float* in_words, const float* phi, const float* turned, float* dp,
                           float* dv, int64_t tiles, int64_t fields, int64_t size);
  void (*kernel_gradients)(const float* lanes, const float* in_words, const float* dp, float* d_phi, int64_t begin,
                           int64_t end, int64_t tiles, int64_t fields, int64_t size, float* scratch);
};

}  // namespace pnn

#define KERNELS "kernel_products.inc"
#define PAIRED 0
#define CONVERTED 0
#include "each_isa.h"
#undef PAIRED
#undef CONVERTED
#include "each_matrix_unit.h"

namespace pnn {

constexpr int64_t kGroup = 2;  // tiles that share a pass over the kernels

template <bool kMatrix>
static ProductKernels kernels_of(bool bf16) {
#if PNN_MATRIX_UNITS
  if (kMatrix && bf16) {
    if (matrix_unit() == MatrixUnit::amx) return amx::bf16_products();
    if (matrix_unit() == MatrixUnit::emulated_tiles) return emulated_tiles::bf16_products();
    if (matrix_unit() == MatrixUnit::avx512_bf16) return avx512_bf16::bf16_products();
  }
#endif
  return kMatrix && bf16 ? PNN_FOR_THIS_PROCESSOR(bf16_products)() : PNN_FOR_THIS_PROCESSOR(f32_products<kMatrix>)();
}

namespace {
struct Sizes {
  Sizes(const Attributes& attributes, const MXTensor& vectors)
      : examples(vectors.shape[0]), fields(vectors.shape[1]), size(vectors.shape[2]) {
    const std::string name = text(attributes, "kernel", "matrix");
    matrix = name == "matrix";
    number = name == "number";
    pairs = fields * (fields - 1) / 2;
    kernel = matrix ? size * size : size;
    with = matrix ? kernels_of<true>(precision_of(attributes) == Precision::bf16) : kernels_of<false>(false);
    words = (size + with.step - 1) / with.step;
    tile = with.tile;
    tiles = (examples + tile - 1) / tile;
    groups = (tiles + kGroup - 1) / kGroup;
  }
  int64_t in_tile(int64_t number_of_tile) const { return std::min(tile, examples - number_of_tile * tile); }
  int64_t of_vectors() const { return fields * size * tile; }  // floats a tile
  int64_t of_products() const { return pairs * tile; }
  int64_t of_words() const { return fields * words * tile; }  // along the numbers of vectors
  int64_t of_example_words() const { return of_vectors() / with.step; }
  bool in_words() const { return with.words_of_numbers != nullptr; }

  ProductKernels with;
  int64_t examples, fields, size, pairs, kernel, words, tile, tiles, groups;
  bool matrix, number;
};
}  // namespace

// The kernels (P, K K) or (P, K): those of `number` are repeated into scratch memory.
static const float* kernels(const Sizes& s, const float* weight, Scratch& scratch) {
  if (!s.number) return weight;
  float* repeated = scratch.get(s.pairs * s.size);
  for (int64_t pair = 0; pair < s.pairs; ++pair)
    for (int64_t k = 0; k < s.size; ++k) repeated[pair * s.size + k] = weight[pair];
  return repeated;
}

// Matrix kernels as they are multiplied.
static const float* kernel_words(const Sizes& s, const float* phi, Scratch& scratch) {
  if (!s.in_words()) return phi;
  float* to = scratch.get(s.pairs * s.words * s.size);
  for_chunks(s.pairs, [&](int64_t, int64_t begin, int64_t end) {
    s.with.words_of_kernels(phi + begin * s.kernel, end - begin, s.size, to + begin * s.words * s.size);
  });
  return to;
}

static const float* transposed_kernels(const Sizes& s, const float* phi, Scratch& scratch) {
  if (!s.matrix) return phi;
  float* turned = scratch.get(s.pairs * s.kernel);
  for_chunks(s.pairs, [&](int64_t, int64_t begin, int64_t end) {
    for (int64_t pair = begin; pair < end; ++pair)
      for (int64_t l = 0; l < s.size; ++l)
        for (int64_t k = 0; k < s.size; ++k)
          turned[pair * s.kernel + l * s.size + k] = phi[pair * s.kernel + k * s.size + l];
  });
  return turned;
}

static MXReturnValue forward(const Attributes& attributes, Tensors* inputs, Tensors* outputs, const OpResource&) {
  const Sizes s(attributes, (*inputs)[0]);
  const float* v = (*inputs)[0].data<float>();
  float* out = (*outputs)[0].data<float>();
  static thread_local Scratch repeated, phi_words;
  const float* phi = kernel_words(s, kernels(s, (*inputs)[1].data<float>(), repeated), phi_words);
  for_chunks(s.groups, [&](int64_t, int64_t begin, int64_t end) {
    static thread_local Scratch scratch;
    float* lanes = scratch.get(kGroup * (s.of_vectors() + s.of_products() + s.of_words()));
    float *p = lanes + kGroup * s.of_vectors(), *words = s.in_words() ? p + kGroup * s.of_products() : lanes;
    for (int64_t first = begin * kGroup; first < std::min(end * kGroup, s.tiles); first += kGroup) {
      const int64_t count = std::min(kGroup, s.tiles - first);
      for (int64_t t = 0; t < count; ++t) {
        float* mine = lanes + t * s.of_vectors();
        s.with.to_lanes(v + (first + t) * s.tile * s.fields * s.size, s.in_tile(first + t), s.fields * s.size, mine);
        if (s.in_words()) s.with.words_of_numbers(mine, s.fields, s.size, words + t * s.of_words());
      }
      s.with.products(lanes, words, phi, p, count, s.fields, s.size);
      for (int64_t t = 0; t < count; ++t)
        s.with.from_lanes(p + t * s.of_products(), s.in_tile(first + t), s.pairs, out + (first + t) * s.tile * s.pairs);
    }
  });
  return MX_SUCCESS;
}

// Writes dv, and the tiles of vectors and of products' gradients to `lanes` and `dp`; those of vectors in words of
// examples to `example_words`.
static void vector_gradients(const Sizes& s, const float* d_out, const float* v, const float* phi, const float* turned,
                             float* dv, float* lanes, float* example_words, float* dp) {
  for_chunks(s.groups, [&](int64_t, int64_t begin, int64_t end) {
    static thread_local Scratch scratch;
    float* gradients = scratch.get(kGroup * (s.of_vectors() + s.of_words()));
    float* number_words = gradients + kGroup * s.of_vectors();
    for (int64_t first = begin * kGroup; first < std::min(end * kGroup, s.tiles); first += kGroup) {
      const int64_t count = std::min(kGroup, s.tiles - first);
      for (int64_t t = first; t < first + count; ++t) {
        float* mine = lanes + t * s.of_vectors();
        s.with.to_lanes(v + t * s.tile * s.fields * s.size, s.in_tile(t), s.fields * s.size, mine);
        s.with.to_lanes(d_out + t * s.tile * s.pairs, s.in_tile(t), s.pairs, dp + t * s.of_products());
        if (!s.in_words()) continue;
        s.with.words_of_numbers(mine, s.fields, s.size, number_words + (t - first) * s.of_words());
        s.with.words_of_examples(mine, s.fields * s.size, example_words + t * s.of_example_words());
      }
      const float* mine = lanes + first * s.of_vectors();
      s.with.vector_gradients(mine, s.in_words() ? number_words : mine, phi, turned, dp + first * s.of_products(),
                              gradients, count, s.fields, s.size);
      for (int64_t t = 0; t < count; ++t)
        s.with.from_lanes(gradients + t * s.of_vectors(), s.in_tile(first + t), s.fields * s.size,
                          dv + (first + t) * s.tile * s.fields * s.size);
    }
  });
}

static void kernel_gradients(const Sizes& s, const float* lanes, const float* words, const float* dp, float* d_phi) {
  const int64_t scratch_size = s.size * s.size * s.with.lanes + s.with.scaled * s.size;
  for_chunks(s.pairs, [&](int64_t, int64_t begin, int64_t end) {
    static thread_local Scratch scratch;
    s.with.kernel_gradients(lanes, words, dp, d_phi, begin, end, s.tiles, s.fields, s.size, scratch.get(scratch_size));
  });
}

static MXReturnValue backward(const Attributes& attributes, Tensors* inputs, Tensors* outputs, const OpResource&) {
  const Sizes s(attributes, (*inputs)[1]);  // d_out, vectors, weight, out
  float* d_weight = (*outputs)[1].data<float>();
  static thread_local Scratch repeated, turned_scratch, lanes_scratch, dp_scratch, numbers;
  static thread_local Scratch phi_words, turned_words, example_words;
  const float* plain = kernels(s, (*inputs)[2].data<float>(), repeated);
  const float* phi = kernel_words(s, plain, phi_words);
  const float* turned = kernel_words(s, transposed_kernels(s, plain, turned_scratch), turned_words);
  float *lanes = lanes_scratch.get(s.tiles * s.of_vectors()), *dp = dp_scratch.get(s.tiles * s.of_products());
  float* words = s.in_words() ? example_words.get(s.tiles * s.of_example_words()) : lanes;
  vector_gradients(s, (*inputs)[0].data<float>(), (*inputs)[1].data<float>(), phi, turned, (*outputs)[0].data<float>(),
                   lanes, words, dp);
  float* d_phi = s.number ? numbers.get(s.pairs * s.size) : d_weight;
  kernel_gradients(s, lanes, words, dp, d_phi);
  if (!s.number) return MX_SUCCESS;
  for (int64_t pair = 0; pair < s.pairs; ++pair) {
    d_weight[pair] = 0;
    for (int64_t k = 0; k < s.size; ++k) d_weight[pair] += d_phi[pair * s.size + k];
  }
  return MX_SUCCESS;
}

static MXReturnValue shapes(const Attributes& attributes, Shapes* inputs, Shapes* outputs) {
  const Shape& v = (*inputs)[0];
  const std::string kernel = text(attributes, "kernel", "matrix");
  if (!names_precision(attributes))
    return refuse("pnn_kernel_products: precision must be f32, x3 or bf16, not " +
                  text(attributes, "precision", "f32"));
  if (v.size() != 3)
    return refuse("pnn_kernel_products: vectors must have the shape (B, N, K), not " + std::to_string(v.size()) +
                  " axes");
  if (v[1] < 2) return refuse("pnn_kernel_products: N must be 2 or more, not " + std::to_string(v[1]));
  const unsigned pairs = v[1] * (v[1] - 1) / 2;
  if (kernel == "matrix")
    (*inputs)[1] = {pairs, v[2], v[2]};
  else if (kernel == "vector")
    (*inputs)[1] = {pairs, v[2]};
  else if (kernel == "number")
    (*inputs)[1] = {pairs, 1};
  else
    return refuse("pnn_kernel_products: kernel must be matrix, vector or number, not " + kernel);
  (*outputs)[0] = {v[0], pairs};
  return MX_SUCCESS;
}

PNN_OPERATOR(pnn_kernel_products, (counts<2, 1>), forward, backward, shapes);

}  // namespace pnn
