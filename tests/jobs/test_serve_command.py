"""`pnn-gluon serve` as a process: a pipeline's champion, and an end by SIGTERM."""

import json
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from jobs.commands.serve import Champions, command
from pnn_gluon.config import Config, load_config
from pnn_gluon.errors import ConfigError, InputError
from pnn_gluon.pipeline.opening import open_store
from pnn_gluon.pipeline.partition import open_partition
from pnn_gluon.pipeline.tables import CHAMPIONS
from tests.jobs.small_pipeline import NAMED_PIPELINE

ROOT = Path(__file__).parents[2]


def test_the_champion_of_a_pipeline_answers_until_sigterm(five_days: Config) -> None:
    words = [sys.executable, "-W", "ignore", "-m", "jobs", "serve", "--config", str(five_days.path), "--port", "0"]
    process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    said = json.loads(process.stdout.readline())
    request = urllib.request.Request(f"{said['address']}/score", b'{"rows": [{}, {}]}')
    answer = json.loads(urllib.request.urlopen(request, timeout=20).read())
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=20)
    partition = open_partition(open_store(five_days), CHAMPIONS, open_store(five_days).days(CHAMPIONS.name)[-1])
    assert partition is not None
    assert answer["model"] == said["model"] == {"name": "fm", "day": partition.details.pointer.model_day}
    assert len(answer["probabilities"]) == 2
    assert (process.returncode, "stopped" in errors) == (0, True), errors


def test_either_a_bundle_or_a_pipeline_is_named(five_days: Config, tmp_path: Path) -> None:
    for given in ({}, {"bundle": tmp_path, "config": five_days.path}):
        with pytest.raises(ConfigError, match="name a bundle's folder, or --config"):
            command(**given, port=0)


def test_a_pipeline_without_a_champion_is_told(tmp_path: Path) -> None:
    (tmp_path / "none.toml").write_text(NAMED_PIPELINE.format(name="none"))
    with pytest.raises(InputError, match="no model was put in force yet"):
        Champions(load_config(tmp_path / "none.toml")).newest()
