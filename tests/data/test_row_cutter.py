"""Native code and SQL make the same rows and rejects of the same lines, byte for byte."""

import datetime
import functools
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from pnn_gluon.config import Config, EngineConfig
from pnn_gluon.data import cutter, cutter_library, log_files, row_cutter
from pnn_gluon.data.cutter import md5_texts
from pnn_gluon.data.cutter_library import INSTRUCTION_SETS
from pnn_gluon.data.ingest import IngestReport, ingest_logs, ingest_requests
from pnn_gluon.data.ingest_part import RawLines, Targets
from pnn_gluon.data.lines import MAX_LINE_BYTES, read_pieces
from pnn_gluon.warehouse.duckdb_engine import connect
from tests.data.pipelines import CSV, changed, pipeline

DAY = datetime.date(2026, 11, 1)
NATIVE = cutter_library.instruction_set()
pytestmark = pytest.mark.skipif(NATIVE is None, reason="the native cutter is not built here")

CRITEO = """
logs = "logs/{day}/*"
columns = ["label", "n", "m", "a", "b"]
max_reject_share = 1.0
"""
CRITEO_FIELDS = """
fields = [{ name = "n", kind = "numeric" }, { name = "a" }, { name = "m", kind = "numeric" }, { name = "b" },
    { name = "again", column = "n" }]
"""
SOURCES = {
    "criteo": (CRITEO, CRITEO_FIELDS),
    "graded": (
        changed(CRITEO, label='{ column = "label", at_least = 0.5 }', missing='["", "null", "-1"]'),
        CRITEO_FIELDS,
    ),
    "no missing": (changed(CRITEO, missing="[]", delimiter='" "'), CRITEO_FIELDS),
    "ids and times": (CSV, None),
    "quotes": (CSV + 'quote = "\\""', None),
    "archive": (changed(CSV, logs='"logs/*/*"', time_format='["epoch", "%Y-%m-%d %H:%M:%S"]'), None),
    "zone": (CSV + 'time_zone = "Europe/Berlin"', None),
    "two columns": (changed(CSV, time_column='["time", "site"]', time_format='"%Y-%m-%d %H:%M:%S v%d"'), None),
    "header": (CSV + "header = true", None),
}

NUMBERS = ["1.5", "1e3", "+5", ".5", "1.", "-0", "1e400", "nan", "inf", "-inf", "--1", "1_0", "0x1", "1e1234", "1e-400"]
NUMBERS += ["123456789012345678901", ".", "e5", "1e5.", "-", "+", "00012", "4.9e-324", "2.4e-324", " 7 ", "7 7", "٣"]
NUMBERS += ["-1.7976931348623157e308", "1.7976931348623159e308", "0.1234567890123456789", "9007199254740993", "1e"]
NUMBERS += ["999999999999999", "9999999999999999", "1e+", "1E-3", "+.5e+10"]
TEXTS = [
    "",
    " ",
    "  x ",
    "null",
    "-1",
    "ünïcode",
    "averylongvaluewithmorethaneightbytes",
    "x" * 300,
    "日本",
    "12345678",
    "123456789",
]
TEXTS += ["a\rb", "\r", "\u00a0", "😀", "a|b|a", '"quoted"', '"a', '"a,b"', "a\x01b", "0", "1", "2", "1.0", "01"]
TIMES = [
    "2026-11-01 00:00:00",
    "2026-11-01 23:59:59",
    "2026-11-02 00:00:00",
    "2026-11-01",
    "1793491200",
    "yesterday",
    "",
]
SPOILT = [
    b"\xff\xfe",
    b"a\0b",
    b"\xed\xa0\x80",
    b"\xc0\x80",
    b"\xf5\x80\x80\x80",
    b"\xe2\x82",
    b"\xf0\x80\x80\x80",
    b"\xf4\x90\x80\x80",
]


def cell(draw: random.Random) -> bytes:
    kind = draw.random()
    if kind < 0.3:
        return str(draw.choice([draw.randrange(-20, 20), draw.uniform(-1e6, 1e6), draw.randrange(10**20)])).encode()
    if kind < 0.45:
        return draw.choice(NUMBERS).encode()
    if kind < 0.9:
        return draw.choice(TEXTS).encode() if kind < 0.6 else b"v%d" % draw.randrange(50)
    if kind < 0.99:
        return draw.choice(TIMES).encode()
    return draw.choice(SPOILT)


def line(draw: random.Random, config: Config, number: int) -> bytes:
    """A line of the configured columns, most of them as they should be."""
    columns, delimiter = config.source.columns, config.source.delimiter.encode()
    cells = [b"v%d" % draw.randrange(9) for _ in columns]
    usual = {"label": b"%d" % draw.randrange(2), "click": b"%d" % draw.randrange(2), "id": b"id-%d" % number}
    usual |= {"time": b"2026-11-01 0%d:00:00" % draw.randrange(10)} | dict.fromkeys(("n", "m", "price"), b"%d" % number)
    cells = [usual.get(name, given) for name, given in zip(columns, cells, strict=True)]
    fate = draw.random()
    if fate < 0.5:
        cells[draw.randrange(len(cells))] = cell(draw)
    if fate < 0.05:
        cells += [cell(draw) for _ in range(draw.choice([1, 2, 200]))]
    elif fate < 0.1:
        cells = cells[: draw.randrange(len(cells))]
    elif fate < 0.12:
        cells = [draw.choice([b"", b" ", b"\r", b"x"])]
    return delimiter.join(cells) + draw.choice([b"\n", b"\n", b"\n", b"\r\n", b"\r\r\n", b" \n"])


def written(folder: Path, source: str, seed: int, lines: int) -> Config:
    draw, (text, fields) = random.Random(seed), SOURCES[source]
    config = pipeline(folder, text) if fields is None else pipeline(folder, text, fields)
    path = folder / f"logs/{DAY}/part.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    header = config.source.delimiter.join(config.source.columns).encode() + b"\n" if config.source.header else b""
    data = header + b"".join(line(draw, config, number) for number in range(lines))
    path.write_bytes(data.removesuffix(b"\n") if seed % 2 else data)
    return config


def ingested(config: Config, isa: str | None, monkeypatch: pytest.MonkeyPatch) -> tuple[bytes, bytes, IngestReport]:
    """The bytes of rows and rejects, and the report, by native code or by SQL."""
    folder = config.path.parent / (isa or "sql")
    folder.mkdir(exist_ok=True)
    targets = Targets(folder / "rows.parquet", folder / "rejects.parquet")
    raw = RawLines(config.source, config.fields, config.path.parent)
    with monkeypatch.context() as patched:
        patched.setattr(row_cutter, "instruction_set", lambda: isa)
        taken: list[bool] = []
        typed = row_cutter.RowCutter.typed
        patched.setattr(row_cutter.RowCutter, "typed", lambda *given: _noted(typed(*given), taken))
        report = ingest_logs(raw, EngineConfig(threads=1), DAY, targets)
    assert bool(taken) == (isa is not None)
    assert all(taken) or config.source.quote
    return targets.rows.read_bytes(), targets.rejects.read_bytes(), report


def _noted(cut: row_cutter.CutLines | None, taken: list[bool]) -> row_cutter.CutLines | None:
    taken.append(cut is not None)
    return cut


def assert_the_same(config: Config, isa: str, monkeypatch: pytest.MonkeyPatch) -> IngestReport:
    found, expected = (ingested(config, each, monkeypatch) for each in (isa, None))
    for name in ("rejects", "rows"):
        tables = [pq.read_table(config.path.parent / each / f"{name}.parquet") for each in (isa, "sql")]
        for column in tables[1].column_names:
            assert tables[0][column].to_pylist() == tables[1][column].to_pylist()
    assert found == expected
    return expected[2]


@pytest.mark.parametrize("source", SOURCES)
@settings(max_examples=2, phases=[Phase.generate])
@given(seed=st.integers(0, 2**32))
def test_lines_full_of_faults_are_cut_as_sql_cuts_them(
    tmp_path_factory: pytest.TempPathFactory, source: str, seed: int
) -> None:
    assert NATIVE is not None
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(log_files, "read_pieces", functools.partial(read_pieces, block_bytes=9_000))
        config = written(tmp_path_factory.mktemp("lines"), source, seed, 3000)
        report = assert_the_same(config, NATIVE, monkeypatch)
    assert report.rows > 100
    assert report.rejects > 100
    assert len(report.reasons) > 3


@pytest.mark.parametrize("isa", INSTRUCTION_SETS)
@pytest.mark.parametrize("source", ["criteo", "ids and times"])
def test_every_instruction_set_of_this_processor_cuts_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, isa: str, source: str
) -> None:
    if not cutter_library.load_library().pnn_cut_offers(isa.encode()):
        pytest.skip(f"the processor has no {isa}")
    assert assert_the_same(written(tmp_path, source, 7, 5000), isa, monkeypatch).rows > 500


def test_blocks_with_quotes_go_to_sql_and_the_others_do_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert NATIVE is not None
    config = written(tmp_path, "quotes", 3, 4000)
    path = tmp_path / f"logs/{DAY}/part.csv"
    plain = path.read_bytes().replace(b'"', b"'")
    path.write_bytes(plain.rstrip(b"\n") + b"\n" + b'id-q,1,2026-11-01 00:00:00,"a,b",1,x\n')
    taken = []
    typed = row_cutter.RowCutter.typed
    monkeypatch.setattr(row_cutter.RowCutter, "typed", lambda *given: taken.append(typed(*given)) or taken[-1])
    monkeypatch.setattr(log_files, "read_pieces", functools.partial(read_pieces, block_bytes=12_000))
    assert_the_same(config, NATIVE, monkeypatch)
    assert [each is None for each in taken] == [False] * (len(taken) - 1) + [True]
    assert len(taken) > 2
    assert "a,b" in pq.read_table(tmp_path / NATIVE / "rows.parquet")["site"].to_pylist()


def test_lines_longer_than_the_limit_are_set_aside_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert NATIVE is not None
    config = written(tmp_path, "criteo", 1, 100)
    path = tmp_path / f"logs/{DAY}/part.csv"
    long = b"1\t2\t3\ta\t" + b"b" * (MAX_LINE_BYTES - 8)
    spoilt = [b"c" + long, long[:-1] + b"\xff", long[:-1] + b"\0", long + b"b\0"]
    path.write_bytes(b"\n".join([b"0\t1\t2\ta\tb", long, long + b"\r", *spoilt]))
    report = assert_the_same(config, NATIVE, monkeypatch)
    assert report.rows == 3
    assert report.reasons == {"longer than 4 MiB": 2, "holds a NUL byte": 1, "not valid UTF-8": 1}


def test_requests_without_a_label_are_cut_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = pipeline(tmp_path)
    path = tmp_path / f"requests/{DAY}/part.csv"
    path.parent.mkdir(parents=True)
    path.write_text("".join(f"id-{n},2026-11-01 00:00:00,s{n % 3},{n},a|b\n" for n in range(300)) + "bad\n")
    found = []
    for isa in (NATIVE, None):
        monkeypatch.setattr(row_cutter, "instruction_set", lambda isa=isa: isa)
        targets = Targets(tmp_path / "rows.parquet", tmp_path / "rejects.parquet")
        report = ingest_requests(RawLines(config.source, config.fields, tmp_path), EngineConfig(), DAY, targets)
        found.append((targets.rows.read_bytes(), targets.rejects.read_bytes(), report))
    assert found[0] == found[1]
    assert found[0][2].rows == 300


def test_ids_are_the_md5_of_prefix_and_text() -> None:
    texts = ["", "a", "é" * 20, *("x" * n for n in range(40, 140)), "long " * 1000, *map(str, range(50))]
    assert NATIVE is not None
    for isa in INSTRUCTION_SETS:
        if cutter_library.load_library().pnn_cut_offers(isa.encode()):
            for chosen in (pa.array(texts), pa.array(texts).slice(5), pa.array([""]), pa.array([], pa.string())):
                found = md5_texts(isa, "criteo|é", chosen).to_pylist()
                assert found == [_md5("criteo|é" + text) for text in chosen.to_pylist()]


def _md5(text: str) -> str:
    import hashlib

    return hashlib.md5(text.encode()).hexdigest()


@settings(max_examples=12, phases=[Phase.generate])
@given(seed=st.integers(0, 2**32))
def test_numbers_are_those_of_sql_to_the_bit(seed: int) -> None:
    assert NATIVE is not None
    draw = random.Random(seed)
    texts = [*NUMBERS, *(_written_number(draw) for _ in range(20_000))]
    kept = [text for text in texts if "\n" not in text and "\t" not in text]
    cut = cutter.Cutter(NATIVE, 2, b"\t", [cutter.Cells(0, "number", False)], []).cut(
        b"".join(text.encode() + b"\tx\n" for text in kept), 0
    )
    with connect(EngineConfig()) as connection:
        connection.register("texts", pa.table({"s": [text.strip(" ") for text in kept]}))
        expected = connection.sql("select try_number(s) as n from texts").to_arrow_table()["n"].combine_chunks()
    assert (cut.bad_number >= 0).tolist() == expected.is_null().to_pylist()
    found = cut.columns[0].filter(expected.is_valid()).to_numpy()
    assert found.tobytes() == expected.drop_null().to_numpy().tobytes()


def _written_number(draw: random.Random) -> str:
    kind = draw.randrange(6)
    if kind == 0:
        return repr(draw.uniform(-1, 1) * 10.0 ** draw.randrange(-320, 309))
    if kind == 1:
        return f"{draw.randrange(10**25)}.{draw.randrange(10**25)}e{draw.randrange(-340, 320)}"
    if kind == 2:
        return "".join(draw.choices("0123456789+-.eE_ xX", k=draw.randrange(8)))
    if kind == 3:
        return f"{draw.choice(['', '+', '-'])}{draw.randrange(10 ** draw.randrange(1, 20))}"
    if kind == 4:
        return f"{draw.randrange(1000)}.{'0' * draw.randrange(30)}{draw.randrange(1000)}"
    return f"0.{'0' * draw.randrange(310)}{draw.randrange(10**18)}"


def test_a_cutter_that_gives_something_else_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    digests = {name: "wrong" if name == NATIVE and name != "baseline" else "right" for name in INSTRUCTION_SETS}
    monkeypatch.setattr(cutter_library, "_digest", digests.__getitem__)
    assert cutter_library.instruction_set.__wrapped__() == next(
        name
        for name in INSTRUCTION_SETS
        if digests[name] == "right" and cutter_library.load_library().pnn_cut_offers(name.encode())
    )
    monkeypatch.setattr(cutter_library, "_digest", lambda name: pytest.fail("tried again"))
    cutter_library.instruction_set.__wrapped__()


@pytest.mark.parametrize("limit", ["baseline", "avx2"])
def test_no_wider_instruction_set_serves_than_is_asked_for(monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    monkeypatch.setenv(cutter_library.LIMIT, limit)
    assert cutter_library.instruction_set.__wrapped__() in INSTRUCTION_SETS[INSTRUCTION_SETS.index(limit) :]


def test_without_the_library_or_by_choice_sql_serves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(cutter_library.SWITCH, "plain")
    assert cutter_library.instruction_set.__wrapped__() is None
    monkeypatch.setenv(cutter_library.SWITCH, "")
    monkeypatch.setattr(cutter_library, "LIBRARY", tmp_path / "_cutter.so")
    assert cutter_library.instruction_set.__wrapped__() is None
    (tmp_path / "_cutter.so").write_bytes(b"no library")
    cutter_library.load_library.cache_clear()
    assert cutter_library.instruction_set.__wrapped__() is None
    cutter_library.load_library.cache_clear()
