import datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError
from weighted import Row, weighted_lines

from pnn_gluon.config import EngineConfig, SourceConfig
from pnn_gluon.data.ingest import IngestReport, Targets, ingest_logs, ingest_requests, no_logs

DAY = datetime.date(2026, 11, 2)
TIME = "2026-11-02 13:00:00"


def ingest(folder: Path, lines: list[str], **options: str) -> tuple[IngestReport, list[Row], list[Row]]:
    """The report, rows and rejects of lines of id, impressions, clicks and site; all lines are accounted for."""
    path = folder / "logs/2026-11-02/a.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        "".join(",".join((*line.split(",")[:3], TIME, line.split(",")[3], "1", "a")) + "\n" for line in lines)
    )
    targets = Targets(folder / "rows.parquet", folder / "rejects.parquet")
    report = ingest_logs(weighted_lines(folder, **options), EngineConfig(threads=2), DAY, targets)
    rows, rejects = (pq.read_table(each).to_pylist() for each in (targets.rows, targets.rejects))
    assert report.halves is not None
    assert report.lines + report.halves == report.rows + report.joined + report.rejects + report.other_days
    assert (len(rows), len(rejects), report.impressions) == (
        report.rows,
        report.rejects,
        sum(r["weight"] for r in rows),
    )
    assert report.positives == sum(row["weight"] * row["label"] for row in rows)
    return report, rows, rejects


def seen(rows: list[Row]) -> list[tuple[int, str, int, int]]:
    return [(row["line"], row["site"], row["label"], row["weight"]) for row in rows]


def test_a_line_of_counts_becomes_a_row_of_its_clicks_and_one_of_its_other_impressions(tmp_path: Path) -> None:
    report, rows, _ = ingest(tmp_path, ["7,5,2,a", "8,3,0,b", "9,4,4,c", "10,4294967295,1.0,d"])
    assert seen(rows) == [
        (1, "a", 1, 2),
        (1, "a", 0, 3),
        (2, "b", 0, 3),
        (3, "c", 1, 4),
        (4, "d", 1, 1),
        (4, "d", 0, 4294967294),
    ]
    assert (report.lines, report.halves, report.impressions, report.positives) == (4, 2, 4294967307, 7)
    for first, second in (rows[:2], rows[4:]):
        assert first | {"label": 0, "weight": second["weight"]} == second  # they have all else in common, the id too


@pytest.mark.parametrize("impressions", ["0", "-1", "1.5", "", "null", "many", "4294967296", "1e300", "nan"])
def test_counts_of_impressions_that_are_none_are_rejects(tmp_path: Path, impressions: str) -> None:
    report, rows, rejects = ingest(tmp_path, [f"7,{impressions},0,a", "8,2,1,b"])
    assert seen(rows) == [(2, "b", 1, 1), (2, "b", 0, 1)]
    assert report.reasons == {"imps: expected a whole number from 1 to 4294967295": 1}
    assert rejects[0]["line"] == 1


@pytest.mark.parametrize("clicks", ["3", "-1", "0.5", "", "few"])
def test_counts_of_clicks_that_are_none_are_rejects(tmp_path: Path, clicks: str) -> None:
    report, rows, _ = ingest(tmp_path, [f"7,2,{clicks},a", "8,2,2,b"])
    assert seen(rows) == [(2, "b", 1, 2)]
    assert report.reasons == {"clks: expected a whole number from 0 to imps": 1}


REPEATS = ["7,5,2,a", "8,3,0,b", "7,5,2,c", "8,3,1,d", "7,5,2,e", "9,1,1,f"]


@pytest.mark.parametrize(
    ("options", "kept", "rejected"),
    [
        ({}, [(1, "a", 1, 2), (1, "a", 0, 3), (2, "b", 0, 3), (6, "f", 1, 1)], [3, 4, 5]),
        (
            {"on_repeat": '"last"'},
            [(4, "d", 1, 1), (4, "d", 0, 2), (5, "e", 1, 2), (5, "e", 0, 3), (6, "f", 1, 1)],
            [1, 2, 3],
        ),
        ({"on_repeat": '"reject"'}, [(6, "f", 1, 1)], [1, 2, 3, 4, 5]),
    ],
)
def test_both_rows_of_a_line_share_the_fate_of_its_id(
    tmp_path: Path, options: dict[str, str], kept: list[tuple[int, str, int, int]], rejected: list[int]
) -> None:
    report, rows, rejects = ingest(tmp_path, REPEATS, **options)
    assert seen(rows) == kept
    assert [row["line"] for row in rejects] == rejected
    assert report.conflicts == 1  # the counts of 8 differ, those of 7 do not
    assert report.reasons == {"id: repeated id": len(rejected)}


def test_lines_of_other_days_count_once(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    lines = [f"7,5,2,{TIME},a,1,a", "8,5,2,2026-11-03 13:00:00,a,1,a", f"9,5,5,{TIME},a,1,a"]
    (tmp_path / "logs/all.csv").write_text("\n".join(lines) + "\n")
    targets = Targets(tmp_path / "rows.parquet", tmp_path / "rejects.parquet")
    raw = weighted_lines(tmp_path, logs='"logs/*"')
    report = ingest_logs(raw, EngineConfig(threads=2), DAY, targets)
    assert (report.lines, report.rows, report.halves, report.other_days) == (3, 3, 1, 1)


def test_requests_have_no_counts(tmp_path: Path) -> None:
    path = tmp_path / "requests/2026-11-02/a.csv"
    path.parent.mkdir(parents=True)
    path.write_text(f"7,{TIME},a,1,a\n")
    targets = Targets(tmp_path / "rows.parquet", tmp_path / "rejects.parquet")
    report = ingest_requests(weighted_lines(tmp_path), EngineConfig(threads=2), DAY, targets)
    assert (report.rows, report.impressions, report.halves) == (1, None, None)
    assert not {"label", "weight"} & set(pq.read_schema(targets.rows).names)


def test_a_day_without_logs_has_the_columns_of_any_day(tmp_path: Path) -> None:
    ingest(tmp_path, ["7,5,2,a"])
    columns = pq.read_schema(tmp_path / "rows.parquet")
    none = no_logs(weighted_lines(tmp_path), Targets(tmp_path / "rows.parquet", tmp_path / "rejects.parquet"))
    assert pq.read_schema(tmp_path / "rows.parquet").equals(columns)
    assert (none.rows, none.impressions) == (0, 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"clicks": "clicks/{day}", "id_column": "id"}, "both say what was clicked"),
        ({"label": {"column": "y"}}, "`label` has no effect with `weights`"),
        ({"id_column": "id", "on_repeat": "any_click"}, "first, last or reject"),
        ({"weights": {"impressions": "n", "clicks": "n"}}, "they are two columns"),
    ],
)
def test_options_that_do_not_go_with_weights_are_refused(options: dict[str, object], message: str) -> None:
    source = {"logs": "logs/{day}/*", "columns": ("id", "n", "c"), "weights": {"impressions": "n", "clicks": "c"}}
    with pytest.raises(ValidationError, match=message):
        SourceConfig(**(source | options))
