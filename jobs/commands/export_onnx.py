"""A bundle as an ONNX file with a reader, for machines without MXNet and this package."""

import json
from pathlib import Path
from typing import Annotated

import typer


def command(
    bundle: Annotated[Path, typer.Argument(help="The bundle's folder.")],
    folder: Annotated[Path, typer.Argument(help="The folder to write; it is not there yet.")],
) -> None:
    """Write model.onnx, the map as Parquet, and score.py, which scores raw rows by them; one JSON line on stdout."""
    from pnn_gluon.extras import require

    require("onnx")
    from pnn_gluon.portable.export import export_onnx

    print(json.dumps({"folder": str(folder), **export_onnx(bundle, folder)}, sort_keys=True), flush=True)
