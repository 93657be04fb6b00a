"""The terminal's table of days."""

from rich.console import Console

from pnn_gluon.report.day_report import DayReport
from pnn_gluon.report.day_table import render_day_table


def text_of(days):
    console = Console(width=200, record=True, file=None, quiet=False)
    with console.capture() as captured:
        console.print(render_day_table(days))
    return captured.get()


def test_table_holds_numbers_gate_and_reasons():
    summary = {"rows": 12345, "positives": 67, "auc": 0.71239, "log_loss": 0.1234567, "pcoc": None}
    text = text_of([DayReport("2026-11-02", "2026-11-01", summary, gate="refused", reasons=("auc: 0.4",))])
    for expected in ("2026-11-02", "2026-11-01", "12,345", "67", "0.7124", "0.12346", "–", "refused", "auc: 0.4"):
        assert expected in text


def test_markup_in_the_text_is_shown_not_obeyed():
    assert "[red]x[/red]" in text_of([DayReport("2026-11-02", None, {}, gate="refused", reasons=("[red]x[/red]",))])


def test_the_bounds_of_an_interval_stand_below_the_number():
    bounds = {"auc": {"low": 0.6911, "high": 0.7322}}
    text = text_of([DayReport("2026-11-02", None, {"auc": 0.71239}, intervals=bounds)])
    assert [text.index(number) for number in ("0.7124", "0.6911", "0.7322", "95 % interval")] == sorted(
        text.index(number) for number in ("0.7124", "0.6911", "0.7322", "95 % interval")
    )
    assert "95 % interval" not in text_of([DayReport("2026-11-02", None, {"auc": 0.71239})])
