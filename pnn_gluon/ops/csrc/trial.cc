// A small known problem for the kernels of an instruction set, against float64: see trials.py.
#include <array>
#include <cmath>

#include "matrix_product.h"

namespace pnn {

// Numbers from -1 to 1 that no run of places repeats.
static std::vector<float> some_numbers(int64_t count, uint32_t seed) {
  std::vector<float> numbers(static_cast<size_t>(count));
  for (float& number : numbers) {
    seed = seed * 1664525u + 1013904223u;
    number = static_cast<float>(seed >> 8) / static_cast<float>(1 << 23) - 1.0f;
  }
  return numbers;
}

static float nearest_bfloat16(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, 4);
  bits = (bits + 0x7fffu + ((bits >> 16) & 1u)) & 0xffff0000u;
  std::memcpy(&x, &bits, 4);
  return x;
}

// The largest error of one product, in units of the sum of the sizes of what was added up. Each of the operands lies
// by rows or by columns.
static double error_of_product(Precision precision, int64_t m, int64_t n, int64_t k, bool a_by_columns,
                               bool b_by_columns) {
  const std::vector<float> a = some_numbers(m * k, 1), b = some_numbers(k * n, 2), bias = some_numbers(n, 3);
  std::vector<float> found(static_cast<size_t>(m * n), NAN);
  const Matrix left = a_by_columns ? transposed(row_major(a.data(), m)) : row_major(a.data(), k);
  const Matrix right = b_by_columns ? transposed(row_major(b.data(), k)) : row_major(b.data(), n);
  matrix_product(precision, m, n, k, left, right, {found.data(), bias.data(), true});
  const auto at = [&](const Matrix& x, int64_t i, int64_t j) {
    const float number = x.data[i * x.row_stride + j * x.column_stride];
    return static_cast<double>(precision == Precision::bf16 ? nearest_bfloat16(number) : number);
  };
  double worst = 0;
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j) {
      double sum = bias[static_cast<size_t>(j)], size = std::fabs(sum);
      for (int64_t l = 0; l < k; ++l) {
        const double product = at(left, i, l) * at(right, l, j);
        sum += product;
        size += std::fabs(product);
      }
      const double error = std::fabs(found[static_cast<size_t>(i * n + j)] - (sum > 0 ? sum : 0)) / size;
      if (!(error <= worst)) worst = error;  // not a number counts as an error
      if (std::isnan(worst)) return worst;
    }
  return worst;
}

}  // namespace pnn

// The largest relative error of products in a precision (0 f32, 1 x3, 2 bf16) by the instruction set that serves: whole
// blocks and parts of them, every layout of operands that a layer has.
extern "C" double pnn_error_of_products(int precision) {
  const auto how = static_cast<pnn::Precision>(precision);
  double worst = 0;
  for (int layout = 0; layout < 3; ++layout)  // as for y, dx and d_weight
    for (const auto& [m, n, k] : {std::array<int64_t, 3>{33, 70, 65}, std::array<int64_t, 3>{5, 17, 2100}}) {
      const double error = pnn::error_of_product(how, m, n, k, layout == 2, layout == 0);
      if (!(error <= worst)) worst = error;
    }
  return worst;
}
