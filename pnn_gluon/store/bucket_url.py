"""The URL of a bucket: `s3://bucket/path?region=R&endpoint_override=HOST:PORT&scheme=http`, `gs://`, `az://`, `abfss://`.

Credentials come from the environment, never from a URL.
"""

import os
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, parse_qsl, urlsplit

from pnn_gluon.errors import ConfigError

if TYPE_CHECKING:
    from obstore.store import ObjectStore

S3 = frozenset({"s3", "s3a"})
BUCKETS = S3 | {"gs", "az", "abfs", "abfss"}
"""The schemes of buckets; other URLs are of file systems."""

_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
_REGIONS = ("AWS_REGION", "AWS_DEFAULT_REGION")


def is_bucket(url: str) -> bool:
    """Whether a URL is of a bucket.

    >>> is_bucket("s3://bucket/path"), is_bucket("hdfs://host/path")
    (True, False)
    """
    return url.partition("://")[0] in BUCKETS


def shown(url: str) -> str:
    """A URL as messages show it: without its query.

    >>> shown("s3://bucket/path/?region=x")
    's3://bucket/path'
    """
    return url.partition("?")[0].rstrip("/")


def open_bucket(url: str) -> "ObjectStore":
    """The client of a bucket, for the objects below the path of its URL; nothing is asked of the server.

    Raises:
        ConfigError: for a URL with credentials, or with a word in its query that has no meaning.
    """
    from obstore.exceptions import BaseError
    from obstore.store import from_url

    parts = urlsplit(url)
    if parts.password is not None or (parts.username is not None and parts.scheme in S3):
        raise ConfigError(f"{parts.scheme}://{parts.hostname}: credentials in a URL are not read; set them {_WHERE}")
    try:
        return _open_s3(parts) if parts.scheme in S3 else from_url(_without_query(parts))
    except (BaseError, ValueError) as error:
        raise ConfigError(f"{shown(url)}: cannot be opened: {error}") from error


_WHERE = "in the environment (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, say)"


def _open_s3(parts: SplitResult) -> "ObjectStore":
    from obstore.store import S3Store

    options = _query(parts, frozenset({"region", "endpoint_override", "scheme"}))
    endpoint = _endpoint(options)
    region = options.get("region") or _first_set(_REGIONS)
    if region is None:
        region = "us-east-1" if endpoint else _region_of(parts.netloc)
    return S3Store(
        parts.netloc,
        prefix=parts.path.strip("/") or None,
        config={"region": region, **({"endpoint": endpoint} if endpoint else {})},
        client_options={"allow_http": endpoint is not None and endpoint.startswith("http://")},
    )


def _endpoint(options: dict[str, str]) -> str | None:
    """Where the server is, if it is not Amazon's."""
    host, scheme = options.get("endpoint_override"), options.get("scheme", "https")
    if host is None:
        return _first_set(_ENDPOINTS)
    return host if "://" in host else f"{scheme}://{host}"


def _region_of(bucket: str) -> str:
    """The region that Amazon says a bucket is in."""
    import pyarrow.fs

    try:
        return str(pyarrow.fs.resolve_s3_region(bucket))
    except OSError as error:
        raise ConfigError(f"s3://{bucket}: its region is not known: set AWS_REGION ({error})") from error


def _without_query(parts: SplitResult) -> str:
    _query(parts, frozenset())
    return parts._replace(query="").geturl()


def _query(parts: SplitResult, known: frozenset[str]) -> dict[str, str]:
    options = dict(parse_qsl(parts.query))
    if unknown := sorted(options.keys() - known):
        raise ConfigError(
            f"{shown(parts.geturl())}: {', '.join(unknown)} in its query: expected "
            f"{', '.join(sorted(known)) or 'none'}; everything else is set {_WHERE}"
        )
    return options


def _first_set(variables: tuple[str, ...]) -> str | None:
    return next((os.environ[name] for name in variables if os.environ.get(name)), None)
