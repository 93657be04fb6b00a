"""The pipelines of a folder: one TOML file each, and nothing that two of them share."""

import dataclasses
import tomllib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from pnn_gluon.config import Config, PublishConfig, StoreConfig, embedded_folder, load_config, located
from pnn_gluon.errors import ConfigError
from pnn_gluon.option_types import Name
from pnn_gluon.pools import SCORES_SUFFIX
from pnn_gluon.section import Section


class _Place(Section, extra="ignore"):
    """Of a configuration what says where its results go; the rest is not looked at, which makes reading it cheap."""

    name: Name
    store: StoreConfig
    publish: PublishConfig = PublishConfig()


def pipeline_files(configs: Path) -> list[Path]:
    """The configuration files of a folder, by name, or the one file that is given instead.

    Raises:
        ConfigError: there is neither such a folder nor such a file, or none in the folder.
    """
    configs = configs.resolve()
    if configs.is_file():
        return [configs]
    if not configs.is_dir():
        raise ConfigError(
            f"{configs}: no such folder of pipelines' TOML files, nor such a file; ready ones are in conf/"
        )
    found = sorted(path for path in configs.glob("*.toml") if not path.name.startswith("."))
    if not found:
        raise ConfigError(f"{configs}: no *.toml in it: expected one for each pipeline; ready ones are in conf/")
    return found


def load_all(configs: Path) -> tuple[list[Config], list[str]]:
    """The pipelines of a folder, or the one of a file, that load; what is wrong with the others."""
    loaded, faults = [], []
    for path in pipeline_files(configs):
        try:
            config = load_config(path)
            refuse_shared(config, configs)
        except ConfigError as error:
            faults.append(str(error))
        else:
            loaded.append(config)
    return loaded, faults


def refuse_shared(config: Config, configs: Path) -> None:
    """Refuse a pipeline whose name, store or score table is also that of one in the folder that goes before it.

    A file that is named as its pipeline goes before one that is not, then the alphabet decides: so a copy that nobody
    changed yet does not stop the pipeline that it is a copy of.

    Raises:
        ConfigError: naming both files, the key and the value.
    """
    files = pipeline_files(configs)
    own = next((path for path in files if path.resolve() == config.path), config.path)
    mine = _claims(config, own)
    for path in files:
        other = _claims_of(path) if path != own else None
        if other is None or other.rank >= mine.rank:
            continue
        for key in mine.held:
            if mine.held[key] == other.held[key]:
                raise ConfigError(
                    f"{config.path}: {key}: {mine.shown[key]} is that of {path}; each needs its own: change it"
                )


@dataclasses.dataclass(frozen=True)
class _Claims:
    """What no two pipelines may have.

    Attributes:
        rank: The lower keeps what two have.
        held: By key, for comparing.
        shown: By key, in words.
    """

    rank: tuple[bool, str]
    held: Mapping[str, str]
    shown: Mapping[str, str]


def _claims_of(path: Path) -> _Claims | None:
    """What a file claims; nothing if it is wrong, which its own pipeline says."""
    try:
        return _claims_in(path, path.read_bytes())
    except OSError:
        return None


@lru_cache(maxsize=1000)
def _claims_in(path: Path, content: bytes) -> _Claims | None:
    """Read once, though every pipeline of a folder asks."""
    try:
        return _claims(_Place.model_validate(tomllib.loads(content.decode("utf-8-sig"))), path)
    except (ValueError, RecursionError):
        return None


def _claims(place: Config | _Place, path: Path) -> _Claims:
    publish, folder = place.publish, path.resolve().parent  # as load_config has it, also where the file is a link
    root = located(place.store.root, folder).rstrip("/")
    embedded = publish.server == "embedded"
    server = (embedded_folder(publish.folder, root, folder) or str(path)) if embedded else publish.server
    return _Claims(
        rank=(path.stem != place.name, path.name),
        held={
            "name": place.name.removesuffix(SCORES_SUFFIX),
            "store.root": root,
            "publish.table": f"{publish.table} on {server}",
        },
        shown={
            "name": f"{place.name!r}, with or without {SCORES_SUFFIX},",
            "store.root": root,
            "publish.table": f"{publish.table!r} on the server {server}",
        },
    )
