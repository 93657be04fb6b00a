"""What a file of raw lines holds, by its first bytes, whatever its name says."""

import codecs
import re

COMPRESSIONS = {
    "gzip": re.compile(rb"\x1f\x8b\x08"),
    "zstd": re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18"),
    "bz2": re.compile(rb"BZh[1-9](1AY&SY|\x17\x72\x45\x38\x50\x90)"),
}
"""How files begin that are decompressed as they are read (RFC 1952, RFC 8878, bzip2)."""

OTHERS = {
    "xz": re.compile(rb"\xfd7zXZ\0"),
    "lz4": re.compile(rb"\x04\x22\x4d\x18"),
    "zip": re.compile(rb"PK(\x03\x04|\x05\x06)"),
    "Parquet": re.compile(rb"PAR1\x15"),
    "Avro": re.compile(rb"Obj\x01"),
}
"""How files begin that hold no lines as they are."""

START_BYTES = 512
"""As many bytes of the beginning tell."""


def content_of(start: bytes) -> str | None:
    """What a file holds that begins with these bytes: a key of `COMPRESSIONS` or `OTHERS`; None for anything else.

    >>> content_of(bytes.fromhex("1f8b0800"))
    'gzip'
    """
    known = {**COMPRESSIONS, **OTHERS}
    return next((name for name, beginning in known.items() if beginning.match(start)), None)


def is_text(start: bytes) -> bool:
    """Whether a file that begins with these bytes may be text: UTF-8, perhaps cut within a character, without NUL."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(start)
    except UnicodeDecodeError:
        return False
    return b"\0" not in start
