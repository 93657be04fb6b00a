"""Batches scored by a bundle of this package: a worker of `benchmarks.scoring`."""

import json
import sys
from pathlib import Path

import numpy as np

from benchmarks.interleaved import answer
from benchmarks.scored_bundle import IDS


def main() -> None:
    """Score encoded batches through the bundle, as every job does after encoding."""
    from pnn_gluon.portable.engines import engine_named
    from pnn_gluon.serving.bundle import Bundle

    settings = json.loads(sys.argv[1])
    folder = Path(settings["folder"])
    bundle, batches = Bundle.load(folder / "bundle", engine_named(settings["engine"])), np.load(folder / IDS)
    logits = bundle.logits(batches[0])
    print(json.dumps({"logits": logits[:1000].tolist()}), flush=True)
    answer(lambda step: bundle.logits(batches[step % len(batches)]))


if __name__ == "__main__":
    main()
