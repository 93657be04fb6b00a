"""What it costs Airflow to parse the DAG files of many pipelines, beyond its own import.

    python -m benchmarks.dag_parse

Twenty pipelines, copies of conf/demo.toml, get their DAG files, and Airflow's DagBag reads them, in a process that has
first read a DAG file with Airflow's operators and nothing of ours: what is told is ours. Ends with one JSON line: CPU
seconds of the best of some rounds, how many modules parsing loaded, and which of them are heavy.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from jobs.airflow.stubs import write_stubs

ROOT = Path(__file__).parents[1]
HEAVY = ("mxnet", "numpy", "duckdb", "pyarrow", "h5py", "xgboost")
HEAVY_OF_OURS = ("pnn_gluon.data", "pnn_gluon.store", "pnn_gluon.warehouse", "pnn_gluon.runtime")
"""What parsing must not load: it is done again and again, for every pipeline."""

AIRFLOW_ALONE = """
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG, CronDataIntervalTimetable, Param

day = Param("2026-11-01", type="string", format="date")
with DAG("alone", schedule=CronDataIntervalTimetable("@daily", timezone="UTC"), params={"day": day}):
    BashOperator(task_id="nothing", bash_command="true")
"""


def main(
    pipelines: Annotated[int, typer.Option(min=1)] = 20,
    rounds: Annotated[int, typer.Option(min=1, help="The best of so many processes counts.")] = 3,
) -> None:
    """Parse, and tell what it cost."""
    with tempfile.TemporaryDirectory() as folder:
        write_pipelines(Path(folder), pipelines)
        found = [in_a_process(Path(folder)) for _ in range(rounds)]
    print(json.dumps({"pipelines": pipelines} | min(found, key=lambda each: float(each["seconds"]))))


def write_pipelines(folder: Path, count: int) -> None:
    """Configurations in conf/, their DAG files in dags/, and in airflow/ one without anything of ours."""
    (folder / "conf").mkdir()
    text = (ROOT / "conf" / "demo.toml").read_text()
    for n in range(count):
        own = text.replace('name = "demo"', f'name = "demo_{n}"').replace("../work/demo/", f"../work/demo_{n}/")
        (folder / "conf" / f"demo_{n}.toml").write_text(own)
    write_stubs(folder / "conf", folder / "dags")
    (folder / "airflow").mkdir()
    (folder / "airflow" / "alone.py").write_text(AIRFLOW_ALONE)


def in_a_process(folder: Path) -> dict[str, Any]:
    """What a process of its own measured."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.dag_parse", "measure", str(folder)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        cwd=ROOT,
        env=kept | {"AIRFLOW_HOME": str(folder), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"},
    )
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def measure(folder: Path) -> dict[str, Any]:
    """CPU seconds and modules of parsing the pipelines of a folder, after Airflow has read a file without them."""
    began = time.process_time()
    from airflow.dag_processing.dagbag import DagBag

    DagBag(dag_folder=str(folder / "airflow"))
    airflow, before = time.process_time() - began, set(sys.modules)
    began = time.process_time()
    bag = DagBag(dag_folder=str(folder / "dags"))
    seconds = time.process_time() - began
    if bag.import_errors:
        raise SystemExit("\n".join(bag.import_errors.values()))
    loaded = set(sys.modules) - before
    return {
        "seconds": round(seconds, 3),
        "airflow_seconds": round(airflow, 3),
        "dags": len(bag.dags),
        "modules": len(loaded),
        "heavy": sorted({name for name in (*HEAVY, *HEAVY_OF_OURS) if name in sys.modules}),
    }


if __name__ == "__main__":
    if sys.argv[1:2] == ["measure"]:
        print(json.dumps(measure(Path(sys.argv[2]))))
    else:
        typer.run(main)
