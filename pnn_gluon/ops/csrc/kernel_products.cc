// pnn_kernel_products(vectors (B, N, K), weight; kernel = matrix | vector | number) -> (B, P), P = N (N - 1) / 2;
// weight is (P, K, K), (P, K) or (P, 1) by `kernel`.
//
// Products and gradients of vectors: in parallel over groups of tiles of examples, each example by itself. Gradients of
// kernels: in parallel over pairs, each over all examples in order. So no sum depends on the number of threads. One
// number a pair is computed as K equal ones.
#define KERNELS "kernel_products.inc"
#include "each_isa.h"

#include <algorithm>

namespace pnn {

constexpr int64_t kGroup = 2;  // tiles that share a pass over the kernels

namespace {
struct Sizes {
  Sizes(const Attributes& attributes, const MXTensor& vectors)
      : examples(vectors.shape[0]), fields(vectors.shape[1]), size(vectors.shape[2]) {
    const std::string name = text(attributes, "kernel", "matrix");
    matrix = name == "matrix";
    number = name == "number";
    pairs = fields * (fields - 1) / 2;
    kernel = matrix ? size * size : size;
    tile = PNN_FOR_THIS_PROCESSOR(kernel_tile)();
    tiles = (examples + tile - 1) / tile;
    groups = (tiles + kGroup - 1) / kGroup;
  }
  int64_t in_tile(int64_t number_of_tile) const { return std::min(tile, examples - number_of_tile * tile); }
  int64_t of_vectors() const { return fields * size * tile; }  // floats a tile
  int64_t of_products() const { return pairs * tile; }

  int64_t examples, fields, size, pairs, kernel, tile, tiles, groups;
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
  static thread_local Scratch repeated;
  const float* phi = kernels(s, (*inputs)[1].data<float>(), repeated);
  const auto to = PNN_FOR_THIS_PROCESSOR(to_lanes);
  const auto from = PNN_FOR_THIS_PROCESSOR(from_lanes);
  const auto run = s.matrix ? PNN_FOR_THIS_PROCESSOR(kernel_products_tiles<true>)
                            : PNN_FOR_THIS_PROCESSOR(kernel_products_tiles<false>);
  for_chunks(s.groups, [&](int64_t, int64_t begin, int64_t end) {
    static thread_local Scratch scratch;
    float *lanes = scratch.get(kGroup * (s.of_vectors() + s.of_products())), *p = lanes + kGroup * s.of_vectors();
    for (int64_t first = begin * kGroup; first < std::min(end * kGroup, s.tiles); first += kGroup) {
      const int64_t count = std::min(kGroup, s.tiles - first);
      for (int64_t t = 0; t < count; ++t)
        to(v + (first + t) * s.tile * s.fields * s.size, s.in_tile(first + t), s.fields * s.size,
           lanes + t * s.of_vectors());
      run(lanes, phi, p, count, s.fields, s.size);
      for (int64_t t = 0; t < count; ++t)
        from(p + t * s.of_products(), s.in_tile(first + t), s.pairs, out + (first + t) * s.tile * s.pairs);
    }
  });
  return MX_SUCCESS;
}

// Writes dv, and the tiles of vectors and of products' gradients to `lanes` and `dp`.
static void vector_gradients(const Sizes& s, const float* d_out, const float* v, const float* phi, const float* turned,
                             float* dv, float* lanes, float* dp) {
  const auto to = PNN_FOR_THIS_PROCESSOR(to_lanes);
  const auto from = PNN_FOR_THIS_PROCESSOR(from_lanes);
  const auto run = s.matrix ? PNN_FOR_THIS_PROCESSOR(kernel_products_tiles_backward<true>)
                            : PNN_FOR_THIS_PROCESSOR(kernel_products_tiles_backward<false>);
  for_chunks(s.groups, [&](int64_t, int64_t begin, int64_t end) {
    static thread_local Scratch scratch;
    float* gradients = scratch.get(kGroup * s.of_vectors());
    for (int64_t first = begin * kGroup; first < std::min(end * kGroup, s.tiles); first += kGroup) {
      const int64_t count = std::min(kGroup, s.tiles - first);
      for (int64_t t = first; t < first + count; ++t) {
        to(v + t * s.tile * s.fields * s.size, s.in_tile(t), s.fields * s.size, lanes + t * s.of_vectors());
        to(d_out + t * s.tile * s.pairs, s.in_tile(t), s.pairs, dp + t * s.of_products());
      }
      run(lanes + first * s.of_vectors(), phi, turned, dp + first * s.of_products(), gradients, count, s.fields,
          s.size);
      for (int64_t t = 0; t < count; ++t)
        from(gradients + t * s.of_vectors(), s.in_tile(first + t), s.fields * s.size,
             dv + (first + t) * s.tile * s.fields * s.size);
    }
  });
}

static void kernel_gradients(const Sizes& s, const float* lanes, const float* dp, float* d_phi) {
  const int64_t scratch_size = PNN_FOR_THIS_PROCESSOR(kernel_gradients_scratch)(s.size);
  const auto run =
      s.matrix ? PNN_FOR_THIS_PROCESSOR(kernel_gradients<true>) : PNN_FOR_THIS_PROCESSOR(kernel_gradients<false>);
  for_chunks(s.pairs, [&](int64_t, int64_t begin, int64_t end) {
    static thread_local Scratch scratch;
    run(lanes, dp, d_phi, begin, end, s.tiles, s.fields, s.size, scratch.get(scratch_size));
  });
}

static MXReturnValue backward(const Attributes& attributes, Tensors* inputs, Tensors* outputs, const OpResource&) {
  const Sizes s(attributes, (*inputs)[1]);  // d_out, vectors, weight, out
  float* d_weight = (*outputs)[1].data<float>();
  static thread_local Scratch repeated, turned_scratch, lanes_scratch, dp_scratch, numbers;
  const float* phi = kernels(s, (*inputs)[2].data<float>(), repeated);
  const float* turned = transposed_kernels(s, phi, turned_scratch);
  float *lanes = lanes_scratch.get(s.tiles * s.of_vectors()), *dp = dp_scratch.get(s.tiles * s.of_products());
  vector_gradients(s, (*inputs)[0].data<float>(), (*inputs)[1].data<float>(), phi, turned, (*outputs)[0].data<float>(),
                   lanes, dp);
  float* d_phi = s.number ? numbers.get(s.pairs * s.size) : d_weight;
  kernel_gradients(s, lanes, dp, d_phi);
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
