// pnn_normalized_dense(x (..., k), shift (k,), gamma (k,), beta (k,), weight (n, k), bias (n,) unless no_bias = 1;
//                      units = n, epsilon, precision = f32 | x3 | bf16) -> y (..., n) = h weight^T + bias,
// h = relu(norm(x + shift) gamma + beta) with mean and variance over the k numbers of a row, as in pnn_layer_norm.
// Rows of h are made where they are packed, and h is not stored. On the way back rows are made once more for
// d_weight = dy^T h, and with them, from dh = dy weight, the gradients of x, shift, gamma and beta.
#include "layer_norm.h"

#define KERNELS "normalized_dense.inc"
#include "dense.h"
#include "each_isa.h"
#include "matrix_product.h"
#include "precision.h"

namespace pnn {

// Hidden units before their normalization, (rows, n of the norm).
struct Hidden {
  const float* x;
  Norm norm;
  int64_t rows;
};

static Hidden hidden_of(const Attributes& attributes, Tensors* inputs, size_t first) {
  MXTensor& x = (*inputs)[first];
  const float *shift = (*inputs)[first + 1].data<float>(), *gamma = (*inputs)[first + 2].data<float>();
  const float* beta = (*inputs)[first + 3].data<float>();
  const int64_t k = x.shape.back();
  return {x.data<float>(), {shift, gamma, beta, k, number(attributes, "epsilon", 1e-5f)}, x.size() / k};
}

static void normalize(const void* of, int64_t i, int64_t i_end, int64_t j, int64_t j_end, float* to, int64_t stride) {
  const Hidden& h = *static_cast<const Hidden*>(of);
  const int64_t k = h.norm.n;
  const auto run = PNN_FOR_THIS_PROCESSOR(hidden_rows);
  if (j == 0 && j_end == k) {
    run(h.x + i * k, h.norm, to, stride, i_end - i);
    return;
  }
  static thread_local Scratch scratch;
  float* whole = scratch.get((i_end - i) * k);
  run(h.x + i * k, h.norm, whole, k, i_end - i);
  for (; i < i_end; ++i, whole += k, to += stride) std::memcpy(to, whole + j, static_cast<size_t>(j_end - j) * 4);
}

// Sums of the gradients of shift, gamma and beta, and `more` beside them, over groups of rows: they are added up in the
// order of the groups, of which some may have no rows.
class Sums {
 public:
  Sums(const Hidden& h, int64_t groups, int64_t more)
      : k_(h.norm.n), padded_((k_ + 15) / 16 * 16), stride_((3 + more) * padded_), used_(static_cast<size_t>(groups)) {
    static thread_local Scratch scratch;
    data_ = scratch.get(groups * stride_);
  }

  // Those of a group that begins.
  NormGradients begin(int64_t group) {
    used_[static_cast<size_t>(group)] = 1;
    std::memset(of(group, 0), 0, static_cast<size_t>(stride_) * 4);
    return {of(group, 0), of(group, 1), of(group, 2)};
  }
  float* of(int64_t group, int64_t number) const { return data_ + group * stride_ + number * padded_; }
  int64_t padded() const { return padded_; }

  void add(int64_t number, float* to) const {
    const auto used = [&](int64_t group) { return used_[static_cast<size_t>(group)] != 0; };
    add_parts(of(0, number), stride_, static_cast<int64_t>(used_.size()), used, to, k_);
  }

 private:
  int64_t k_, padded_, stride_;
  std::vector<char> used_;
  float* data_;
};

static MXReturnValue forward(const Attributes& attributes, Tensors* inputs, Tensors* outputs, const OpResource&) {
  const Hidden h = hidden_of(attributes, inputs, 0);
  const int64_t n = (*inputs)[4].shape[0], k = h.norm.n;
  const float *weight = (*inputs)[4].data<float>(), *bias = inputs->size() > 5 ? (*inputs)[5].data<float>() : nullptr;
  float* y = (*outputs)[0].data<float>();
  if (n > kNarrow) {
    matrix_product(precision_of(attributes), h.rows, n, k, MadeRows{&h, &normalize}, transposed(row_major(weight, k)),
                   Product{y, bias, false});
    return MX_SUCCESS;
  }
  const auto run = PNN_FOR_THIS_PROCESSOR(narrow_dense_rows<false>);
  for_chunks(h.rows, [&](int64_t, int64_t begin, int64_t end) {
    static thread_local Scratch scratch;
    float* rows = scratch.get((end - begin) * k);
    normalize(&h, begin, end, 0, k, rows, k);
    run(rows, weight, bias, y + begin * n, 0, end - begin, n, k);
  });
  return MX_SUCCESS;
}

// d_weight, dx and the sums of a layer of a few units.
static void narrow_backward(const Hidden& h, const float* dy, const float* weight, int64_t n, float* dx,
                            float* d_weight, Sums& sums) {
  const int64_t k = h.norm.n;
  for_chunks(h.rows, [&](int64_t chunk, int64_t begin, int64_t end) {
    static thread_local Scratch scratch, gradient_scratch;
    float *rows = scratch.get((end - begin) * k), *dh = gradient_scratch.get((end - begin) * k);
    const NormGradients gradients = sums.begin(chunk);
    normalize(&h, begin, end, 0, k, rows, k);
    PNN_FOR_THIS_PROCESSOR(narrow_dense_rows_backward)
    (dy + begin * n, rows, weight, dh, sums.of(chunk, 3), sums.padded(), 0, end - begin, n, k);
    PNN_FOR_THIS_PROCESSOR(hidden_rows_backward)
    (dh, h.x + begin * k, h.norm, dx + begin * k, rows, k, end - begin, gradients);
  });
  for (int64_t unit = 0; unit < n; ++unit) sums.add(3 + unit, d_weight + unit * k);
}

// Rows of h for d_weight, whose dx and sums come with them.
struct WayBack {
  const Hidden* h;
  const float* dh;
  float* dx;
  Sums* sums;
};

static void normalize_backward(const void* of, int64_t i, int64_t i_end, int64_t, int64_t, float* to, int64_t stride) {
  const auto& [h, dh, dx, sums] = *static_cast<const WayBack*>(of);
  const int64_t at = i * h->norm.n;
  PNN_FOR_THIS_PROCESSOR(hidden_rows_backward)
  (dh + at, h->x + at, h->norm, dx + at, to, stride, i_end - i, sums->begin(i / kRowMultiple));
}

static void wide_backward(const Hidden& h, Precision how, const float* dy, const float* weight, int64_t n, float* dx,
                          float* d_weight, Sums& sums) {
  const int64_t k = h.norm.n;
  static thread_local Scratch scratch;
  float* dh = scratch.get(h.rows * k);
  matrix_product(how, h.rows, k, n, row_major(dy, n), row_major(weight, k), Product{dh, nullptr, false});
  const WayBack back{&h, dh, dx, &sums};
  matrix_product(how, n, k, h.rows, transposed(row_major(dy, n)), MadeRows{&back, &normalize_backward},
                 Product{d_weight, nullptr, false});
}

static MXReturnValue backward(const Attributes& attributes, Tensors* inputs, Tensors* outputs, const OpResource&) {
  const Hidden h = hidden_of(attributes, inputs, 1);  // dy, x, shift, gamma, beta, weight, bias if there is one, y
  const int64_t n = (*inputs)[5].shape[0];
  const float *dy = (*inputs)[0].data<float>(), *weight = (*inputs)[5].data<float>();
  float *dx = (*outputs)[0].data<float>(), *d_weight = (*outputs)[4].data<float>();
  const bool narrow = n <= kNarrow;
  Sums sums(h, narrow ? kChunks : (h.rows + kRowMultiple - 1) / kRowMultiple, narrow ? n : 0);
  if (narrow)
    narrow_backward(h, dy, weight, n, dx, d_weight, sums);
  else
    wide_backward(h, precision_of(attributes), dy, weight, n, dx, d_weight, sums);
  for (size_t i = 0; i < 3; ++i) sums.add(static_cast<int64_t>(i), (*outputs)[1 + i].data<float>());
  if (outputs->size() > 5) through_activation(false, dy, nullptr, (*outputs)[5].data<float>(), h.rows, n);
  return MX_SUCCESS;
}

static MXReturnValue inputs_and_outputs(const Attributes& attributes, int* inputs, int* outputs) {
  *inputs = integer(attributes, "no_bias", 0) == 0 ? 6 : 5;
  *outputs = 1;
  return MX_SUCCESS;
}

static MXReturnValue shapes(const Attributes& attributes, Shapes* inputs, Shapes* outputs) {
  if (!names_precision(attributes))
    return refuse("pnn_normalized_dense: precision must be f32, x3 or bf16, not " + text(attributes, "precision", ""));
  const int64_t units = integer(attributes, "units", 0);
  const Shape& x = (*inputs)[0];
  if (units < 1 || x.size() < 2)
    return refuse("pnn_normalized_dense: units must be 1 or more, not " + std::to_string(units) + ", and x (..., k)");
  (*outputs)[0] = x;
  (*outputs)[0].back() = static_cast<unsigned>(units);
  (*inputs)[1] = (*inputs)[2] = (*inputs)[3] = {x.back()};
  (*inputs)[4] = {static_cast<unsigned>(units), x.back()};
  if (inputs->size() > 5) (*inputs)[5] = {static_cast<unsigned>(units)};
  return MX_SUCCESS;
}

PNN_OPERATOR(pnn_normalized_dense, inputs_and_outputs, forward, backward, shapes);

}  // namespace pnn
