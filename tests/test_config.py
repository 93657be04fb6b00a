"""The configuration is checked once, at the edge, and says what is wrong where."""

import datetime
import re
from pathlib import Path

import pytest

from pnn_gluon.config import RESERVED_NAMES, Config, day_path, load_config
from pnn_gluon.configurations import pipeline_files, refuse_shared
from pnn_gluon.errors import ConfigError
from pnn_gluon.pipeline.options import chosen_options

CARRYING = "[training]\nwindow_days = 1\nwarm_start = true\ncarry_optimizer = true\n"

BASE = """
name = "test"
first_day = 2026-11-01
fields = [{ name = "c1" }, { name = "i1", kind = "numeric" }]
[store]
root = "store"
[source]
logs = "logs/{day}.tsv"
columns = ["label", "i1", "c1"]
[model]
name = "fm"
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "pipeline.toml"
    path.write_text(text)
    return path


def load(folder: Path, text: str) -> Config:
    return load_config(write(folder, text))


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    config = load(tmp_path, BASE)
    assert config.store_root == str(tmp_path / "store")
    assert config.resolve("s3://bucket/logs") == "s3://bucket/logs"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("[model]", "[modle]\n[model]"), "modle: unknown key, did you mean 'model'?"),
        (
            ('name = "fm"', 'name = "fm"\nembeding_size = 3'),
            "model.embeding_size: unknown key, did you mean 'embedding_size'?",
        ),
        (('name = "fm"', 'name = "fmm"'), "model.name: there is no model 'fmm', did you mean 'fm'?"),
        (('name = "fm"', 'name = "lr"\nembedding_size = 3'), "model 'lr' has no option 'embedding_size'"),
        (('kind = "numeric"', 'kind = "numeric", bukets = 3'), "fields.1.bukets: unknown key, did you mean 'buckets'?"),
        (('kind = "numeric"', 'kind = "numeric", bucketing = "log", buckets = 3'), "`buckets` has an effect with"),
        (('kind = "numeric"', 'kind = "numeric", bucketing = "edges"'), "`edges` goes with bucketing = 'edges'"),
        (('{ name = "c1" }', '{ name = "c2" }'), "field c2: no column 'c2' in the source"),
        (('{ name = "c1" }', '{ name = "c1" }, { name = "c1" }'), "field 'c1' is declared twice"),
        (('{ name = "c1" }', '{ name = "rate", column = "c1" }'), "field name 'rate' is taken"),
        (("[model]", "[sampling]\ntrain = 0.5\n[model]"), "train + calibrate + gate must be 1, not 0.7"),
        (
            ("[model]", "[sampling]\nnegative_rate = 0\n[model]"),
            "sampling.negative_rate: Input should be greater than 0",
        ),
        (("[model]", "[training]\nwarm_start = true\n[model]"), "set window_days = 1"),
        (("[model]", "[training]\ncarry_optimizer = true\n[model]"), "no effect without warm_start = true"),
        (("[model]", f'{CARRYING}optimizer = "sgd"\n[model]'), "no effect with optimizer 'sgd', which has no state"),
        (("[model]", f"{CARRYING}average_decay = 0.9\n[model]"), "average_decay means: take one of the two"),
        (("[model]", f'{CARRYING}kvstore = "dist_sync"\n[model]'), "states stay on the servers"),
        (("[model]", '[training]\nvalidation = "last_day"\nwindow_days = 1\n[model]'), "leaves nothing to train on"),
        (("[model]", "[calibration]\nwindow_days = 8\n[model]"), "at most training.window_days (7)"),
        (
            ("[model]", '[calibration]\nsegment = "c9"\n[model]'),
            "calibration.segment: no field 'c9'",
        ),
        (("[model]", '[calibration]\nmethod = "none"\nsegment = "c1"\n[model]'), "`segment` has no effect with method"),
        (
            ('{ name = "c1" }', '{ name = "c1", kind = "multi" }]\ncalibration = { segment = "c1" }\n#'),
            "calibration.segment: field 'c1' has several values a row",
        ),
        (("[model]", '[evaluation]\ncluster = "c9"\n[model]'), "evaluation.cluster: no field 'c9'"),
        (("[model]", '[evaluation]\nauc_by = ["i1"]\n[model]'), "field 'i1' is numeric; expected a categorical field"),
        (("[model]", '[evaluation]\nslices = ["i1"]\n[model]'), "field 'i1' is numeric; expected a categorical field"),
        (("[model]", "[evaluation]\nslice_values = 3\n[model]"), "`slice_values` belongs to `slices`: name the fields"),
        (("[model]", "[training]\nl1 = 0.1\n[model]"), "l1 = 0.1 has no effect with optimizer 'adam'"),
        (("[model]", "[training]\nloss = 'squared'\n[model]"), "training.loss: unknown key"),
        (
            ("[model]", "[training]\nplateau_factor = 1.5\n[model]"),
            "training.plateau_factor: Input should be less than 1",
        ),
        (("[model]", "[training]\ndecoupled = true\n[model]"), "decoupled has no effect without embedding_l2"),
        (
            ("[model]", '[training]\nschedule = "plateau"\nvalidation = "none"\n[model]'),
            "schedule = 'plateau' has no effect with validation = 'none'",
        ),
        (("[model]", '[training]\nschedule = "plateau"\n[model]'), "has no effect with patience 1 and 10 epochs"),
        (("[model]", '[gate]\nslices = ["c3"]\n[model]'), "gate.slices: no field 'c3'"),
        (("[store]", '[store]\ncache_limit = "1GB"'), "`cache_limit` has no effect on a folder"),
        (("[model]", '[publish]\ntable = "x; drop table y"\n[model]'), "publish.table: String should match pattern"),
        (
            ("[model]", '[publish]\nserver = "postgresql://me:secret@db"\n[model]'),
            "publish.server: String should match",
        ),
        (('"logs/{day}.tsv"', '["logs/{day}", "/a/{date}"]'), "`logs`: no {date}; a day is one of {day}"),
        (('"logs/{day}.tsv"', '["a/{day}", "a/{day}"]'), "`logs`: expected a pattern, or a list of different ones"),
        (('"logs/{day}.tsv"', '["a/{day}", "s3://a/{day}"]'), "`logs`: the patterns of a list lie in one store"),
        (('"logs/{day}.tsv"', '["s3://b/{day}", "s3://a/{day}"]'), "`logs`: the patterns of a list lie in one store"),
        (('"logs/{day}.tsv"', '["a/{day}", "b/{yyyy}/{mm}"]'), "each names a whole day, or none does"),
        (('"logs/{day}.tsv"', '["a/{day}", 5]'), "source.logs.1: Input should be a valid string"),
        (("{day}", "{date}"), "`logs`: no {date}; a day is one of {day}"),
        (
            ('name = "fm"', 'name = "gbdt"\n[training]\nwarm_start = true\nwindow_days = 1'),
            "training.warm_start has no effect on model 'gbdt', which starts anew each day",
        ),
        (
            ('name = "fm"', 'name = "gbdt"\n[training]\nepochs = 10'),
            "training.epochs has no effect on model 'gbdt', which starts anew each day: leave it out; "
            "its options of training: patience, seed, unseen_share, validation, window_days",
        ),
        (
            ('name = "fm"', 'name = "gbdt"\n[training]\nseed = 2\nunseen_share = 0.0'),
            "training.seed has an effect on model 'gbdt' with model.subsample below 1 or unseen_share above 0 only",
        ),
        (('name = "fm"', 'name = "gbdt"\ndepth = 31'), "model.depth: Input should be less than or equal to 30"),
        (('name = "fm"', 'name = "fm"\ntrees = 3'), "model 'fm' has no option 'trees'"),
        (('root = "store"', ""), "store.root: required but missing"),
        (("[source]", '[source]\npreset = "critoe"'), "no preset 'critoe', did you mean 'criteo'?"),
        (("first_day = 2026-11-01", "first_day = 1"), "first_day:"),
        (("[source]", "[source"), "not valid TOML"),
        (("[model]", "[training]\nweight_decay = 0.1\n[model]"), "training.weight_decay has no effect on model 'fm'"),
        (("[model]", '[training]\nprecision = "bf16"\n[model]'), "training.precision has no effect on model 'fm'"),
        (
            ('name = "fm"', 'name = "fnn"\nhidden = []\nactivation = "tanh"\ndropout = 0.2'),
            "`activation` has no effect without hidden layers: leave it out, or give `hidden` one or more widths; "
            "`dropout` has no effect",
        ),
        (('name = "fm"', 'name = "wdl"\ncross_buckets = 9'), "`cross_buckets` has no effect without `crosses`"),
        (("[source]", '[source]\nquote = "|"\ndelimiter = "|"'), "`quote` and `delimiter` are both '|'"),
        (("[source]", "[engine]\nmemory_limit = '0MB'\n[source]"), "expected between 32MB and 1000000GB"),
        (('name = "test"', 'path = "x"\nname = "test"'), "path: unknown key"),
        (('"c1" }, { name', '"c1" }, 5, { name'), "fields.1: Input should be a valid dictionary or object"),
    ],
)
def test_an_error_names_the_key_and_what_is_allowed(tmp_path: Path, change: tuple[str, str], expected: str) -> None:
    path = write(tmp_path, BASE.replace(*change, 1))
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert str(path) in str(caught.value)
    assert expected in str(caught.value)


@pytest.mark.parametrize("key", ["fields", "columns", "first_day", "root", "logs", 'name = "fm"'])
@pytest.mark.parametrize(
    "value",
    ["5", "-1.5", "inf", "true", '""', '"\\u0000"', "[]", "[[]]", "{}", "{ a = 1 }", "07:32:00", "0001-01-01", "[nan]"],
)
def test_a_value_of_another_kind_is_one_clear_error_or_none(tmp_path: Path, key: str, value: str) -> None:
    start = BASE.index(key)
    end = BASE.index("\n", start)
    path = write(tmp_path, BASE[:start] + f"{key.partition(' ')[0]} = {value}" + BASE[end:])
    try:
        load_config(path)
    except ConfigError as error:
        lines = str(error).splitlines()
        assert len(lines) == 1, lines
        assert key.partition(" ")[0] in lines[0]


@pytest.mark.parametrize(
    ("change", "lines"),
    [
        (('{ name = "c1" }', '{ name = "C 1" }'), ["fields.0.name: String should match pattern"]),
        (('{ name = "c1" }', '{ nmae = "c1" }'), ["fields.0.nmae: unknown key, did you mean 'name'?"]),
        (('root = "store"', 'rot = "store"'), ["store.rot: unknown key, did you mean 'root'?"]),
        (('name = "fm"', "name = 5\nhidden = 3"), ["model.name: Input should be a valid string (received 5)"]),
        (
            ('name = "test"', 'name = "A"\nlast_day = 5'),
            ["name: String should match pattern", "last_day: Value error, expected a day such as 2026-11-01"],
        ),
    ],
)
def test_errors_that_follow_from_another_are_not_shown(
    tmp_path: Path, change: tuple[str, str], lines: list[str]
) -> None:
    path = write(tmp_path, BASE.replace(*change, 1))
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    shown = [line.removeprefix(f"{path}: ") for line in str(caught.value).splitlines()]
    assert len(shown) == len(lines), shown
    assert all(line.startswith(begin.replace("Value error, ", "")) for line, begin in zip(shown, lines, strict=True))


def test_a_file_that_begins_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    path = tmp_path / "pipeline.toml"
    path.write_bytes(b"\xef\xbb\xbf" + BASE.encode())
    assert load_config(path).name == "test"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (BASE.replace('"test"', '"tést"').encode("latin-1"), "not valid TOML: not UTF-8 at byte 10; save it as UTF-8"),
        (BASE.encode("utf-16"), "not UTF-8 at byte 0"),
        (b"a = " + b"[" * 10_000, "not valid TOML"),
        (b"a = " + b"9" * 5000, "not valid TOML"),
        (b"a = 99999999999999999999", "the integer 99999999999999999999 has more than 64 bits"),
        (b"", "name: required but missing"),
    ],
    ids=["latin-1", "utf-16", "nested", "digits", "integer", "empty"],
)
def test_a_file_that_is_no_toml_is_told_plainly(tmp_path: Path, content: bytes, expected: str) -> None:
    path = tmp_path / "pipeline.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=re.escape(expected)):
        load_config(path)


def test_a_folder_is_no_configuration(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: Is a directory; expected a TOML file"):
        load_config(tmp_path)


@pytest.mark.parametrize(("day", "fits"), [('"2026-11-01"', True), ("2026-11-01T10:00:00", False), ("20261101", False)])
def test_a_day_is_a_date_or_its_text(tmp_path: Path, day: str, fits: bool) -> None:
    path = write(tmp_path, BASE.replace("2026-11-01", day))
    if fits:
        assert load_config(path).first_day == datetime.date(2026, 11, 1)
    else:
        with pytest.raises(ConfigError, match="first_day"):
            load_config(path)


def test_an_error_shows_no_password_and_not_all_of_a_long_value(tmp_path: Path) -> None:
    path = write(tmp_path, BASE + '[publish]\nserver = "postgresql://me:sec@ret@db"\ntable = "' + "x" * 9000 + '"\n')
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert "sec" not in str(caught.value)
    assert "ret@" not in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_an_option_without_effect_that_has_its_default_is_no_error(tmp_path: Path) -> None:
    text = BASE.replace("[model]", '[training]\nprecision = "auto"\nweight_decay = 0.0\n[model]')
    assert load(tmp_path, text).training.precision == "auto"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such configuration file"):
        load_config(tmp_path / "none.toml")


def test_a_preset_gives_what_the_file_leaves_out(tmp_path: Path) -> None:
    text = BASE.replace('fields = [{ name = "c1" }, { name = "i1", kind = "numeric" }]\n', "")
    text = text.replace('columns = ["label", "i1", "c1"]', 'preset = "criteo"\nmax_reject_share = 0.5')
    config = load(tmp_path, text)
    assert len(config.fields) == 39
    assert config.source.columns[:2] == ("label", "i1")
    assert config.source.max_reject_share == 0.5


READY = Path(__file__).parents[1] / "conf"


@pytest.mark.parametrize("path", pipeline_files(READY), ids=lambda path: path.stem)
def test_ready_configurations_are_pipelines_that_share_nothing(path: Path) -> None:
    config = load_config(path)
    assert config.name == path.stem
    refuse_shared(config, READY)


def test_only_the_sections_asked_for_decide_a_fingerprint(tmp_path: Path) -> None:
    one = load(tmp_path, BASE)
    other = load(tmp_path, BASE + "embedding_size = 20\n")
    for sections, same in ((("source", "fields"), True), (("model.name",), True), (("model",), False)):
        assert (chosen_options(one, sections) == chosen_options(other, sections)) == same
    assert chosen_options(other, ("model.embedding_size",)) == {"model.embedding_size": 20}


def test_the_configuration_is_frozen(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="frozen"):
        load(tmp_path, BASE).name = "other"


def test_day_patterns() -> None:
    day = datetime.date(2026, 11, 2)
    assert day_path("a/{day}/b{yyyymmdd}-{yymmdd}", day) == "a/2026-11-02/b20261102-261102"


def with_model(folder: Path, lines: str) -> Config:
    return load(folder, BASE.replace('[model]\nname = "fm"', f"[model]\n{lines}"))


def test_adaptive_sizes_come_from_the_vocabulary(tmp_path: Path) -> None:
    model = with_model(tmp_path, 'name = "kfm"\nembedding_size = 12\nadaptive_c = 2.0').model
    assert model.options == {"embedding_size": 12}
    assert model.options_for((3, 100, 10**6)) == {"embedding_size": 12, "embedding_sizes": (3, 10, 12)}


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ('name = "ipnn"\nembedding_size = 4\nadaptive_c = 2.0', "model 'ipnn' has no option 'adaptive_c'"),
        ('name = "kfm"\nadaptive_c = 2.0', "`adaptive_c` needs `embedding_size`"),
        ('name = "kfm"\nembedding_size = 4\nadaptive_c = 2.0\nembedding_sizes = [1]', "no `embedding_sizes`"),
        ('name = "din"\ncandidate = "c1"\nhistory = "pasts"', "model: no field 'pasts'"),
        ('name = "wdl"\ncrosses = [["c1", "c2"]]', "model: no field 'c2'"),
    ],
)
def test_model_options_that_do_not_fit_are_refused(tmp_path: Path, lines: str, expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        with_model(tmp_path, lines)


@pytest.mark.parametrize("name", sorted(RESERVED_NAMES))
def test_a_field_named_as_a_column_that_a_step_adds_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=f"field name '{name}' is taken"):
        load(tmp_path, BASE.replace('{ name = "c1" }', f'{{ name = "{name}", column = "c1" }}'))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (('"logs/{day}.tsv"', '""'), "`logs`: empty"),
        (('"logs/{day}.tsv"', '"logs.tsv"'), "names no day, so the whole of it would be every day"),
        (("[model]", 'label = { positive = ["1", "2"], negative = ["0", "2.0"] }\n[model]'), "'2' is positive and neg"),
        (("[model]", "label = { positive = [] }\n[model]"), "need at least one text each"),
        (("[model]", 'on_repeat = "last"\n[model]'), "name `id_column`"),
    ],
)
def test_a_source_that_can_not_be_meant_is_refused(tmp_path: Path, change: tuple[str, str], expected: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(expected)):
        load(tmp_path, BASE.replace(*change))


@pytest.mark.parametrize(
    ("counts", "field", "expected"),
    [
        (("c1", "c"), "c1", "field 'c1' reads the label column 'c1'"),
        (("n", "c1"), "c1", "field 'c1' reads the label column 'c1'"),
        (("n", "k"), "c1", "label1: no column 'k' in the source"),
        (("n", "c"), "weight", "field name 'weight' is taken"),
    ],
)
def test_lines_of_counts_are_refused(tmp_path: Path, counts: tuple[str, str], field: str, expected: str) -> None:
    text = BASE.replace('["label", "i1", "c1"]', '["n", "c", "i1", "c1"]')
    text = text.replace('{ name = "c1" }', f'{{ name = "{field}", column = "c1" }}')
    weights = f'weights = {{ impressions = "{counts[0]}", clicks = "{counts[1]}" }}'
    with pytest.raises(ConfigError, match=re.escape(expected)):
        load(tmp_path, text.replace("[model]", f"{weights}\n[model]"))


@pytest.mark.parametrize(
    ("source", "column", "expected"),
    [
        ("", "Site ID", "field c1: column 'Site ID': a file without a header has columns named by `columns`"),
        ("", "device.geo", "a path into JSON lines needs kind = 'json'"),
        ('id_column = "Site ID"', "c1", "id: column 'Site ID': a file without a header"),
        ('time_column = "Site ID"', "c1", "time: column 'Site ID': a file without a header"),
        ('label = { column = "a.b" }', "c1", "label: column 'a.b': a file without a header"),
        ('header = true\nlabel = { column = "Click" }', "click", "field 'c1' reads the label column 'Click'"),
        ('kind = "json"\nlabel = { column = "a.b" }', "a.b", "field 'c1' reads the label column 'a.b'"),
        ('kind = "json"', "a..b", "field c1: column 'a..b': expected keys with dots between them, none of them empty"),
        ('kind = "json"', "a.*.b", "none of them empty or *"),
        ('kind = "json"', "a\\u0007", "fields.0.column: expected a column's name without control characters"),
        ('kind = "json"', "a\\u009f", "without control characters"),
        ('kind = "json"', "a\\u0000", "without control characters"),
        ('kind = "json"', 'a\\"b', "without control characters, double quotes"),
        ('kind = "json"', "a\\\\b", "without control characters, double quotes and backslashes"),
        ('kind = "json"', " a", "without blanks around it"),
        ('kind = "json"', "a" * 201, "at most 200 characters"),
        ('kind = "json"\nheader = true', "a", "`header` has no effect with kind = 'json'"),
        ('kind = "json"\ndelimiter = ","', "a", "`delimiter` has no effect with kind = 'json'"),
        ('kind = "json"\nquote = "\'"', "a", "`quote` has no effect with kind = 'json'"),
        ('kind = "json"\ncolumns = ["a"]', "a", "`columns` has no effect with kind = 'json'"),
        ('kind = "json"\npreset = "criteo"', "a", "`columns` has no effect with kind = 'json', whose lines name their"),
        ('columns = ["label", "C1", "i1"]', "c1", "columns[1]: column 'C1': a file without a header"),
        ('header = true\ncolumns = ["a b", "A B"]', "a b", "`columns` names a column twice"),
        ('header = true\ncolumns = ["label", "Site", "i1"]', "Sites", "no column 'Sites' in the source, did you mean"),
    ],
)
def test_a_column_that_the_files_can_not_have_is_refused(
    tmp_path: Path, source: str, column: str, expected: str
) -> None:
    listed = "" if "columns" in source or "header" in source or "json" in source else 'columns = ["label", "i1", "c1"]'
    text = BASE.replace('columns = ["label", "i1", "c1"]', f"{source}\n{listed}")
    with pytest.raises(ConfigError, match=re.escape(expected)):
        load(tmp_path, text.replace('{ name = "c1" }', f'{{ name = "c1", column = "{column}" }}'))


def test_with_a_header_columns_are_listed_as_the_files_name_them(tmp_path: Path) -> None:
    text = BASE.replace('["label", "i1", "c1"]', '["Label", "Item 1", "Site ID"]\nheader = true')
    text = text.replace('"c1" }', '"c1", column = "site id" }').replace('"i1", ', '"i1", column = "Item 1", ')
    assert [field.column for field in load(tmp_path, text).fields] == ["site id", "Item 1"]


def test_logs_without_a_day_are_read_for_one_day_or_by_a_time(tmp_path: Path) -> None:
    text = BASE.replace('"logs/{day}.tsv"', '"logs.tsv"')
    load(tmp_path, text.replace("[store]", "last_day = 2026-11-01\n[store]"))
    load(tmp_path, text.replace("[model]", 'time_column = "i1"\n[model]'))


@pytest.mark.parametrize("logs", ["/data/logs/{day}.tsv", "./logs/{day}.tsv", "s3://bucket/logs/{day}.tsv?region=x"])
def test_where_the_logs_lie_is_no_part_of_the_fingerprint(tmp_path: Path, logs: str) -> None:
    one, other = load(tmp_path, BASE), load(tmp_path, BASE.replace("logs/{day}.tsv", logs))
    assert chosen_options(one, ("source",)) == chosen_options(other, ("source",))
    below = load(tmp_path, BASE.replace("{day}.tsv", "{day}/a.tsv"))
    assert chosen_options(one, ("source",)) != chosen_options(below, ("source",))
