"""Puts small faults into modules and counts those that the nearest tests notice.

`make mutants [MODULES="pnn_gluon/evaluation/gate.py ..."]`; tests/mutants.toml says which tests stand for which module.
It prints a row for each module and the diff of each survivor, and works on copies in work/mutants.
Texts are left as they are: nearly all of them are messages. Functions with decorators are left alone by the tool.
"""

import importlib
import json
import os
import random
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

FOLDER = Path("work/mutants").absolute()
COPIED = ("pnn_gluon", "tests", "jobs", "dags", "sql", "conf", "examples", "pyproject.toml")
SETTINGS = """
[mutmut]
source_paths=pnn_gluon
only_mutate={module}
use_git_change_detection=false
also_copy=
    jobs
    dags
    sql
    conf
    examples
pytest_add_cli_args=
    -p
    no:cacheprovider
    -p
    no:xdist
pytest_add_cli_args_test_selection=
    {tests}
[tool:pytest]
addopts = -q --strict-markers
pythonpath = . dags
"""
KILLED, SURVIVED, UNTESTED = {1, 3}, {0}, {5, 33}
"""Exit codes of the tests under a fault; any other is a crash or a time-out, and counts as killed."""


def main(modules: list[str]) -> int:
    """Try the modules, by default all of the list, one after the other; 1 if the tests of one fail without a fault."""
    settings, status = tomllib.loads(Path("tests/mutants.toml").read_text()), 0
    for module in modules or settings["modules"]:
        folder = _copy(module, settings["modules"][module])
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path[1:])}
        within = [sys.executable, "-m", "tests.mutants", "--within", str(settings["sample"]), str(settings["seed"])]
        with (folder / "log").open("wb") as log:
            done = subprocess.run(within, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT)
        if done.returncode:
            print(f"| {module} | its tests fail without a fault, too: see {folder / 'log'} |", flush=True)
            status = 1
        else:
            _show(folder, module)
    return status


def _copy(module: str, tests: list[str]) -> Path:
    folder = FOLDER / module.replace("/", ".")
    shutil.rmtree(folder, ignore_errors=True)
    for name in COPIED:
        copy = shutil.copytree if Path(name).is_dir() else shutil.copy
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        copy(name, folder / name)
    (folder / "setup.cfg").write_text(SETTINGS.format(module=module, tests="\n    ".join(tests)))
    return folder


def _within(sample: int, seed: int) -> None:
    """In a copy: run the tool on a sample of the mutants."""
    tool, changes = (importlib.import_module(f"mutmut.{name}") for name in ("__main__", "mutation.file_mutation"))
    operators = changes.mutation_operators
    operators[:] = [pair for pair in operators if pair[1].__name__ != "operator_string"]
    collect = tool.collect_source_file_mutation_data

    def drawn(**names: Any) -> Any:
        mutants, files = collect(**names)
        return random.Random(seed).sample(mutants, min(sample, len(mutants))), files

    tool.collect_source_file_mutation_data = drawn
    tool._run([], os.cpu_count())


def _show(folder: Path, module: str) -> None:
    results = json.loads((folder / "mutants" / f"{module}.meta").read_text())["exit_code_by_key"]
    tried = {name: code for name, code in results.items() if code is not None}
    survivors = [name for name, code in tried.items() if code in SURVIVED | UNTESTED]
    counts = (len(results), len(tried), len(tried) - len(survivors), len(survivors))
    print(f"| {module} | {' | '.join(map(str, counts))} |", flush=True)
    if others := Counter(code for code in tried.values() if code not in KILLED | SURVIVED | UNTESTED):
        print(f"  ended otherwise (crash, time-out): {dict(others)}")
    for name in survivors:
        diff = [sys.executable, "-m", "mutmut", "show", name]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path[1:])}
        subprocess.run(diff, cwd=folder, env=environment, check=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--within"]:
        _within(*map(int, sys.argv[2:]))
    else:
        sys.exit(main(sys.argv[1:]))
