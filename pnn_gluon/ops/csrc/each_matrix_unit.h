// Includes the file KERNELS once for each unit that multiplies bfloat16: namespaces pnn::avx512_bf16, pnn::amx and
// pnn::emulated_tiles. See each_isa.h; beside it, PAIRED is 1, TILES says whether there are tiles, and CONVERTED
// whether the processor converts numbers itself.
#include "common.h"
#include "matrix_product.h"
#include "tile_configuration.h"

#if PNN_MATRIX_UNITS
#include <immintrin.h>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpsabi"  // vectors pass between inlined functions only

#define LANES 16
#define PAIRED 1

PNN_TARGET_BEGIN(PNN_AVX512 ",avx512bf16")
#define TILES 0
#define CONVERTED 1
namespace pnn::avx512_bf16 {
#include "vector.inc"
#include KERNELS
}  // namespace pnn::avx512_bf16
#undef TILES
PNN_TARGET_END

#define TILES 1
PNN_TARGET_BEGIN(PNN_AVX512 ",avx512bf16,amx-tile,amx-bf16")
#define AMX 1
namespace pnn::amx {
#include "vector.inc"
#include KERNELS
}  // namespace pnn::amx
#undef AMX
#undef CONVERTED
PNN_TARGET_END

// The same kernels with tiles in memory, so that they can be tested on any processor.
#define AMX 0
#define CONVERTED 0
namespace pnn::emulated_tiles {
#include "vector.inc"
#include KERNELS
}  // namespace pnn::emulated_tiles
#undef AMX
#undef CONVERTED
#undef TILES

#undef LANES
#undef PAIRED
#pragma GCC diagnostic pop

#endif
