// The parts that have a form for each instruction set.
#pragma once
#include <cstdint>

namespace pnn {

// Places of delimiters and newlines in some lines.
struct Marks {
  int32_t* place;    // of both
  int32_t* newline;  // which of them are newlines
  int64_t capacity;  // of `place`
  int64_t stopped;   // how far the bytes were looked at
  bool high, zero;   // whether there is a byte above 0x7F, or a 0
};

typedef uint32_t Words __attribute__((vector_size(64)));  // one of each of 16 messages

struct Kernels {
  const char* name;
  // The marks of at least so many lines, unless the bytes end or `place` is
  // full before; gives the newlines found, which are fewer than lines + 64.
  int64_t (*find_marks)(const uint8_t* bytes, int64_t size, uint8_t delimiter, int64_t lines, Marks* found);
  void (*md5_block)(const Words* words, Words* state);
};

// Those of an instruction set (avx512, avx2, baseline); null where the
// processor or the compiler has it not.
const Kernels* kernels_of(const char* name);

}  // namespace pnn
