"""A bucket on a real server: what goes up is whole, what is there is not sent again, and one of two machines wins."""

import hashlib
import os
import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from pnn_gluon.errors import ConfigError, DamagedError, InputError
from pnn_gluon.store.manifest import Manifest, StoredFile
from pnn_gluon.store.objects import BLOCK
from pnn_gluon.store.remote import Remote
from pnn_gluon.store.store import Store
from tests.object_server import ObjectServer, Request
from tests.store.test_store import DAY, make

NAME = "rows/run=1/a.bin"


@pytest.fixture
def bucket(object_server: ObjectServer) -> str:
    return object_server.new_bucket()


@pytest.fixture
def here(object_server: ObjectServer, bucket: str, tmp_path: Path) -> Store:
    return Store(object_server.url(bucket), cache=tmp_path / "here")


@pytest.fixture
def there(object_server: ObjectServer, bucket: str, tmp_path: Path) -> Store:
    """The same store on another machine."""
    return Store(object_server.url(bucket), cache=tmp_path / "there")


def remote_of(store: Store) -> Remote:
    assert store.remote is not None
    return store.remote


def described(content: bytes) -> StoredFile:
    return StoredFile("a.bin", len(content), hashlib.sha256(content).hexdigest())


def of_runs(requests: list[Request], *methods: str) -> list[Request]:
    return [request for request in requests if request.method in methods and "/run=" in request.key]


def begun_or_completed(requests: list[Request]) -> list[str]:
    """The queries that begin an upload in parts, or put one together."""
    return [request.query for request in of_runs(requests, "POST")]


def test_an_object_of_several_parts_comes_back_as_it_was(here: Store, tmp_path: Path) -> None:
    content = os.urandom(2 * BLOCK + 5)
    (tmp_path / "a.bin").write_bytes(content)
    remote_of(here).upload(tmp_path, "rows/run=1", [described(content)])
    assert remote_of(here).read(NAME) == content
    assert remote_of(here).recorded("rows/run=1") == {"a.bin": described(content).sha256}


UPLOAD = """
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from jobs.stopping import raise_when_stopped
from pnn_gluon.store.manifest import StoredFile
from pnn_gluon.store.remote import Remote
raise_when_stopped()
remote = Remote(sys.argv[1])
remote.upload(Path(sys.argv[2]), "rows/run=1", [StoredFile("a.bin", int(sys.argv[3]), "0" * 64)])
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_upload_that_a_signal_ends_is_never_put_together(
    object_server: ObjectServer, here: Store, tmp_path: Path, number: signal.Signals
) -> None:
    remote_of(here).write(NAME, b"good")
    (tmp_path / "run").mkdir()
    os.mkfifo(tmp_path / "run" / "a.bin")
    before = len(object_server.asked())
    command = [sys.executable, "-c", UPLOAD, here.root, str(tmp_path / "run"), str(5 * BLOCK)]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process, (tmp_path / "run" / "a.bin").open("wb") as pipe:
        pipe.write(b"x" * (3 * BLOCK + 1))
        pipe.flush()  # three blocks are with the process, which waits for more
        process.send_signal(number)
        try:
            process.communicate(timeout=20)
        except subprocess.TimeoutExpired:  # the client drops an exception now and then: who asks again is heard
            process.send_signal(number)
            process.communicate(timeout=60)
    assert process.returncode
    assert begun_or_completed(object_server.asked(before)) == ["uploads="]
    assert remote_of(here).read(NAME) == b"good"


def test_an_upload_whose_file_cannot_be_read_to_its_end_is_never_put_together(
    object_server: ObjectServer, here: Store, tmp_path: Path
) -> None:
    remote_of(here).write(NAME, b"good")
    content = os.urandom(3 * BLOCK)
    (tmp_path / "a.bin").write_bytes(content[:-1])
    before = len(object_server.asked())
    with pytest.raises(OSError, match=r"a\.bin: changed while it was uploaded"):
        remote_of(here).upload(tmp_path, "rows/run=1", [described(content)])
    assert begun_or_completed(object_server.asked(before)) == ["uploads="]
    assert remote_of(here).read(NAME) == b"good"


def test_a_run_that_is_there_is_neither_sent_nor_read_again(
    object_server: ObjectServer, here: Store, there: Store
) -> None:
    made = make(here, "one")
    before = len(object_server.asked())
    assert make(there, "one") == made
    assert of_runs(object_server.asked(before), "PUT", "POST", "GET") == []


def test_with_force_every_file_is_sent_again(
    object_server: ObjectServer, bucket: str, here: Store, there: Store
) -> None:
    """A server may lose a bit, and still tell what it was told of the object."""
    made = make(here, "one")
    key = f"store/{Store.relative('rows', DAY, made.run)}/part/a.txt"
    record = {"sha256": made.files[0].sha256}
    object_server.client.put_object(Bucket=bucket, Key=key, Body=b"oNe", Metadata=record)
    with pytest.raises(DamagedError, match=r"part/a\.txt: not the bytes that were written"):
        there.folder(made)
    assert not [path for path in there.local.rglob("*") if path.is_file()], "a bad file stays in the cache"
    with here.staging("rows", DAY) as folder:
        (folder / "part").mkdir()
        (folder / "part" / "a.txt").write_text("one")
        again = here.commit(
            "rows", DAY, folder, rows=3, inputs={"raw/a": "1"}, options={"a.b": 1}, version=3, made_by={}, details={},
            afresh=True,
        )  # fmt: skip
    assert again == made
    assert (there.folder(made) / "part" / "a.txt").read_text() == "one"


def test_no_object_stands_for_a_folder(object_server: ObjectServer, bucket: str, here: Store) -> None:
    made = make(here, "one")
    names = [f"rows/ds={DAY}.json", f"{Store.relative('rows', DAY, made.run)}/part/a.txt"]
    assert sorted(object_server.keys(bucket)) == sorted(f"store/{name}" for name in names)


def test_objects_that_stand_for_folders_are_passed_over(
    object_server: ObjectServer, bucket: str, here: Store, there: Store
) -> None:
    """Earlier releases put them."""
    made = make(here, "one")
    run = Store.relative("rows", DAY, made.run)
    for folder in ("rows", f"rows/ds={DAY}", run, f"{run}/part"):
        object_server.client.put_object(Bucket=bucket, Key=f"store/{folder}/", Body=b"")
    assert (there.tables(), there.days("rows")) == (["rows"], [DAY])
    assert (there.folder(made) / "part" / "a.txt").read_text() == "one"
    other = make(here, "two")
    assert {run.name for run in there.runs("rows")} == {made.run, other.run}
    fresh = Store(there.root, cache=there.local.parent / "fresh")
    assert (fresh.run_folder("rows", DAY, made.run) / "part" / "a.txt").read_text() == "one"


def commits_meanwhile(here: Store, there: Store, text: str) -> Manifest:
    """What comes of committing a day here, when another machine commits `text` while this one is at work."""
    with here.staging("rows", DAY) as folder:
        other = make(there, text)
        (folder / "part").mkdir()
        (folder / "part" / "a.txt").write_text("here")
        made = here.commit(
            "rows", DAY, folder, rows=4, inputs={"raw/a": "1"}, options={"a.b": 1}, version=3,
            made_by={"machine": "here"}, details={},
        )  # fmt: skip
    assert made == other
    return made


@pytest.mark.parametrize("before", [None, "before"])
def test_of_two_machines_at_a_day_the_first_wins_and_the_other_says_so(
    here: Store, there: Store, before: str | None
) -> None:
    if before is not None:
        make(here, before)
    with pytest.raises(InputError, match=r"rows of 2026-11-02: another machine made it .* as run [0-9a-f]{16} \(here"):
        commits_meanwhile(here, there, "there")
    in_force = here.manifest("rows", DAY)
    assert in_force is not None
    assert (here.folder(in_force) / "part" / "a.txt").read_text() == "there"


def test_a_machine_that_made_the_same_meanwhile_is_in_nobodys_way(here: Store, there: Store) -> None:
    assert dict(commits_meanwhile(here, there, "here").made_by) == {}


def test_where_the_server_is_not_to_compare_the_version_is_read_before(
    here: Store, there: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CONDITIONAL_PUT", "disabled")
    store = Store(here.root, cache=here.local)
    make(store, "one")
    with pytest.raises(InputError, match="another machine made it"):
        commits_meanwhile(store, there, "there")
    assert make(store, "two") == store.manifest("rows", DAY)


def test_whether_the_first_of_two_machines_wins_is_tried_and_leaves_nothing(
    object_server: ObjectServer, bucket: str, here: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert remote_of(here).objects.first_wins()
    monkeypatch.setenv("AWS_CONDITIONAL_PUT", "disabled")
    assert not Remote(here.root).objects.first_wins()
    assert object_server.keys(bucket) == []


def test_a_bucket_that_does_not_exist_is_an_error_before_any_work(object_server: ObjectServer, tmp_path: Path) -> None:
    store = Store(object_server.url("no-such-bucket"), cache=tmp_path)
    for look in (lambda: store.manifest("rows", DAY), lambda: store.days("rows"), store.tables):
        with pytest.raises(ConfigError, match="s3://no-such-bucket/store: there is no such bucket"):
            look()


FORKED = """
import os, sys
from pnn_gluon.errors import PnnError
from pnn_gluon.store.remote import Remote
remote = Remote(sys.argv[1])
if len(sys.argv) > 2:
    remote.names("rows")
child = os.fork()
if child == 0:
    try:
        remote.names("rows")
    except PnnError:
        os._exit(9)
    os._exit(0)
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.parametrize(("used", "status"), [((), 0), (("used",), 9)])
def test_a_fork_of_a_process_that_used_a_bucket_is_refused_and_does_not_hang(
    here: Store, used: tuple[str, ...], status: int
) -> None:
    command = [sys.executable, "-c", FORKED, here.root, *used]
    assert subprocess.run(command, check=False, timeout=60).returncode == status


class _Refusing(BaseHTTPRequestHandler):
    """Knows nobody."""

    def do_GET(self) -> None:
        self.send_response(403)
        self.end_headers()
        self.wfile.write(b"<Error><Code>AccessDenied</Code></Error>")

    def log_message(self, *words: object) -> None:
        pass


def test_refused_credentials_are_told_with_what_they_must_allow(here: Store, tmp_path: Path) -> None:
    with HTTPServer(("127.0.0.1", 0), _Refusing) as server:
        threading.Thread(target=server.handle_request).start()
        root = f"s3://bucket/store?endpoint_override=127.0.0.1:{server.server_port}&scheme=http"
        with pytest.raises(PermissionError, match=r"s3://bucket/store/rows/ds=.*: refused; see that the credentials"):
            Store(root, cache=tmp_path).manifest("rows", DAY)
