"""Where the local Airflows of a checkout keep their files: each folder of pipelines, or single file, has a home."""

import hashlib
import os
from pathlib import Path

from pnn_gluon.errors import ConfigError

REPOSITORY = Path(__file__).resolve().parents[2]
HOMES = REPOSITORY / "work" / "airflow"
DEFAULT_CONFIGS = REPOSITORY / "conf"


def home_of(configs: Path) -> Path:
    """The home of the Airflow of a folder of pipelines, or of a single file; another one has another home."""
    configs = configs.resolve()
    return HOMES / f"{configs.stem}-{hashlib.sha256(os.fsencode(configs)).hexdigest()[:8]}"


def home_of_existing(configs: Path) -> Path:
    """The home of the Airflow of some pipelines, also of those whose files are gone since it was started.

    Raises:
        ConfigError: there are neither such files nor a home of theirs.
    """
    home = home_of(configs)
    if not configs.exists() and not home.exists():
        raise ConfigError(f"{configs}: no such folder or file, and no Airflow was ever started for it")
    return home


def homes() -> list[Path]:
    """Every home that an Airflow was started in; of a release before there were several, `HOMES` itself."""
    found = [path.parent for path in sorted([HOMES / "settings.json", *HOMES.glob("*/settings.json")])]
    return [home for home in found if (home / "settings.json").exists() and (home / "supervisord.conf").exists()]
