"""The studies: files that are the same each time, and one JSON line."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from jobs.commands import study

POLY2_FILES = {"poly2.json", "poly2_sparsity.png", "poly2_convergence.png"}


def run(*words: object) -> Any:
    done = CliRunner().invoke(study.app, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def is_png(content: bytes) -> bool:
    return content.startswith(b"\x89PNG") and content.endswith(b"IEND\xaeB`\x82")


def test_poly2_writes_plots_and_the_curves_that_its_line_ends_with(tmp_path: Path) -> None:
    line = run("poly2", "--quick", "--output", tmp_path / "one")
    files = contents(tmp_path / "one")
    assert files.keys() == POLY2_FILES == {Path(name).name for name in line["files"]}
    assert all(is_png(content) for name, content in files.items() if name.endswith(".png"))
    curves = json.loads(files["poly2.json"])
    ends = {curve["name"]: curve["auc"][-1] for curve in curves["sparsity"] + curves["convergence"]}
    assert line["last"] == ends
    assert max(ends.values()) < curves["true_function_auc"]


@pytest.mark.parametrize("words", [("batch-bias",), ("poly2",)], ids=lambda words: words[0])
def test_equal_seeds_give_equal_bytes_and_others_do_not(tmp_path: Path, words: tuple[str, ...]) -> None:
    for folder, seed in (("one", 1), ("two", 1), ("other", 2)):
        run(*words, "--quick", "--seed", seed, "--output", tmp_path / folder)
    one, two, other = (contents(tmp_path / folder) for folder in ("one", "two", "other"))
    assert one == two
    assert not set(one.values()) & set(other.values())


def test_batch_bias_falls_with_the_batch_and_grows_with_ids_and_dropout(tmp_path: Path) -> None:
    line = run("batch-bias", "--quick", "--output", tmp_path)
    files = contents(tmp_path)
    assert files.keys() == {"batch_bias.json", "batch_bias.png"}
    assert is_png(files["batch_bias.png"])
    curves = json.loads(files["batch_bias.json"])
    small, large = ([p["bias"] for p in curves["by_ids"] if p["batch_size"] == size] for size in (100, 1000))
    assert all(before > after for before, after in zip(small, large, strict=True))
    assert line["last"]["N = 200, dropout 0.0"] > line["last"]["N = 100, dropout 0.0"]
    assert line["last"]["N = 100, dropout 0.75"] > line["last"]["N = 100, dropout 0.25"]


def test_user_style_does_not_change_the_plots(tmp_path: Path) -> None:
    import matplotlib

    run("batch-bias", "--quick", "--output", tmp_path / "one")
    with matplotlib.rc_context({"font.size": 30, "lines.linewidth": 9, "savefig.dpi": 40}):
        run("batch-bias", "--quick", "--output", tmp_path / "two")
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
