#include "kernels.h"

#include <cstring>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpsabi"  // vectors pass between inlined functions only

namespace pnn {

static const uint32_t kSines[64] = {
    0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501,
    0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821,
    0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
    0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a,
    0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
    0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
    0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
    0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391};
static const int kShifts[64] = {7,  12, 17, 22, 7,  12, 17, 22, 7,  12, 17, 22, 7,  12, 17, 22, 5,  9,  14, 20, 5,  9,
                                14, 20, 5,  9,  14, 20, 5,  9,  14, 20, 4,  11, 16, 23, 4,  11, 16, 23, 4,  11, 16, 23,
                                4,  11, 16, 23, 6,  10, 15, 21, 6,  10, 15, 21, 6,  10, 15, 21, 6,  10, 15, 21};

#if defined(__x86_64__)
#define PNN_BYTES 16
#else
#define PNN_BYTES 1
#endif
namespace baseline {
#include "marks.inc"
static const Kernels kernels = {"baseline", find_marks, md5_block};
}  // namespace baseline
#undef PNN_BYTES

#if defined(__x86_64__) && !defined(__clang__)
#pragma GCC push_options
#pragma GCC target("avx2,bmi,bmi2,popcnt")
#define PNN_BYTES 32
namespace avx2 {
#include "marks.inc"
static const Kernels kernels = {"avx2", find_marks, md5_block};
}  // namespace avx2
#undef PNN_BYTES
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,bmi,bmi2,popcnt")
#define PNN_BYTES 64
namespace avx512 {
#include "marks.inc"
static const Kernels kernels = {"avx512", find_marks, md5_block};
}  // namespace avx512
#undef PNN_BYTES
#pragma GCC pop_options
#endif

const Kernels* kernels_of(const char* name) {
#if defined(__x86_64__) && !defined(__clang__)
  if (std::strcmp(name, "avx512") == 0) {
    const bool offered = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
    return offered ? &avx512::kernels : nullptr;
  }
  if (std::strcmp(name, "avx2") == 0) {
    const bool offered = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2") &&
                         __builtin_cpu_supports("bmi") && __builtin_cpu_supports("popcnt");
    return offered ? &avx2::kernels : nullptr;
  }
#endif
  return std::strcmp(name, "baseline") == 0 ? &baseline::kernels : nullptr;
}

}  // namespace pnn

#pragma GCC diagnostic pop
