// Includes the file KERNELS once for each instruction set: namespaces pnn::baseline, pnn::avx2 and pnn::avx512.
//
//   #define KERNELS "layer_norm.inc"
//   #include "each_isa.h"
//
// A file of kernels includes nothing and calls nothing inline of the standard library but memcpy and memset: code of
// such a function, compiled for a wide instruction set, could be linked in place of the narrow one. It has
// `V`, a vector of LANES floats, and the functions of vector.inc.
#include "common.h"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpsabi"  // vectors pass between inlined functions only

#define LANES 4
namespace pnn::baseline {
#include "vector.inc"
#include KERNELS
}  // namespace pnn::baseline
#undef LANES

#if defined(__x86_64__)

PNN_TARGET_BEGIN("avx2,fma")
#define LANES 8
namespace pnn::avx2 {
#include "vector.inc"
#include KERNELS
}  // namespace pnn::avx2
#undef LANES
PNN_TARGET_END

PNN_TARGET_BEGIN(PNN_AVX512)
#define LANES 16
namespace pnn::avx512 {
#include "vector.inc"
#include KERNELS
}  // namespace pnn::avx512
#undef LANES
PNN_TARGET_END

#endif

#pragma GCC diagnostic pop
