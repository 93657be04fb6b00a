// pnn_feature_maps(fields (M, N), before (M, G), weight (H, N G); maps = H, same = 0 | 1, precision = f32 | x3 | bf16)
//   -> (M, H): y_h = sum over j, i of weight_h,jG+i fields_j before_i
// `same` says that `before` is `fields`: then the gradient of both goes to `fields`, and that of `before` is 0.
// The M N G products are made row by row where they are multiplied, and nothing of their size is stored. Gradients:
// d = dy weight is taken row by row; d_weight^T = products^T dy. With `same` both have one product for two that are
// equal.
#define KERNELS "feature_maps.inc"
#include "each_isa.h"
#include "matrix_product.h"
#include "precision.h"

namespace pnn {

struct Operands {
  const float *fields, *before;
  int64_t m, n, g;
};

static MadeRows products(const Operands& x) {
  return {&x, [](const void* of, int64_t row, int64_t row_end, int64_t k, int64_t k_end, float* to, int64_t stride) {
            const auto& [fields, before, m, n, g] = *static_cast<const Operands*>(of);
            PNN_FOR_THIS_PROCESSOR(make_products)(fields, before, n, g, row, row_end, k, k_end, to, stride);
          }};
}

// The transpose of the products, from transposed operands.
template <bool kSame>
static MadeRows pairs(const Operands& x) {
  return {&x, [](const void* of, int64_t pair, int64_t pair_end, int64_t k, int64_t k_end, float* to, int64_t stride) {
            const auto& [fields, before, m, n, g] = *static_cast<const Operands*>(of);
            PNN_FOR_THIS_PROCESSOR(make_pairs<kSame>)(fields, before, m, g, pair, pair_end, k, k_end, to, stride);
          }};
}

struct Gradients {
  const Operands* of;
  float *fields, *before;
};

template <bool kSame>
static TakenRows taken(Gradients& gradients) {
  return {&gradients, [](void* into, const float* rows, int64_t stride, int64_t row, int64_t row_end) {
            const auto& [of, fields, before] = *static_cast<const Gradients*>(into);
            static thread_local Scratch room;
            PNN_FOR_THIS_PROCESSOR(take_gradients<kSame>)
            (rows, stride, of->fields, of->before, fields, before, of->n, of->g, row, row_end,
             room.get(2 * (of->g + 16)));
          }};
}

// (rows, columns) to (columns, rows).
static void transpose(const float* from, float* to, int64_t rows, int64_t columns) {
  for_chunks(rows, [&](int64_t, int64_t begin, int64_t end) {
    for (int64_t column = 0; column < columns; ++column)
      for (int64_t row = begin; row < end; ++row) to[column * rows + row] = from[row * columns + column];
  });
}

// Weights (maps, n n) of products in both orders to those (maps, pairs) of one for two.
static void fold(const float* from, float* to, int64_t maps, int64_t n) {
  for (int64_t map = 0; map < maps; ++map, from += n * n)
    for (int64_t j = 0; j < n; ++j) {
      for (int64_t i = 0; i < j; ++i) *to++ = from[j * n + i] + from[i * n + j];
      *to++ = from[j * n + j];
    }
}

// Gradients (pairs, maps) of one product for two to those (maps, n n) of both.
static void unfold(const float* from, float* to, int64_t maps, int64_t n) {
  for (int64_t j = 0; j < n; ++j)
    for (int64_t i = 0; i <= j; ++i, from += maps)
      for (int64_t map = 0; map < maps; ++map) to[(map * n + j) * n + i] = to[(map * n + i) * n + j] = from[map];
}

static Operands operands(MXTensor& fields, MXTensor& before) {
  return {fields.data<float>(), before.data<float>(), fields.shape[0], fields.shape[1], before.shape[1]};
}

static MXReturnValue forward(const Attributes& attributes, Tensors* inputs, Tensors* outputs, const OpResource&) {
  const Operands x = operands((*inputs)[0], (*inputs)[1]);
  const int64_t maps = (*inputs)[2].shape[0], k = x.n * x.g;
  matrix_product(precision_of(attributes), x.m, maps, k, products(x),
                 transposed(row_major((*inputs)[2].data<float>(), k)), {(*outputs)[0].data<float>(), nullptr, false});
  return MX_SUCCESS;
}

// d_fields and d_before, then the products' gradients (pairs, maps).
template <bool kSame>
static void gradients(Precision how, const float* dy, const Operands& x, const float* weight, int64_t pairs_of_fields,
                      int64_t maps, Gradients to, float* d_weight) {
  matrix_product(how, x.m, pairs_of_fields, maps, row_major(dy, maps), row_major(weight, pairs_of_fields),
                 taken<kSame>(to));
  static thread_local Scratch fields_scratch, before_scratch;
  float *fields = fields_scratch.get(x.m * x.n), *before = kSame ? fields : before_scratch.get(x.m * x.g);
  transpose(x.fields, fields, x.m, x.n);
  if (!kSame) transpose(x.before, before, x.m, x.g);
  const Operands along{fields, before, x.m, x.n, x.g};
  matrix_product(how, pairs_of_fields, maps, x.m, pairs<kSame>(along), row_major(dy, maps), {d_weight, nullptr, false});
}

static MXReturnValue backward(const Attributes& attributes, Tensors* inputs, Tensors* outputs, const OpResource&) {
  const Operands x = operands((*inputs)[1], (*inputs)[2]);  // dy, fields, before, weight, y
  const int64_t maps = (*inputs)[3].shape[0];
  const float *dy = (*inputs)[0].data<float>(), *weight = (*inputs)[3].data<float>();
  const Gradients to{&x, (*outputs)[0].data<float>(), (*outputs)[1].data<float>()};
  float* d_weight = (*outputs)[2].data<float>();
  static thread_local Scratch folded_scratch, scratch;
  if (integer(attributes, "same", 0) != 0) {
    const int64_t count = x.n * (x.n + 1) / 2;
    float *folded = folded_scratch.get(maps * count), *d_folded = scratch.get(count * maps);
    fold(weight, folded, maps, x.n);
    gradients<true>(precision_of(attributes), dy, x, folded, count, maps, to, d_folded);
    unfold(d_folded, d_weight, maps, x.n);
  } else {
    const int64_t count = x.n * x.g;
    float* d_transposed = scratch.get(count * maps);
    gradients<false>(precision_of(attributes), dy, x, weight, count, maps, to, d_transposed);
    transpose(d_transposed, d_weight, count, maps);
  }
  return MX_SUCCESS;
}

static MXReturnValue shapes(const Attributes& attributes, Shapes* inputs, Shapes* outputs) {
  const int64_t maps = integer(attributes, "maps", 0);
  const Shape &fields = (*inputs)[0], &before = (*inputs)[1];
  if (maps < 1) return refuse("pnn_feature_maps: maps must be 1 or more, not " + std::to_string(maps));
  if (!names_precision(attributes))
    return refuse("pnn_feature_maps: precision must be f32, x3 or bf16, not " + text(attributes, "precision", ""));
  if (fields.size() != 2 || before.size() != 2 || fields[0] != before[0])
    return refuse("pnn_feature_maps: fields must be (M, N), and before (M, G)");
  if (integer(attributes, "same", 0) != 0 && fields != before)
    return refuse("pnn_feature_maps: with same = 1 before must be fields");
  (*inputs)[2] = {static_cast<unsigned>(maps), fields[1] * before[1]};
  (*outputs)[0] = {fields[0], static_cast<unsigned>(maps)};
  return MX_SUCCESS;
}

PNN_OPERATOR(pnn_feature_maps, (counts<3, 1>), forward, backward, shapes);

}  // namespace pnn
