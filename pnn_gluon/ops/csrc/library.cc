// The library's entry, MXNet's side of the interface, and the choice of the instruction set.
#include "common.h"

#include <algorithm>

#if PNN_MATRIX_UNITS
#include <cpuid.h>
#endif

#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

// From the mxnet wheel; it has to be compiled into every library of operators.
#include <../src/lib_api.cc>  // NOLINT(bugprone-suspicious-include)

namespace pnn {

// Linux gives a process the tiles of AMX when it asks for them.
static bool tiles_permitted() {
#if PNN_MATRIX_UNITS && defined(__linux__)
  constexpr long kRequestPermission = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  constexpr unsigned kBf16 = 1u << 22, kTile = 1u << 24;       // CPUID 7, EDX; not all compilers know the names
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0 && (edx & kBf16) != 0 && (edx & kTile) != 0 &&
         syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}

// An instruction set by name: what computes float32, what multiplies bfloat16, and whether this processor has both.
struct Choice {
  const char* name;
  Isa isa;
  MatrixUnit unit;
  bool (*offered)();
};

static bool has_avx2() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
  return false;
#endif
}
static bool has_avx512() {
#if defined(__x86_64__)
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
#else
  return false;
#endif
}
static bool has_avx512_bf16() { return PNN_MATRIX_UNITS && has_avx512() && __builtin_cpu_supports("avx512bf16"); }
static bool has_amx() { return has_avx512_bf16() && tiles_permitted(); }
static bool has_emulation() { return PNN_MATRIX_UNITS; }
static bool always() { return true; }

// From the widest to the narrowest; the one for tests is never taken unless asked for.
static const Choice kChoices[] = {
    {"emulated_tiles", Isa::avx512, MatrixUnit::emulated_tiles, has_emulation},
    {"amx", Isa::avx512, MatrixUnit::amx, has_amx},
    {"avx512_bf16", Isa::avx512, MatrixUnit::avx512_bf16, has_avx512_bf16},
    {"avx512", Isa::avx512, MatrixUnit::none, has_avx512},
    {"avx2", Isa::avx2, MatrixUnit::none, has_avx2},
    {"baseline", Isa::baseline, MatrixUnit::none, always},
};

static const Choice* named(const char* name) {
  for (const Choice& choice : kChoices)
    if (name != nullptr && std::strcmp(name, choice.name) == 0) return &choice;
  return nullptr;
}

static bool offers(const Choice& choice) {
#if defined(__x86_64__)
  __builtin_cpu_init();
#endif
  return choice.offered();
}

// The widest that the processor offers, but none wider than PNN_GLUON_ISA asks for.
static const Choice* detect() {
  const Choice* asked = named(std::getenv("PNN_GLUON_ISA"));
  const Choice* choice = asked == nullptr ? &kChoices[1] : asked;
  while (!offers(*choice)) ++choice;  // the last is always there
  return choice;
}

static const Choice*& chosen() {
  static const Choice* choice = detect();
  return choice;
}

// Beside emulated tiles float32 is computed as on a processor with AMX, or as well as this one can.
Isa isa() {
  static const Isa widest = has_avx512() ? Isa::avx512 : has_avx2() ? Isa::avx2 : Isa::baseline;
  return std::min(chosen()->isa, widest);
}
MatrixUnit matrix_unit() { return chosen()->unit; }

}  // namespace pnn

// The name of the instruction set that serves.
extern "C" const char* pnn_isa() { return pnn::chosen()->name; }

// Whether the processor offers the instruction set of this name, which is not yet to say that it works.
extern "C" int pnn_offers(const char* name) {
  const pnn::Choice* choice = pnn::named(name);
  return choice != nullptr && pnn::offers(*choice);
}

// Takes the instruction set of this name, before any operator runs; 0 if the processor does not offer it.
extern "C" int pnn_use(const char* name) {
  if (!pnn_offers(name)) return 0;
  pnn::chosen() = pnn::named(name);
  return 1;
}

mxnet::ext::MXReturnValue initialize(int version) {
  if (version >= 10901) return pnn::MX_SUCCESS;
  return pnn::refuse("the operators of pnn_gluon need MXNet 1.9.1");
}
