"""The gate's decision rule by rule: its number, its interval, its limit, passed or not, in words.

Read from the numbers that the gate kept, so that decisions of earlier releases are told the same way.
"""

from collections.abc import Iterator, Mapping
from typing import Any

ALL_ROWS = "all rows"


def decision_rules(measures: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rules that were looked at, those against the champion last and the worst slice first among slices.

    Keys: rule, where, value, low, high, limit, passed (None where it was not judged, with the reason in words), words.

    Args:
        measures: `GateDecision.measures`; empty where nothing was judged.
    """
    return [*_absolute(measures), *_against_champion(measures), *_move(measures)]


def _absolute(measures: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    candidate = measures.get("candidate")
    if "rows" not in measures:
        return
    words = "scores are finite, probabilities within [0, 1]" if candidate else "scores that cannot be measured"
    yield _rule("finite scores", ALL_ROWS, bool(candidate), words)
    if not candidate:
        return
    if found := measures.get("auc"):
        passed = found["high"] >= found["limit"]
        yield _rule("auc", ALL_ROWS, passed, f"{_number(found)}, at least {found['limit']:g}", found)
    elif candidate.get("served_auc") is not None:
        yield _rule("auc", ALL_ROWS, True, f"{candidate['served_auc']:.4g}, above its limit or too few clicks to judge")
    if found := measures.get("pcoc"):
        least, most = found["limit"]
        passed = found["low"] <= most and (found["high"] is None or found["high"] >= least)
        yield _rule("pcoc", ALL_ROWS, passed, f"{_number(found)}, within {least:g} to {most:g}", found)


def _against_champion(measures: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    regression, metric = measures.get("regression"), str(measures.get("metric", "")).replace("_", " ")
    if regression is None:
        baseline = measures.get("baseline", "none")
        if "rows" in measures and baseline != "champion":
            yield _rule("against the champion", ALL_ROWS, None, f"not judged: champion {baseline}")
        return
    if "skipped" in regression:
        yield _rule("against the champion", ALL_ROWS, None, f"not judged: {regression['skipped']}")
        return
    yield _regression(metric, ALL_ROWS, regression)
    slices = sorted(measures.get("slices", {}).items(), key=lambda item: -item[1]["low"])
    yield from (_regression(metric, f"slice {name}", found) for name, found in slices)
    for name, why in measures.get("slices_skipped", {}).items():
        yield _rule("against the champion", f"slice {name}", None, f"not judged: {why}")


def _regression(metric: str, where: str, found: Mapping[str, Any]) -> dict[str, Any]:
    value = {"value": found["difference"], **found}
    words = f"{metric} worse by {_number(value)}, at most {found['limit']:g}"
    return _rule("against the champion", where, found["low"] <= found["limit"], words, value)


def _move(measures: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    if found := measures.get("move"):
        words = f"scores move by {found['mean']:.1%} in the mean, by {found['p99']:.1%} at the 99th percentile"
        yield _rule("distance from the champion", ALL_ROWS, None, words, {"value": found["mean"]})


def _number(found: Mapping[str, Any]) -> str:
    """A value and its interval; every part may be undefined."""
    value, low, high = ("any" if found.get(key) is None else f"{found[key]:.4g}" for key in ("value", "low", "high"))
    return f"{value} ({low} to {high})"


def _rule(
    rule: str, where: str, passed: bool | None, words: str, found: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    known = found or {}
    numbers = {key: known.get(key) for key in ("value", "low", "high", "limit")}
    return {"rule": rule, "where": where, **numbers, "passed": passed, "words": words}
