"""The tests of operators under every instruction set of this processor, and under AMX's tiles in memory with x3."""

import os
import subprocess
import sys

import pytest

from pnn_gluon.ops import LIBRARY
from pnn_gluon.ops.trials import EMULATED, INSTRUCTION_SETS, LIMIT, outcomes, use_widest

SUBSET = (
    "tests/ops/test_dense.py",
    "tests/ops/test_field_attention_operator.py",
    "tests/ops/test_kernel_products_operator.py",
    "tests/ops/test_layer_norm.py",
    "tests/ops/test_pair_network_operator.py",
    "tests/ops/test_pair_network_precision.py",
    "tests/ops/test_inner_products.py",
    "tests/blocks/test_field_attention.py",
    "tests/blocks/test_mlp.py",
)
MODELS = ("tests/models/test_product_models.py", "tests/models/test_autoint.py", "tests/models/test_dcn.py")
"""Run with AMX's tiles only, real or in memory: elsewhere the tests of models run as they are."""


@pytest.mark.long
@pytest.mark.parametrize("isa", [EMULATED, *INSTRUCTION_SETS])
def test_operators_and_blocks_hold_under_the_instruction_set(isa):
    run(isa, SUBSET, MODELS)


@pytest.mark.parametrize("isa", [EMULATED, "baseline"])
def test_matrix_products_hold_under_the_instruction_set(isa):
    run(isa, SUBSET[:1])


def run(isa, files, tiled=()):
    """Run test files under an instruction set, and some more where numbers are split in two."""
    if isa != EMULATED and isa not in outcomes(LIBRARY):
        pytest.skip(f"this processor has no {isa}, or PNN_GLUON_ISA forbids it")
    if isa == use_widest(LIBRARY):
        pytest.skip(f"{isa} serves here: all tests run under it")
    precision = "x3" if isa in {EMULATED, "amx", "avx512_bf16"} else "auto"
    variables = {LIMIT: isa, "PNN_GLUON_PRECISION": precision, "PYTHONPATH": os.getcwd(), "OMP_NUM_THREADS": "2"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files]
    command += tiled if precision == "x3" else ()
    done = subprocess.run(
        command, env={**os.environ, **variables}, capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:]
