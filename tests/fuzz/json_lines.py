"""Lines of JSON: what becomes of them, against the json module of Python."""

import json
import random
import re
from pathlib import Path
from typing import Any

from tests.data.pipelines import pipeline
from tests.fuzz.lines import DAY, PACKINGS, packing
from tests.fuzz.reading import Read, read_day
from tests.fuzz.target import Case, drawn_edit, edited

SOURCE = """
kind = "json"
logs = "logs/{day}/*"
label = { column = "click" }
max_reject_share = 1.0
"""
FIELDS = """
fields = [
    { name = "site", column = "app.site" },
    { name = "price", kind = "numeric" },
    { name = "tags", kind = "multi", separator = "|" },
]
"""
TEXTS = ["", " ", "a", " a ", "é", "😀", "a\nb", '"', "\\", "\0", "\u2028", "1", "null", "{", "[", "a|b", "x" * 5000]
WRITTEN = [
    *("NaN", "Infinity", "-Infinity", "1e400", "-0", "-0.0", "1E5", "01", "+1", ".5", "1.", "0x1", "true", "TRUE"),
    *(r'"\ud83d"', r'"\ud83d\ude00"', r'"\u0000"', r'"\x41"', '"\t"', "'a'", "[1,]", "{}", "[]", "[[]]", "9" * 400),
    *("[" * 3000 + "]" * 3000, '{"a":' * 3000 + "1" + "}" * 3000, "[" * 100_000, '"', "", "nul"),
    *("12345678901234567890", '{"site": 1, "site": 2}', '{"site": {"site": 1}}', '[{"site": 1}]', "/* a */ 1", "1 2"),
    *('"a" "b"', "\ufeff1"),
]
TRAILING = re.compile(rb",\s*([]}])")
"""A comma after the last value, which the engine passes over and Python does not."""


class JsonLines:
    """See `Target`: parts are lines."""

    def draw(self, drawn: random.Random) -> Case:
        """Lines of which most are good."""
        lines = [_line(drawn) for _ in range(drawn.choice([1, 5, 40]))]
        return Case(tuple(lines), packing(drawn))

    def check(self, case: Case, folder: Path) -> None:
        """Every line is a row or a reject, and a row is what Python reads."""
        text, options = b"".join(case.parts), case.options
        config = pipeline(folder, SOURCE, FIELDS)
        path = folder / f"logs/{DAY}/part{options['suffix']}"
        path.parent.mkdir(parents=True)
        path.write_bytes(edited(PACKINGS[options["packing"]](text), options["damage"]))
        read = read_day(config, DAY)
        if isinstance(read, str):
            assert str(path) in read, f"names no file: {read}"
            return
        assert len(set(read.numbers)) == len(read.numbers) == read.lines
        if not options["damage"]:
            _as_python_reads(read, text)


def _line(drawn: random.Random) -> bytes:
    values: dict[str, Any] = {"click": drawn.choice([0, 1, 1, "1", "0"]), "app": {"site": drawn.choice(TEXTS)}}
    values |= {"price": drawn.choice([1, 2.5, "3", None, -1e300]), "tags": drawn.choice([["a", "b"], "a|b", None, []])}
    text = json.dumps(values, ensure_ascii=drawn.random() < 0.5)
    fate = drawn.random()
    if fate < 0.4:
        name = drawn.choice(["click", "app", "price", "tags"])
        text = json.dumps({**values, name: "HERE"}).replace('"HERE"', drawn.choice(WRITTEN))
    elif fate < 0.5:
        text = json.dumps({**values, "app": {"site": "HERE"}}).replace('"HERE"', drawn.choice(WRITTEN))
    elif fate < 0.6:
        text = drawn.choice(WRITTEN)
    line = text.encode() + drawn.choice([b"\n", b"\n", b"\r\n", b" \n"])
    return edited(line, [drawn_edit(drawn, 100)]) if drawn.random() < 0.1 else line


def _as_python_reads(read: Read, text: bytes) -> None:
    lines = text.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    assert read.lines == len(lines) - (not lines[-1])
    for row in read.rows:
        number = row["line"]
        try:
            told = json.loads(TRAILING.sub(rb"\1", lines[number - 1]).decode())
        except RecursionError:
            continue
        except ValueError as error:
            raise AssertionError(f"line {number} is a row, and no JSON") from error
        assert isinstance(told, dict), f"line {number} is a row, and no object"
        assert row["label"] in {0, 1}
        site = told.get("app", {}).get("site") if isinstance(told.get("app", {}), dict) else None
        if site is None or isinstance(site, str):
            assert row["site"] == ((site or "").strip(" ") or None), f"line {number}: site {row['site']!r}"
        price = told.get("price")
        if price is None or (isinstance(price, int | float) and not isinstance(price, bool)):
            assert row["price"] == (price if price is None else float(price)), f"line {number}: price {row['price']!r}"
