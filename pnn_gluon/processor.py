"""What the processor can do, as far as the speed and the last bits of sums depend on it."""

from pathlib import Path

_FEATURES = ("avx2", "avx512f", "avx512_bf16", "amx_tile", "amx_bf16", "asimd", "sve")


def processor_features(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The vector extensions among the flags of the first processor, in a fixed order; empty when unknown."""
    if not cpuinfo.is_file():
        return ""
    for line in cpuinfo.read_text().splitlines():
        key, _, flags = line.partition(":")
        if key.strip() in {"flags", "Features"}:
            return " ".join(feature for feature in _FEATURES if feature in flags.split())
    return ""
