"""What the processor can do, as far as the speed and the last bits of sums depend on it."""

import platform
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


def processor_name(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """What its maker calls the first processor, where the system tells it; else its architecture."""
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def processor_identity(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """What decides which instructions work: model, microcode and all flags of the first processor, and the kernel."""
    lines = [f"{platform.machine()} {platform.release()}"]
    if cpuinfo.is_file():
        first, _, _ = cpuinfo.read_text().partition("\n\n")
        wanted = ("vendor_id", "cpu family", "model", "stepping", "microcode", "flags", "CPU ", "Features")
        lines += [line for line in first.splitlines() if line.startswith(wanted)]
    return "\n".join(lines)
