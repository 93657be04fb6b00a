// What the tiles of AMX are set up with, and the one way to hand it to the processor.
#pragma once

#include <cstdint>

namespace pnn {

// All 64 bytes that ldtilecfg reads: eight tiles of 16 rows of 64 bytes.
struct alignas(64) TileConfiguration {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t bytes_of_a_row[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
static_assert(sizeof(TileConfiguration) == 64, "ldtilecfg reads 64 bytes");

static constexpr TileConfiguration kTileConfiguration;

#if defined(__x86_64__)
// Not _tile_loadconfig: GCC 12 declares 8 of the 64 bytes as read, and drops the stores of the others.
static inline void load_tile_configuration(const TileConfiguration& tiles) {
  asm volatile("ldtilecfg %0" : : "m"(tiles) : "memory");
}
#endif

}  // namespace pnn
