"""The fuzzers by name."""

from tests.fuzz.bundles import Bundles
from tests.fuzz.documents import Documents
from tests.fuzz.json_lines import JsonLines
from tests.fuzz.lines import Lines
from tests.fuzz.own_files import OwnFiles
from tests.fuzz.target import Target
from tests.fuzz.typed_files import TypedFiles

TARGETS: dict[str, Target] = {
    "lines": Lines(),
    "json": JsonLines(),
    "typed": TypedFiles(),
    "documents": Documents(),
    "bundles": Bundles(),
    "own": OwnFiles(),
}
