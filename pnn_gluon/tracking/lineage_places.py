"""What datasets are called by OpenLineage: a namespace for where they are, a name within it, no login."""

from typing import NamedTuple
from urllib.parse import urlsplit

from pnn_gluon.config import Config, patterns_of, placed
from pnn_gluon.tracking.address import login_of


class Place(NamedTuple):
    """A dataset, as OpenLineage names it."""

    namespace: str
    name: str


def place_of(location: str) -> Place:
    """A folder, or a URL without its options and login.

    >>> place_of("s3://key:s3cret@bucket/clicks/rows?region=eu")
    Place(namespace='s3://bucket', name='clicks/rows')
    >>> place_of("/data/store/rows")
    Place(namespace='file', name='/data/store/rows')
    """
    if "://" not in location:
        return Place("file", location)
    parts = urlsplit(login_of(location).url)
    return Place(f"{parts.scheme}://{parts.netloc}", parts.path.strip("/") or "/")


def table_place(config: Config, table: str) -> Place:
    """A table of the store; all its days are one dataset."""
    return place_of(f"{config.store_root.partition('?')[0].rstrip('/')}/{table}")


def raw_place(config: Config, kind: str) -> Place:
    """Raw files of a kind: the fixed folder of their pattern, or the one that several have in common."""
    return place_of(placed(patterns_of(getattr(config.source, kind)), config.path.parent).folder)
