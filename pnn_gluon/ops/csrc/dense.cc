// pnn_dense(x (..., k), weight (n, k), bias (n,) unless no_bias = 1; units = n, activation = identity | relu,
//           precision = f32 | x3 | bf16) -> y (..., n) = activation(x weight^T + bias)
// Gradients with d = dy where y > 0 (relu) or dy: dx = d weight, d_weight = d^T x, d_bias = sum of d over rows.
#define KERNELS "dense.inc"
#include "each_isa.h"
#include "matrix_product.h"
#include "precision.h"

namespace pnn {

constexpr int64_t kNarrow = 4;  // layers of up to so many units don't go through the matrix product, and are float32

static bool relu(const Attributes& attributes) { return text(attributes, "activation", "identity") == "relu"; }
static bool biased(const Attributes& attributes) { return integer(attributes, "no_bias", 0) == 0; }

static MXReturnValue forward(const Attributes& attributes, Tensors* inputs, Tensors* outputs, const OpResource&) {
  MXTensor& x = (*inputs)[0];
  const int64_t k = x.shape.back(), n = (*inputs)[1].shape[0], rows = x.size() / k;
  const float *from = x.data<float>(), *weight = (*inputs)[1].data<float>();
  const float* bias = biased(attributes) ? (*inputs)[2].data<float>() : nullptr;
  float* y = (*outputs)[0].data<float>();
  if (n <= kNarrow) {
    const auto run = relu(attributes) ? PNN_FOR_THIS_PROCESSOR(narrow_dense_rows<true>)
                                      : PNN_FOR_THIS_PROCESSOR(narrow_dense_rows<false>);
    for_chunks(rows, [&](int64_t, int64_t begin, int64_t end) { run(from, weight, bias, y, begin, end, n, k); });
    return MX_SUCCESS;
  }
  matrix_product(precision_of(attributes), rows, n, k, row_major(from, k), transposed(row_major(weight, k)),
                 {y, bias, relu(attributes)});
  return MX_SUCCESS;
}

// d_weight (n, k) of a layer of a few units, and dx (rows, k).
static void narrow_backward(const float* d, const float* x, const float* weight, float* dx, float* d_weight,
                            int64_t rows, int64_t n, int64_t k) {
  const int64_t padded = (k + 15) / 16 * 16;
  static thread_local Scratch scratch;
  float* sums = scratch.zeros(kChunks * n * padded);
  const auto run = PNN_FOR_THIS_PROCESSOR(narrow_dense_rows_backward);
  for_chunks(rows, [&](int64_t chunk, int64_t begin, int64_t end) {
    run(d, x, weight, dx, sums + chunk * n * padded, padded, begin, end, n, k);
  });
  for (int64_t unit = 0; unit < n; ++unit) add_chunks(sums + unit * padded, n * padded, rows, d_weight + unit * k, k);
}

static MXReturnValue backward(const Attributes& attributes, Tensors* inputs, Tensors* outputs, const OpResource&) {
  MXTensor& x = (*inputs)[1];  // dy, x, weight, bias if there is one, y
  const int64_t k = x.shape.back(), n = (*inputs)[2].shape[0], rows = x.size() / k, padded = (n + 15) / 16 * 16;
  const float *dy = (*inputs)[0].data<float>(), *y = inputs->back().data<float>();
  const float *from = x.data<float>(), *weight = (*inputs)[2].data<float>();
  static thread_local Scratch sums_scratch, masked_scratch;
  const bool has_relu = relu(attributes);
  float* masked = has_relu ? masked_scratch.get(rows * n) : nullptr;
  if (has_relu || biased(attributes)) {  // else d is dy, and nobody asks for its sum
    float* sums = sums_scratch.zeros(kChunks * padded);
    const auto run = has_relu ? PNN_FOR_THIS_PROCESSOR(dense_rows_backward<true>)
                              : PNN_FOR_THIS_PROCESSOR(dense_rows_backward<false>);
    for_chunks(rows, [&](int64_t chunk, int64_t begin, int64_t end) {
      run(dy, y, masked, sums + chunk * padded, begin, end, n);
    });
    if (biased(attributes)) add_chunks(sums, padded, rows, (*outputs)[2].data<float>(), n);
  }

  const float* d = masked == nullptr ? dy : masked;
  float *dx = (*outputs)[0].data<float>(), *d_weight = (*outputs)[1].data<float>();
  if (n <= kNarrow) {
    narrow_backward(d, from, weight, dx, d_weight, rows, n, k);
    return MX_SUCCESS;
  }
  const Precision how = precision_of(attributes);
  matrix_product(how, rows, k, n, row_major(d, n), row_major(weight, k), {dx, nullptr, false});
  matrix_product(how, n, k, rows, transposed(row_major(d, n)), row_major(from, k), {d_weight, nullptr, false});
  return MX_SUCCESS;
}

static MXReturnValue inputs_and_outputs(const Attributes& attributes, int* inputs, int* outputs) {
  *inputs = biased(attributes) ? 3 : 2;
  *outputs = 1;
  return MX_SUCCESS;
}

static MXReturnValue shapes(const Attributes& attributes, Shapes* inputs, Shapes* outputs) {
  const std::string activation = text(attributes, "activation", "identity");
  if (activation != "identity" && activation != "relu")
    return refuse("pnn_dense: activation must be identity or relu, not " + activation);
  if (!names_precision(attributes))
    return refuse("pnn_dense: precision must be f32, x3 or bf16, not " + text(attributes, "precision", ""));
  const int64_t units = integer(attributes, "units", 0);
  const Shape& x = (*inputs)[0];
  if (units < 1 || x.size() < 2)
    return refuse("pnn_dense: units must be 1 or more, not " + std::to_string(units) + ", and x (..., k)");
  (*outputs)[0] = x;
  (*outputs)[0].back() = static_cast<unsigned>(units);
  (*inputs)[1] = {static_cast<unsigned>(units), x.back()};
  if (biased(attributes)) (*inputs)[2] = {static_cast<unsigned>(units)};
  return MX_SUCCESS;
}

PNN_OPERATOR(pnn_dense, inputs_and_outputs, forward, backward, shapes);

}  // namespace pnn
