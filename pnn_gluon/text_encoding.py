"""Files in other encodings than UTF-8, as UTF-8."""

import codecs
from collections.abc import Iterator

_ASCII = "Az09,;\t\n"
_NO_FILES = {"idna", "punycode", "raw-unicode-escape", "raw_unicode_escape", "undefined", "unicode-escape", "utf-7"}
_INVALID = "pnn_gluon.invalid"


def codec_of(name: str) -> str:
    """The name of a codec of text files, by which its aliases are one.

    >>> codec_of("Latin-1"), codec_of("UTF8")
    ('iso8859-1', 'utf-8')

    Raises:
        ValueError: there is none, or it is for something else than files.
    """
    try:
        found = codecs.lookup(name).name
        fit = _ASCII.encode(found).decode(found) == _ASCII and found not in _NO_FILES
    except (LookupError, UnicodeError, TypeError):
        fit = False
    if not fit:
        raise ValueError(f"no encoding {name!r} of text files; expected one such as latin-1, cp1252 or utf-16")
    return found


def as_utf8(chunks: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    """The chunks in UTF-8; what is not valid becomes a byte that is not valid there either, and keeps to its line.

    Raises:
        UnicodeError: the encoding begins with a mark of the order of bytes, and the chunks do not.
    """
    decoder = codecs.getincrementaldecoder(encoding)(_INVALID)
    for chunk in chunks:
        yield decoder.decode(chunk).encode("utf-8", "surrogateescape")
    yield decoder.decode(b"", final=True).encode("utf-8", "surrogateescape")


def _invalid(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "\udcff", error.end


codecs.register_error(_INVALID, _invalid)
