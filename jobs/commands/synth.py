"""Generated logs, with the truth beside them."""

from pathlib import Path
from typing import Annotated

import typer

from jobs.command import DaysOption
from pnn_gluon.days import parse_day, parse_days


def command(
    folder: Annotated[Path, typer.Option(help="Where logs/, requests/ and truth/ go.")],
    day: DaysOption,
    seed: Annotated[int, typer.Option(help="Chooses the world.")] = 1,
    first_day: Annotated[
        str | None, typer.Option(help="The day the world begins; default: the first of --day.")
    ] = None,
    rows: Annotated[int, typer.Option(help="Log lines a day.")] = 150_000,
    requests: Annotated[int, typer.Option(help="Candidates a day.")] = 50_000,
    click_rate: Annotated[float, typer.Option(help="Mean click probability of the first day.")] = 0.08,
    vocabulary: Annotated[str, typer.Option(help="demo or criteo: sizes of the categories.")] = "demo",
    compression: Annotated[str, typer.Option(help="none, gz or zst.")] = "gz",
    bad_line_share: Annotated[float, typer.Option(help="Share of damaged lines.")] = 0.0,
) -> None:
    """Generated Criteo-like logs with the true probability of every row beside them."""
    from jobs.generated_logs import generate
    from pnn_gluon.data.synthetic_options import SyntheticOptions

    chosen = parse_days(day)
    options = SyntheticOptions(
        seed=seed,
        first_day=parse_day(first_day) if first_day else chosen[0],
        rows_per_day=rows,
        request_rows_per_day=requests,
        click_rate=click_rate,
        vocabulary=vocabulary,
        compression=compression,
        bad_line_share=bad_line_share,
    )
    generate(options, chosen, folder)
