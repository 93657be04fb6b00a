"""What a scorer of requests counts, in the text format of Prometheus."""

import bisect
import threading
from collections import Counter
from collections.abc import Iterator, Mapping

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the latency histogram."""

PREFIX = "pnn_gluon_serve_"


class ServiceMetrics:
    """Counts of one process since its start; threads may count at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: Counter[tuple[str, int]] = Counter()
        self._errors: Counter[str] = Counter()
        self._numbers = {"rows": 0, "swaps": 0, "swap_failures": 0}
        self._buckets, self._seconds = [0] * (len(SECONDS) + 1), 0.0

    def answered(self, path: str, status: int) -> None:
        """A request to a path was answered with this status."""
        with self._lock:
            self._requests[path, status] += 1

    def scored(self, rows: int, seconds: float) -> None:
        """So many rows of a request were answered in that time, from its first byte to its last."""
        with self._lock:
            self._numbers["rows"] += rows
            self._buckets[bisect.bisect_left(SECONDS, seconds)] += 1
            self._seconds += seconds

    def failed(self, kind: str) -> None:
        """A request had an error of this kind."""
        with self._lock:
            self._errors[kind] += 1

    def swapped(self, well: bool) -> None:
        """A new model took over, or could not."""
        with self._lock:
            self._numbers["swaps" if well else "swap_failures"] += 1

    def text(self, model: Mapping[str, str], since: float, in_flight: int) -> str:
        """All of it, with the model that serves, the Unix time it took over, and requests being answered."""
        with self._lock:
            lines = [*self._counts(), *self._histogram()]
        labels = ",".join(f'{name}="{_escaped(value)}"' for name, value in model.items())
        lines += [*_family("model_info", "gauge", "The model that serves."), f"{PREFIX}model_info{{{labels}}} 1"]
        lines += [*_family("model_since_seconds", "gauge", "Unix time at which it took over.")]
        lines += [f"{PREFIX}model_since_seconds {since:.3f}"]
        lines += [*_family("in_flight", "gauge", "Requests being answered."), f"{PREFIX}in_flight {in_flight}"]
        return "\n".join(lines) + "\n"

    def _counts(self) -> Iterator[str]:
        yield from _family("requests_total", "counter", "Requests by path and status.")
        for (path, status), count in sorted(self._requests.items()):
            yield f'{PREFIX}requests_total{{path="{path}",status="{status}"}} {count}'
        yield from _family("errors_total", "counter", "Requests that were refused or failed, by kind.")
        for kind, count in sorted(self._errors.items()):
            yield f'{PREFIX}errors_total{{kind="{kind}"}} {count}'
        helps = {"rows": "Rows scored.", "swaps": "New models in force.", "swap_failures": "New models not loaded."}
        for name, text in helps.items():
            yield from _family(f"{name}_total", "counter", text)
            yield f"{PREFIX}{name}_total {self._numbers[name]}"

    def _histogram(self) -> Iterator[str]:
        yield from _family("latency_seconds", "histogram", "Of a scored request, from its first byte to its last.")
        below = 0
        for bound, count in zip([*map(str, SECONDS), "+Inf"], self._buckets, strict=True):
            below += count
            yield f'{PREFIX}latency_seconds_bucket{{le="{bound}"}} {below}'
        yield f"{PREFIX}latency_seconds_sum {self._seconds:.6f}"
        yield f"{PREFIX}latency_seconds_count {below}"


def _family(name: str, kind: str, text: str) -> tuple[str, str]:
    return f"# HELP {PREFIX}{name} {text}", f"# TYPE {PREFIX}{name} {kind}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
