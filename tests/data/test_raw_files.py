import datetime
import hashlib
import uuid
from pathlib import Path

import fsspec
import pytest

from pnn_gluon.data.raw_files import RawFile, fingerprint, list_raw_files, open_text
from pnn_gluon.errors import InputError

DAY = datetime.date(2026, 11, 2)


def put(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())


def test_files_of_the_day_come_sorted_with_names_below_the_fixed_folder(tmp_path: Path) -> None:
    put(tmp_path, "logs/2026-11-02/b.csv", "logs/2026-11-02/a.csv", "logs/2026-11-03/a.csv", "logs/2026-11-02/.tmp")
    files = list_raw_files("logs/{day}/*", DAY, tmp_path)
    assert [file.name for file in files] == ["2026-11-02/a.csv", "2026-11-02/b.csv"]
    assert files[0].path == str(tmp_path / "logs/2026-11-02/a.csv")
    assert files[0].size == len("logs/2026-11-02/a.csv")


def test_wildcards_stand_in_folders_and_file_names(tmp_path: Path) -> None:
    put(tmp_path, "x1/261102-a.csv", "x2/261102-b.csv", "x2/261102-b.txt", "x2/261103-a.csv", "y1/261102-a.csv", "x3")
    files = list_raw_files("x[0-9]/{yymmdd}-?.csv", DAY, tmp_path)
    assert [file.name for file in files] == ["x1/261102-a.csv", "x2/261102-b.csv"]


def test_a_pattern_that_ends_in_a_folder_means_the_files_directly_in_it(tmp_path: Path) -> None:
    put(tmp_path, "logs/2026-11-02/a.csv", "logs/2026-11-02/deeper/b.csv", "logs/2026-11-03/a.csv")
    files = list_raw_files("logs/{day}", DAY, tmp_path)
    assert [file.name for file in files] == ["2026-11-02/a.csv"]


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("logs/{day}/**", ["2026-11-02/a.csv", "2026-11-02/h/00/b.csv", "2026-11-02/h/c.csv"]),
        ("logs/{day}/**/*.csv", ["2026-11-02/a.csv", "2026-11-02/h/00/b.csv", "2026-11-02/h/c.csv"]),
        ("logs/{day}/**/**/b.csv", ["2026-11-02/h/00/b.csv"]),
        ("logs/{day}/**/00", ["2026-11-02/h/00/b.csv"]),
        ("logs/**/{day}/h/*", ["2026-11-02/h/c.csv"]),
        ("logs/{day}/**/_SUCCESS", ["2026-11-02/h/_SUCCESS"]),
        ("logs/{day}/a**v", ["2026-11-02/a.csv"]),
    ],
)
def test_two_stars_are_any_number_of_folders(tmp_path: Path, pattern: str, names: list[str]) -> None:
    put(tmp_path, *(f"logs/2026-11-02/{name}" for name in ("a.csv", "h/c.csv", "h/00/b.csv", "h/_SUCCESS", ".x/d.csv")))
    put(tmp_path, "logs/2026-11-02/_temporary/e.csv", "logs/2026-11-02/h/.crc", "logs/2026-11-03/a.csv")
    assert [file.name for file in list_raw_files(pattern, DAY, tmp_path)] == names


def test_two_stars_follow_no_link_that_leads_back(tmp_path: Path) -> None:
    put(tmp_path, "logs/2026-11-02/a.csv", "elsewhere/b.csv")
    (tmp_path / "logs/2026-11-02/ring").symlink_to(tmp_path / "logs")
    (tmp_path / "logs/2026-11-02/b.csv").symlink_to(tmp_path / "elsewhere/b.csv")
    names = [file.name for file in list_raw_files("logs/{day}/**", DAY, tmp_path)]
    assert names == ["2026-11-02/a.csv", "2026-11-02/b.csv"]


def test_year_month_and_day_may_be_folders_of_their_own(tmp_path: Path) -> None:
    put(tmp_path, "logs/2026/11/02/a.csv", "logs/2026/11/03/a.csv", "logs/2026/12/02/a.csv", "logs/2025/11/02/a.csv")
    (file,) = list_raw_files("logs/{yyyy}/{mm}/{dd}/*", DAY, tmp_path)
    assert file.name == "2026/11/02/a.csv"


SEVERAL = ["in/web/{day}/*", "in/app/{day}/*.csv"]


def test_files_of_several_patterns_are_named_below_the_folder_they_have_in_common(tmp_path: Path) -> None:
    names = ["app/2026-11-02/a.csv", "web/2026-11-02/a.csv"]
    for place in ("here", "there [1]/deeper"):
        put(tmp_path / place, *(f"in/{name}" for name in names), "in/app/2026-11-02/a.txt", "in/other/2026-11-02/a.csv")
        for patterns in (SEVERAL, SEVERAL[::-1], [*SEVERAL, "in/web/{day}/a.csv"]):
            files = list_raw_files(patterns, DAY, tmp_path / place)
            assert [file.name for file in files] == names
            assert [fingerprint(file) for file in files] == [
                hashlib.sha256(f"in/{name}".encode()).hexdigest() for name in names
            ]


def test_patterns_may_lie_in_folders_whose_names_hold_wildcards(tmp_path: Path) -> None:
    put(tmp_path, "there [1]/logs/2026-11-02/a.csv", "there 1/logs/2026-11-02/no.csv", "other/2026-11-02/b.csv")
    files = list_raw_files(["logs/{day}/*", "../other/{day}/*"], DAY, tmp_path / "there [1]")
    assert [file.name for file in files] == ["other/2026-11-02/b.csv", "there [1]/logs/2026-11-02/a.csv"]


def test_a_list_of_one_pattern_is_that_pattern(tmp_path: Path) -> None:
    put(tmp_path, "logs/2026-11-02/a.csv")
    assert list_raw_files(["logs/{day}/*"], DAY, tmp_path) == list_raw_files("logs/{day}/*", DAY, tmp_path)


def test_every_pattern_of_a_list_needs_files_of_the_day(tmp_path: Path) -> None:
    put(tmp_path, "in/web/2026-11-02/a.csv", "in/app/2026-11-03/a.csv")
    with pytest.raises(InputError, match=r"in/app/\{day\}/\*\.csv: no raw file for 2026-11-02"):
        list_raw_files(SEVERAL, DAY, tmp_path)


def test_patterns_of_a_bucket_are_named_below_what_they_have_in_common(tmp_path: Path) -> None:
    root = f"memory://{uuid.uuid4().hex}"
    for kind in ("web", "app"):
        with fsspec.open(f"{root}/{kind}/2026-11-02/a.csv", "wb") as stream:
            stream.write(kind.encode())
    files = list_raw_files([f"{root}/web/{{day}}/*", f"{root}/app/{{day}}/*"], DAY, tmp_path)
    assert [(file.name, open_text(file).read()) for file in files] == [
        ("app/2026-11-02/a.csv", b"app"),
        ("web/2026-11-02/a.csv", b"web"),
    ]


def test_names_do_not_depend_on_where_the_data_lie(tmp_path: Path) -> None:
    names = []
    for place in ("here", "there [1]/deeper"):
        put(tmp_path / place, "logs/20261102/a.csv")
        files = list_raw_files("logs/{yyyymmdd}/*.csv", DAY, tmp_path / place)
        names.append([file.name for file in files])
    assert names == [["20261102/a.csv"]] * 2


def test_a_single_file_is_named_by_itself(tmp_path: Path) -> None:
    put(tmp_path, "all.csv")
    (file,) = list_raw_files(str(tmp_path / "all.csv"), DAY, tmp_path)
    assert file.name == "all.csv"


def test_a_url_lists_and_reads_like_a_folder(tmp_path: Path) -> None:
    root = f"memory://{uuid.uuid4().hex}"
    with fsspec.open(f"{root}/logs/2026-11-02/part 0%.csv", "wb") as stream:
        stream.write(b"a,b\n")
    (file,) = list_raw_files(f"{root}/logs/{{day}}/*.csv", DAY, tmp_path)
    assert (file.name, file.path, file.size) == (
        "2026-11-02/part 0%.csv",
        f"{root}/logs/2026-11-02/part 0%.csv",
        4,
    )
    with open_text(file) as stream:
        assert stream.read() == b"a,b\n"


@pytest.mark.parametrize("pattern", ["logs/{day}/*.csv", "logs/{day}/a.csv", "logs/{day}", "logs/{day}/no/*"])
def test_an_empty_day_is_refused_with_the_pattern_the_day_and_the_place(tmp_path: Path, pattern: str) -> None:
    (tmp_path / "logs/2026-11-02").mkdir(parents=True)
    with pytest.raises(InputError) as refused:
        list_raw_files(pattern, DAY, tmp_path)
    for said in (pattern, "2026-11-02", str(tmp_path / "logs"), "deliver"):
        assert said in str(refused.value)


def test_a_file_delivered_in_two_compressions_is_refused(tmp_path: Path) -> None:
    put(tmp_path, "logs/2026-11-02/a.csv", "logs/2026-11-02/a.csv.gz")
    with pytest.raises(InputError, match=r"a\.csv\.gz.*same file as 2026-11-02/a\.csv"):
        list_raw_files("logs/{day}/*", DAY, tmp_path)


def test_case_makes_no_other_compression(tmp_path: Path) -> None:
    put(tmp_path, "logs/2026-11-02/a.csv.bz2", "logs/2026-11-02/a.csv.GZ")
    with pytest.raises(InputError, match=r"same file as 2026-11-02/a\.csv"):
        list_raw_files("logs/{day}/*", DAY, tmp_path)


@pytest.mark.parametrize(
    ("name", "plain"),
    [("a.csv.gz", "a.csv"), ("a.csv.ZST", "a.csv"), ("d.gz/a.csv", "d.gz/a.csv"), ("a.gz.gz", "a.gz"), ("gz", "gz")],
)
def test_a_name_is_plain_without_the_suffix_of_a_compression(tmp_path: Path, name: str, plain: str) -> None:
    assert RawFile(name, str(tmp_path / name), 0, str(tmp_path)).plain_name == plain


def test_fingerprint_is_the_sha256_of_the_stored_bytes(tmp_path: Path) -> None:
    content = bytes(range(256)) * 40_000
    (tmp_path / "a.csv.gz").write_bytes(content)
    (file,) = list_raw_files("a.csv.gz", DAY, tmp_path)
    assert fingerprint(file) == hashlib.sha256(content).hexdigest()


def test_a_file_that_vanished_is_an_input_error(tmp_path: Path) -> None:
    put(tmp_path, "a.csv")
    (file,) = list_raw_files("a.csv", DAY, tmp_path)
    (tmp_path / "a.csv").unlink()
    with pytest.raises(InputError, match=r"a\.csv: can't be opened"):
        fingerprint(file)
