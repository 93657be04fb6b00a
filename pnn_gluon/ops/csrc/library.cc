// The library's entry, MXNet's side of the interface, and the choice of the instruction set.
#include "common.h"

#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include <../src/lib_api.cc>  // from the mxnet wheel; it has to be compiled into every library of operators

namespace pnn {

static std::string asked_isa() {
  const char* asked = std::getenv("PNN_GLUON_ISA");
  return asked == nullptr ? "" : asked;
}

static Isa detect() {
#if defined(__x86_64__)
  const std::string limit = asked_isa();
  __builtin_cpu_init();
  if (limit == "baseline" || !__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return Isa::baseline;
  const bool wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                    __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
  return wide && limit != "avx2" ? Isa::avx512 : Isa::avx2;
#else
  return Isa::baseline;
#endif
}

Isa isa() {
  static const Isa found = detect();
  return found;
}

// Linux gives a process the tiles of AMX when it asks for them.
static bool tiles_permitted() {
#if PNN_MATRIX_UNITS && defined(__linux__)
  constexpr long kRequestPermission = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  return __builtin_cpu_supports("amx-tile") && __builtin_cpu_supports("amx-bf16") &&
         syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}

static MatrixUnit detect_unit() {
#if PNN_MATRIX_UNITS
  const std::string limit = asked_isa();
  if (limit == "emulated_tiles") return MatrixUnit::emulated_tiles;
  if (isa() != Isa::avx512 || limit == "avx512" || !__builtin_cpu_supports("avx512bf16")) return MatrixUnit::none;
  return limit != "avx512_bf16" && tiles_permitted() ? MatrixUnit::amx : MatrixUnit::avx512_bf16;
#else
  return MatrixUnit::none;
#endif
}

MatrixUnit matrix_unit() {
  static const MatrixUnit found = detect_unit();
  return found;
}

}  // namespace pnn

extern "C" const char* pnn_isa() {
  switch (pnn::matrix_unit()) {
    case pnn::MatrixUnit::amx:
      return "amx";
    case pnn::MatrixUnit::emulated_tiles:
      return "emulated_tiles";
    case pnn::MatrixUnit::avx512_bf16:
      return "avx512_bf16";
    case pnn::MatrixUnit::none:
      break;
  }
  switch (pnn::isa()) {
    case pnn::Isa::avx512:
      return "avx512";
    case pnn::Isa::avx2:
      return "avx2";
    case pnn::Isa::baseline:
      break;
  }
  return "baseline";
}

mxnet::ext::MXReturnValue initialize(int version) {
  if (version >= 10901) return pnn::MX_SUCCESS;
  return pnn::refuse("the operators of pnn_gluon need MXNet 1.9.1");
}
