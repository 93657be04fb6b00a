// The library's entry, MXNet's side of the interface, and the choice of the instruction set.
#include "common.h"

#include <../src/lib_api.cc>  // from the mxnet wheel; it has to be compiled into every library of operators

namespace pnn {

static Isa detect() {
#if defined(__x86_64__)
  const char* asked = std::getenv("PNN_GLUON_ISA");
  const std::string limit = asked == nullptr ? "" : asked;
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

}  // namespace pnn

extern "C" const char* pnn_isa() {
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
