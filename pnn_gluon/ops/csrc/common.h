// What every operator here is made of: checks, attributes, fixed chunks of rows, scratch memory, instruction sets.
#pragma once

#include <mxnet/lib_api.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <unordered_map>
#include <vector>

namespace pnn {

using mxnet::ext::MX_FAIL;
using mxnet::ext::MX_SUCCESS;
using mxnet::ext::MXReturnValue;
using mxnet::ext::MXTensor;
using mxnet::ext::OpResource;

using Attributes = std::unordered_map<std::string, std::string>;
using Shape = std::vector<unsigned>;
using Shapes = std::vector<Shape>;
using Tensors = std::vector<MXTensor>;
using Types = std::vector<int>;

// ------------------------------------------------------------------------------------------ attributes and checks

inline std::string text(const Attributes& attributes, const char* key, const char* otherwise) {
  const auto found = attributes.find(key);
  return found == attributes.end() ? otherwise : found->second;
}
inline int64_t integer(const Attributes& attributes, const char* key, int64_t otherwise) {
  const auto found = attributes.find(key);
  return found == attributes.end() ? otherwise : std::strtoll(found->second.c_str(), nullptr, 10);
}
inline float number(const Attributes& attributes, const char* key, float otherwise) {
  const auto found = attributes.find(key);
  return found == attributes.end() ? otherwise : static_cast<float>(std::strtod(found->second.c_str(), nullptr));
}

// An error that MXNet raises with this message.
inline MXReturnValue refuse(const std::string& message) {
  MX_ERROR_MSG << message;
  return MX_FAIL;
}

template <int kInputs, int kOutputs>
MXReturnValue counts(const Attributes&, int* inputs, int* outputs) {
  *inputs = kInputs;
  *outputs = kOutputs;
  return MX_SUCCESS;
}

// Every tensor is float32; one of another type is refused.
inline MXReturnValue all_float32(const Attributes&, Types* inputs, Types* outputs) {
  for (int type : *inputs)
    if (type >= 0 && type != mxnet::ext::kFloat32 && type != mxnet::ext::kUNSET)
      return refuse("the operators of pnn_gluon take float32 only: use plain_operators() for other types");
  for (int& type : *inputs) type = mxnet::ext::kFloat32;
  for (int& type : *outputs) type = mxnet::ext::kFloat32;
  return MX_SUCCESS;
}

// Registers an operator on float32 tensors; write (counts<2, 1>) in parentheses.
#define PNN_OPERATOR(name, numbers, forward, backward, shapes) \
  REGISTER_OP(name)                                            \
      .setForward(forward, "cpu")                              \
      .setBackward(backward, "cpu")                            \
      .setParseAttrs(numbers)                                  \
      .setInferType(::pnn::all_float32)                        \
      .setInferShape(shapes)

// ------------------------------------------------------------------------------------------ chunks and memory

// Rows are cut into the same chunks whatever the number of threads, and partial sums of chunks are added in order:
// so results are equal bit by bit for any number of threads.
constexpr int64_t kChunks = 64;

inline int64_t chunk_begin(int64_t rows, int64_t chunk) { return rows * chunk / kChunks; }

// run(chunk, first row, row after the last) for each of the kChunks chunks, in parallel.
template <class Run>
void for_chunks(int64_t rows, Run&& run) {
#pragma omp parallel for schedule(static)
  for (int64_t chunk = 0; chunk < kChunks; ++chunk) {
    const int64_t begin = chunk_begin(rows, chunk), end = chunk_begin(rows, chunk + 1);
    if (begin < end) run(chunk, begin, end);
  }
}

// Memory aligned to 64 bytes that only grows. As `static thread_local` it serves all calls of a thread.
class Scratch {
 public:
  Scratch() = default;
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() { std::free(data_); }

  // `size` floats; what they hold is anybody's guess.
  float* get(int64_t size) {
    if (size > size_) {
      std::free(data_);
      data_ = static_cast<float*>(std::aligned_alloc(64, (static_cast<size_t>(size) * 4 + 63) / 64 * 64));
      if (data_ == nullptr) std::abort();
      size_ = size;
    }
    return data_;
  }
  float* zeros(int64_t size) { return static_cast<float*>(std::memset(get(size), 0, static_cast<size_t>(size) * 4)); }

 private:
  float* data_ = nullptr;
  int64_t size_ = 0;
};

// to[j] = sum of from[part][j] in the order of the parts, for those that `counts` says.
template <class Counts>
void add_parts(const float* from, int64_t stride, int64_t parts, Counts&& counts, float* to, int64_t size) {
  std::memset(to, 0, static_cast<size_t>(size) * 4);
  for (int64_t part = 0; part < parts; ++part, from += stride) {
    if (!counts(part)) continue;
    for (int64_t j = 0; j < size; ++j) to[j] += from[j];
  }
}

// The same of chunks, those with rows.
inline void add_chunks(const float* from, int64_t stride, int64_t rows, float* to, int64_t size) {
  const auto has_rows = [&](int64_t chunk) { return chunk_begin(rows, chunk) < chunk_begin(rows, chunk + 1); };
  add_parts(from, stride, kChunks, has_rows, to, size);
}

// ------------------------------------------------------------------------------------------ instruction sets

enum class Isa : uint8_t { baseline, avx2, avx512 };

// The widest instruction set of this processor; PNN_GLUON_ISA=baseline or avx2 asks for a narrower one.
Isa isa();

// What multiplies bfloat16 numbers; PNN_GLUON_ISA=avx512 or narrower leaves it alone, emulated_tiles is for tests.
enum class MatrixUnit : uint8_t { none, avx512_bf16, amx, emulated_tiles };

MatrixUnit matrix_unit();

// Compilers from GCC 11 and clang 12 on know them.
#if defined(__x86_64__) && ((defined(__clang__) && __clang_major__ >= 12) || (!defined(__clang__) && __GNUC__ >= 11))
#define PNN_MATRIX_UNITS 1
#else
#define PNN_MATRIX_UNITS 0
#endif

// What stands between PNN_TARGET_BEGIN("avx2,fma") and PNN_TARGET_END is compiled for these extensions; PNN_AVX512
// names those that processors with AVX-512 have.
#define PNN_PRAGMA(text) _Pragma(#text)
#if defined(__clang__)
#define PNN_TARGET_BEGIN(extensions) \
  PNN_PRAGMA(clang attribute push(__attribute__((target(extensions))), apply_to = function))
#define PNN_TARGET_END PNN_PRAGMA(clang attribute pop)
#define PNN_AVX512 "avx512f,avx512dq,avx512bw,avx512vl,avx2,fma"
#else
#define PNN_TARGET_BEGIN(extensions) PNN_PRAGMA(GCC push_options) PNN_PRAGMA(GCC target(extensions))
#define PNN_TARGET_END PNN_PRAGMA(GCC pop_options)
#define PNN_AVX512 "avx512f,avx512dq,avx512bw,avx512vl,avx2,fma,prefer-vector-width=512"
#endif

// PNN_SHUFFLE(a, b, a vector type of integers, places ...): the numbers at these places of a and b behind one another.
#if defined(__clang__)
#define PNN_SHUFFLE(a, b, Places, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define PNN_SHUFFLE(a, b, Places, ...) __builtin_shuffle(a, b, Places{__VA_ARGS__})
#endif

// The function of this name for this processor; its file of kernels came through each_isa.h.
#if defined(__x86_64__)
#define PNN_FOR_THIS_PROCESSOR(function)                  \
  (::pnn::isa() == ::pnn::Isa::avx512 ? &avx512::function \
   : ::pnn::isa() == ::pnn::Isa::avx2 ? &avx2::function   \
                                      : &baseline::function)
#else
#define PNN_FOR_THIS_PROCESSOR(function) (&baseline::function)
#endif

}  // namespace pnn
