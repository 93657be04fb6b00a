"""Training steps of a network of this package by operator, for `benchmarks.operators`; settings as for `our_step`."""

import json
import sys
import tempfile
import time

from benchmarks.our_step import numbered_step


def main() -> None:
    """Answer each line of input, a number of steps, with milliseconds of one: of each operator, and of all (`step`)."""
    step = numbered_step(json.loads(sys.argv[1]))
    from pnn_gluon.runtime import mx

    kinds = {"profile_symbolic": True, "profile_imperative": True, "aggregate_stats": True}
    with tempfile.TemporaryDirectory() as folder:  # MXNet removes the file of this name: never a device
        mx.profiler.set_config(**kinds, filename=f"{folder}/profile.json")
    for line in sys.stdin:
        count = int(line)
        mx.profiler.set_state("run")
        begin = time.perf_counter()
        for number in range(count):
            step(number)
        taken = 1e3 * (time.perf_counter() - begin)
        mx.profiler.set_state("stop")
        told = json.loads(mx.profiler.dumps(reset=True, format="json"))["Time"]["operator"]
        times = {name: figures["Total"] / count for name, figures in told.items()}
        print(json.dumps({"step": taken / count, **times}), flush=True)


if __name__ == "__main__":
    main()
