"""What the compiler hands to ldtilecfg, seen on any x86-64: the instruction is replaced by a copy of what it reads."""

import platform
import re
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[2] / "pnn_gluon" / "ops" / "csrc"

HARNESS = """
#include <cstdio>
#include "tile_configuration.h"
extern "C" { unsigned char seen[64]; }
__attribute__((noinline)) static void constant() { pnn::load_tile_configuration(pnn::kTileConfiguration); }
__attribute__((noinline)) static void local() { pnn::TileConfiguration tiles; pnn::load_tile_configuration(tiles); }
int main() {
  constant();
  std::fwrite(seen, 1, 64, stdout);
  for (auto& byte : seen) byte = 0;
  local();
  std::fwrite(seen, 1, 64, stdout);
}
"""

COPY = "leaq {0}, %r11\n" + "\n".join(
    f"movups {at}(%r11), %xmm15\nmovups %xmm15, seen+{at}(%rip)" for at in range(0, 64, 16)
)

EXPECTED = bytes([1, 0]) + bytes(14) + struct.pack("<16H", *[64] * 8, *[0] * 8) + bytes([16] * 8 + [0] * 8)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="AMX is a part of x86-64")
@pytest.mark.parametrize("flags", ["-O0", "-O1", "-O2 -fwrapv", "-O3", "-O3 -fstack-protector-strong"])
@pytest.mark.parametrize("compiler", ["g++", "clang++"])
def test_all_64_bytes_reach_the_processor_whatever_the_flags(tmp_path, compiler, flags):
    if shutil.which(compiler) is None:
        pytest.skip(f"no {compiler} here")
    (tmp_path / "harness.cc").write_text(HARNESS)
    make = [compiler, "-std=gnu++17", "-fPIE", *flags.split(), f"-I{SOURCES}"]
    subprocess.run([*make, "-S", "harness.cc", "-o", "harness.s"], cwd=tmp_path, check=True)
    text, found = re.subn(
        r"ldtilecfg\s+(.*)", lambda match: COPY.format(match[1]), (tmp_path / "harness.s").read_text()
    )
    assert found in {1, 2}  # one where nothing is inlined
    (tmp_path / "copied.s").write_text(text)
    subprocess.run([compiler, "-pie", "copied.s", "-o", "harness"], cwd=tmp_path, check=True)
    seen = subprocess.run([tmp_path / "harness"], capture_output=True, check=True).stdout
    assert seen == 2 * EXPECTED
