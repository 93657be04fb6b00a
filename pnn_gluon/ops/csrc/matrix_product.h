// C (m, n) = activation(A (m, k) B (k, n) + bias), for operators that are matrix products at heart.
#pragma once

#include "common.h"

namespace pnn {

// How numbers are multiplied; sums are float32 always.
//   f32   float32
//   x3    each number as the sum of two bfloat16, three of the four products: 16 bits of each number count
//   bf16  numbers rounded to bfloat16
enum class Precision : uint8_t { f32, x3, bf16 };

// Element (i, j) of a matrix is data[i * row_stride + j * column_stride]; one of the strides is 1.
struct Matrix {
  const float* data;
  int64_t row_stride, column_stride;
};

inline Matrix row_major(const float* data, int64_t columns) { return {data, columns, 1}; }
inline Matrix transposed(Matrix x) { return {x.data, x.column_stride, x.row_stride}; }

// A matrix whose rows are made when they are packed: `make` writes rows i ... i_end from column j to j_end, with
// `stride` numbers from one to the next. Of A it may be asked for a number more than once; of B it is asked for each
// row once, for all of its columns, and i is a multiple of kRowMultiple.
struct MadeRows {
  const void* of;
  void (*make)(const void* of, int64_t i, int64_t i_end, int64_t j, int64_t j_end, float* to, int64_t stride);
};

constexpr int64_t kRowMultiple = 16;

// What takes complete rows i ... i_end of the product in place of memory, each row once, from several threads.
struct TakenRows {
  void* into;
  void (*take)(void* into, const float* rows, int64_t stride, int64_t i, int64_t i_end);
};

// Where the product goes, row-major (m, n): bias (n) may be null.
struct Product {
  float* data;
  const float* bias;
  bool relu;
};

// What computes products in one precision on this processor. Words are numbers of A and B side by side along k, `step`
// of them each; A is packed `strip` rows at a time, B `panel` columns, in one plane or in two (see matrix_packing.inc).
struct Kernels {
  using Pack = void (*)(Matrix from, int64_t i, int64_t i_end, int64_t k, int64_t k_end, float* to, int64_t plane);

  int64_t strip, panel, step;
  int planes;
  Pack pack_a, pack_b;  // pack_b takes the transpose of B
  // The sums of a block, of which `columns` are asked for: strip x panel numbers at `to`, or added to those there.
  void (*multiply)(const float* a, int64_t a_plane, const float* b, int64_t b_plane, int64_t words, float* to,
                   int64_t stride, int64_t columns, bool add);
  // Rows of complete sums to where the product goes, with bias, which may be null, and ReLU.
  void (*finish)(const float* from, int64_t from_stride, float* to, int64_t to_stride, int64_t rows, int64_t columns,
                 const float* bias, bool relu);
  void (*enter)();  // what a thread calls before its first multiplication and after its last, or null
  void (*leave)();
};

// Equal bits for any number of threads. Where the processor has no instruction for a precision, x3 is computed in
// float32, which is more exact, and bf16 in float32 on rounded numbers.
void matrix_product(Precision precision, int64_t m, int64_t n, int64_t k, Matrix a, Matrix b, Product product);
void matrix_product(Precision precision, int64_t m, int64_t n, int64_t k, MadeRows a, Matrix b, Product product);
void matrix_product(Precision precision, int64_t m, int64_t n, int64_t k, Matrix a, MadeRows b, Product product);
void matrix_product(Precision precision, int64_t m, int64_t n, int64_t k, Matrix a, Matrix b, TakenRows rows);

}  // namespace pnn
