"""The gate's decision rule by rule: its number, its interval, its limit, passed or not, in words.

Read from the numbers that the gate kept, so that decisions of earlier releases are told the same way.
"""

from collections.abc import Iterator, Mapping
from typing import Any

ALL_ROWS = "all rows"
OUTCOMES = {True: "passed", False: "failed", None: "not judged"}
DISTANCE = "distance from the champion"
"""The rule that refuses nothing: a person is asked about it, or it is only told."""


def decision_rules(measures: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rules that were looked at, those against the champion last and the worst slice first among slices.

    Keys: rule, where, value, low, high, limit, passed (None where it refuses nothing), outcome (passed, failed, not
    judged, or told), words.

    Args:
        measures: `GateDecision.measures`; empty where nothing was judged.
    """
    return [*_absolute(measures), *_against_champion(measures), *_move(measures)]


def decision_lines(measures: Mapping[str, Any]) -> list[str]:
    """The same as text, a line for each rule."""
    return [f"{each['rule']}, {each['where']}: {each['outcome']}: {each['words']}" for each in decision_rules(measures)]


def _absolute(measures: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    candidate = measures.get("candidate")
    if "rows" not in measures:
        return
    words = "scores are finite, probabilities within [0, 1]" if candidate else "scores that cannot be measured"
    yield _rule("finite scores", ALL_ROWS, bool(candidate), words)
    if not candidate:
        return
    yield from _rows(measures)
    if found := measures.get("auc"):
        passed = found["high"] >= found["limit"]
        yield _rule("auc", ALL_ROWS, passed, f"{_number(found)}, at least {found['limit']:g}", found)
    elif candidate.get("served_auc") is not None:
        yield _rule("auc", ALL_ROWS, True, f"{candidate['served_auc']:.4g}, above its limit or too few clicks to judge")
    if found := measures.get("pcoc"):
        least, most = found["limit"]
        passed = found["low"] <= most and (found["high"] is None or found["high"] >= least)
        yield _rule("pcoc", ALL_ROWS, passed, f"{_number(found)}, within {least:g} to {most:g}", found)


def _rows(measures: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """How many rows there are, and how much of them the candidate knows; decisions of earlier releases told neither."""
    if least := measures.get("min_rows"):
        rows = measures["rows"]
        words = f"{rows:,} {measures.get('counted', 'rows')}, at least {least:,}"
        yield _rule("rows", ALL_ROWS, rows >= least, words, {"value": rows, "limit": least})
    if found := measures.get("rows_share"):
        words = f"{found['value']:.1%} of the {found['usual']:,.0f} of the days before, at least {found['limit']:.1%}"
        yield _rule("rows against the days before", ALL_ROWS, found["value"] >= found["limit"], words, found)
    if found := measures.get("new_share"):
        words = f"{found['value']:.1%} of the values have no id in the candidate's map, at most {found['limit']:.1%}"
        yield _rule("new values", ALL_ROWS, found["value"] <= found["limit"], words, found)


def _against_champion(measures: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    regression, metric = measures.get("regression"), str(measures.get("metric", "")).replace("_", " ")
    if regression is None:
        baseline = measures.get("baseline", "none")
        if "rows" in measures and baseline != "champion":
            yield _rule("against the champion", ALL_ROWS, None, f"champion {baseline}")
        return
    if "skipped" in regression:
        yield _rule("against the champion", ALL_ROWS, None, str(regression["skipped"]))
        return
    yield _regression(metric, ALL_ROWS, regression)
    slices = sorted(measures.get("slices", {}).items(), key=lambda item: -item[1]["low"])
    yield from (_regression(metric, f"slice {name}", found) for name, found in slices)
    for name, why in measures.get("slices_skipped", {}).items():
        yield _rule("against the champion", f"slice {name}", None, str(why))


def _regression(metric: str, where: str, found: Mapping[str, Any]) -> dict[str, Any]:
    value = {"value": found["difference"], **found}
    words = f"{metric} worse by {_number(value)}, at most {found['limit']:g}"
    return _rule("against the champion", where, found["low"] <= found["limit"], words, value)


def _move(measures: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    if found := measures.get("move"):
        words = [f"{found['mean']:.1%} in the mean, {found['p99']:.1%} at the 99th percentile"]
        if "overlap" in found:  # earlier releases told neither
            ranks = "undefined" if found["rank_correlation"] is None else f"{found['rank_correlation']:.3f}"
            words += [f"rank correlation {ranks}", f"{found['overlap']:.1%} of the top tenth stay there"]
        yield _rule(DISTANCE, ALL_ROWS, None, ", ".join(words), {"value": found["mean"]})


def _number(found: Mapping[str, Any]) -> str:
    """A value and its interval; every part may be undefined."""
    value, low, high = ("any" if found.get(key) is None else f"{found[key]:.4g}" for key in ("value", "low", "high"))
    return f"{value} ({low} to {high})"


def _rule(
    rule: str, where: str, passed: bool | None, words: str, found: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    known = found or {}
    numbers = {key: known.get(key) for key in ("value", "low", "high", "limit")}
    outcome = OUTCOMES[passed] if passed is not None or rule != DISTANCE else "told"
    return {"rule": rule, "where": where, **numbers, "passed": passed, "outcome": outcome, "words": words}
