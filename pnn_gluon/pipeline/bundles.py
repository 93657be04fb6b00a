"""Where the bundle that a pointer names is."""

from pathlib import Path

from pnn_gluon.days import parse_day
from pnn_gluon.pipeline.details import Pointer
from pnn_gluon.store.store import Store


def bundle_folder(store: Store, pointer: Pointer) -> Path | None:
    """The bundle that a pointer names, also when its day was made again since; None for no model.

    Raises:
        InputError: it is not there, or damaged.
    """
    if pointer.table is None or pointer.day is None or pointer.run is None:
        return None
    return store.run_folder(pointer.table, parse_day(pointer.day), pointer.run)
