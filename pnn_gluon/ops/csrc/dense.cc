// pnn_dense(x_1 (..., k_1), ..., x_p (..., k_p), weight (n, k), bias (n,) unless no_bias = 1; units = n, parts = p,
//           activation = identity | relu, precision = f32 | x3 | bf16) -> y (..., n) = activation(x weight^T + bias)
// with x = [x_1, ..., x_p] (..., k): rows of several parts are joined where they are packed, and x is not stored.
// Gradients with d = dy where y > 0 (relu) or dy: dx = d weight, d_weight = d^T x, d_bias = sum of d over rows.
#include <algorithm>

#define KERNELS "dense.inc"
#include "dense.h"
#include "each_isa.h"
#include "matrix_product.h"
#include "precision.h"

namespace pnn {

static bool relu(const Attributes& attributes) { return text(attributes, "activation", "identity") == "relu"; }
static bool biased(const Attributes& attributes) { return integer(attributes, "no_bias", 0) == 0; }
static size_t parts_of(const Attributes& attributes) { return static_cast<size_t>(integer(attributes, "parts", 1)); }

// Tensors first ... first + count, whose rows stand side by side.
struct Parts {
  Tensors* tensors;
  size_t first, count;

  float* only() const { return (*tensors)[first].data<float>(); }
  int64_t rows() const { return (*tensors)[first].size() / (*tensors)[first].shape.back(); }

  // run(numbers of a part, its width, the column where it begins) for the parts in columns j ... j_end.
  template <class Run>
  void for_columns(int64_t j, int64_t j_end, Run&& run) const {
    int64_t begin = 0;
    for (size_t i = first; i < first + count; ++i) {
      const int64_t width = (*tensors)[i].shape.back();
      if (j < begin + width && begin < j_end) run((*tensors)[i].data<float>(), width, begin);
      begin += width;
    }
  }
};

static void join(const void* of, int64_t i, int64_t i_end, int64_t j, int64_t j_end, float* to, int64_t stride) {
  static_cast<const Parts*>(of)->for_columns(j, j_end, [&](const float* x, int64_t width, int64_t begin) {
    const int64_t from = std::max(j, begin), count = std::min(j_end, begin + width) - from;
    for (int64_t row = i; row < i_end; ++row)
      std::memcpy(to + (row - i) * stride + from - j, x + row * width + from - begin, static_cast<size_t>(count) * 4);
  });
}

static void divide(void* into, const float* rows, int64_t stride, int64_t i, int64_t i_end) {
  static_cast<const Parts*>(into)->for_columns(0, INT64_MAX, [&](float* dx, int64_t width, int64_t begin) {
    for (int64_t row = i; row < i_end; ++row)
      std::memcpy(dx + row * width, rows + (row - i) * stride + begin, static_cast<size_t>(width) * 4);
  });
}

// x (rows, k) in one piece.
static const float* joined(const Parts& x, int64_t k) {
  if (x.count == 1) return x.only();
  static thread_local Scratch scratch;
  float* to = scratch.get(x.rows() * k);
  for_chunks(x.rows(), [&](int64_t, int64_t begin, int64_t end) { join(&x, begin, end, 0, k, to + begin * k, k); });
  return to;
}

static MXReturnValue forward(const Attributes& attributes, Tensors* inputs, Tensors* outputs, const OpResource&) {
  const Parts x{inputs, 0, parts_of(attributes)};
  const int64_t n = (*inputs)[x.count].shape[0], k = (*inputs)[x.count].shape[1], rows = x.rows();
  const float* weight = (*inputs)[x.count].data<float>();
  const float* bias = biased(attributes) ? (*inputs)[x.count + 1].data<float>() : nullptr;
  float* y = (*outputs)[0].data<float>();
  if (n <= kNarrow) {
    const auto run = relu(attributes) ? PNN_FOR_THIS_PROCESSOR(narrow_dense_rows<true>)
                                      : PNN_FOR_THIS_PROCESSOR(narrow_dense_rows<false>);
    const float* from = joined(x, k);
    for_chunks(rows, [&](int64_t, int64_t begin, int64_t end) { run(from, weight, bias, y, begin, end, n, k); });
    return MX_SUCCESS;
  }
  const Precision how = precision_of(attributes);
  const Matrix weights = transposed(row_major(weight, k));
  const Product product{y, bias, relu(attributes)};
  if (x.count == 1)
    matrix_product(how, rows, n, k, row_major(x.only(), k), weights, product);
  else
    matrix_product(how, rows, n, k, MadeRows{&x, &join}, weights, product);
  return MX_SUCCESS;
}

// d_weight (n, k) of a layer of a few units, and dx.
static void narrow_backward(const float* d, const Parts& x, const float* weight, Parts& dx, float* d_weight, int64_t n,
                            int64_t k) {
  const int64_t padded = (k + 15) / 16 * 16, rows = x.rows();
  static thread_local Scratch scratch, dx_scratch;
  float* sums = scratch.zeros(kChunks * n * padded);
  const float* from = joined(x, k);
  float* to = dx.count == 1 ? dx.only() : dx_scratch.get(rows * k);
  const auto run = PNN_FOR_THIS_PROCESSOR(narrow_dense_rows_backward);
  for_chunks(rows, [&](int64_t chunk, int64_t begin, int64_t end) {
    run(d, from, weight, to, sums + chunk * n * padded, padded, begin, end, n, k);
    if (dx.count > 1) divide(&dx, to + begin * k, k, begin, end);
  });
  for (int64_t unit = 0; unit < n; ++unit) add_chunks(sums + unit * padded, n * padded, rows, d_weight + unit * k, k);
}

const float* through_activation(bool relu, const float* dy, const float* y, float* d_bias, int64_t rows, int64_t n) {
  if (!relu && d_bias == nullptr) return dy;
  const int64_t padded = (n + 15) / 16 * 16;
  static thread_local Scratch sums_scratch, masked_scratch;
  float *masked = relu ? masked_scratch.get(rows * n) : nullptr, *sums = sums_scratch.zeros(kChunks * padded);
  const auto run =
      relu ? PNN_FOR_THIS_PROCESSOR(dense_rows_backward<true>) : PNN_FOR_THIS_PROCESSOR(dense_rows_backward<false>);
  for_chunks(rows, [&](int64_t chunk, int64_t begin, int64_t end) {
    run(dy, y, masked, sums + chunk * padded, begin, end, n);
  });
  if (d_bias != nullptr) add_chunks(sums, padded, rows, d_bias, n);
  return relu ? masked : dy;
}

static MXReturnValue backward(const Attributes& attributes, Tensors* inputs, Tensors* outputs, const OpResource&) {
  const size_t parts = parts_of(attributes);
  const Parts x{inputs, 1, parts};  // after dy; then weight, bias if there is one, y
  Parts dx{outputs, 0, parts};
  MXTensor& weights = (*inputs)[1 + parts];
  const int64_t n = weights.shape[0], k = weights.shape[1], rows = x.rows();
  const float* weight = weights.data<float>();
  float* d_bias = biased(attributes) ? (*outputs)[parts + 1].data<float>() : nullptr;
  const float* d =
      through_activation(relu(attributes), (*inputs)[0].data<float>(), inputs->back().data<float>(), d_bias, rows, n);
  float* d_weight = (*outputs)[parts].data<float>();
  if (n <= kNarrow) {
    narrow_backward(d, x, weight, dx, d_weight, n, k);
    return MX_SUCCESS;
  }
  const Precision how = precision_of(attributes);
  const Product product{d_weight, nullptr, false};
  if (parts == 1) {
    matrix_product(how, rows, k, n, row_major(d, n), row_major(weight, k), Product{dx.only(), nullptr, false});
    matrix_product(how, n, k, rows, transposed(row_major(d, n)), row_major(x.only(), k), product);
  } else {
    matrix_product(how, rows, k, n, row_major(d, n), row_major(weight, k), TakenRows{&dx, &divide});
    matrix_product(how, n, k, rows, transposed(row_major(d, n)), MadeRows{&x, &join}, product);
  }
  return MX_SUCCESS;
}

static MXReturnValue inputs_and_outputs(const Attributes& attributes, int* inputs, int* outputs) {
  if (integer(attributes, "parts", 1) < 1)
    return refuse("pnn_dense: parts must be 1 or more, not " + text(attributes, "parts", ""));
  *inputs = static_cast<int>(parts_of(attributes)) + (biased(attributes) ? 2 : 1);
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
  const size_t parts = parts_of(attributes);
  const Shape& x = (*inputs)[0];
  if (units < 1 || x.size() < 2)
    return refuse("pnn_dense: units must be 1 or more, not " + std::to_string(units) + ", and x (..., k)");
  unsigned width = 0;
  for (size_t i = 0; i < parts; ++i) {
    const Shape& part = (*inputs)[i];
    if (part.size() != x.size() || !std::equal(x.begin(), x.end() - 1, part.begin()))
      return refuse("pnn_dense: parts of x must have the same axes but the last one");
    width += part.back();
  }
  (*outputs)[0] = x;
  (*outputs)[0].back() = static_cast<unsigned>(units);
  (*inputs)[parts] = {static_cast<unsigned>(units), width};
  if (biased(attributes)) (*inputs)[parts + 1] = {static_cast<unsigned>(units)};
  return MX_SUCCESS;
}

PNN_OPERATOR(pnn_dense, inputs_and_outputs, forward, backward, shapes);

}  // namespace pnn
