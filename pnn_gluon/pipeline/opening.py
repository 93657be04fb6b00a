"""The store of a pipeline."""

from functools import partial

from pnn_gluon.config import Config
from pnn_gluon.pipeline.steps import mending_command
from pnn_gluon.store.store import Store


def open_store(config: Config) -> Store:
    """The store of a pipeline, whose errors name the commands that mend it."""
    mend = partial(mending_command, config=config.path)
    return Store(config.store_root, mend=mend, cache_limit=config.store.cache_bytes)
