"""Rows of libffm, libsvm and CSV files, and what is said about malformed ones."""

import gzip

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pnn_gluon.config import CategoricalField, MultiField, NumericField
from pnn_gluon.errors import InputError
from pnn_gluon.experiments.config import DataConfig
from pnn_gluon.experiments.csv_rows import read_csv
from pnn_gluon.experiments.lib_rows import read_libffm, read_libsvm

THREE = {"train": "a", "valid": "b", "test": "c"}
FFM = DataConfig(format="libffm", **THREE)
SVM = DataConfig(format="libsvm", **THREE)
RANGES = DataConfig(
    format="libsvm",
    fields=(CategoricalField(name="user"), MultiField(name="tags", kind="multi", max_values=3)),
    indices={"user": (0, 9), "tags": (10, 99)},
    **THREE,
)

number = st.integers(0, 10**9 - 1)
label = st.sampled_from(["0", "1"])
quick = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


def csv(**options):
    return DataConfig(format="csv", **THREE, **options)


def as_lists(rows):
    """Label and, for each field, the values of each row."""
    fields = {}
    for field in rows.fields:
        texts = rows.table[field.name].to_pylist()
        split = [[] if text is None else text.split("|") if field.kind == "multi" else [text] for text in texts]
        fields[field.name] = [[part for part in map(str.strip, texts) if part] for texts in split]
    return rows.label.tolist(), fields


def write(folder, *lines, name="rows.txt"):
    path = folder / name
    path.write_text("".join(f"{line}\n" for line in lines), newline="")
    return path


@quick
@given(st.lists(st.tuples(label, st.lists(st.tuples(st.integers(0, 5), number), max_size=6)), min_size=1, max_size=8))
def test_libffm_rows_written_are_the_rows_read(tmp_path, rows):
    lines = [" ".join([y, *(f"{field}:{feature}:1" for field, feature in entries)]) for y, entries in rows]
    label, found = as_lists(read_libffm(write(tmp_path, *lines), FFM))
    fields = sorted({field for _, entries in rows for field, _ in entries})
    expected = {
        f"field_{n}": [{str(feature): None for field, feature in entries if field == n} for _, entries in rows]
        for n in fields
    }
    assert label == [float(y) for y, _ in rows]
    assert {name: [dict.fromkeys(texts) for texts in values] for name, values in found.items()} == expected


@quick
@given(
    st.integers(0, 4).flatmap(
        lambda n: st.lists(
            st.tuples(label, st.sets(number, min_size=n, max_size=n).map(sorted)), min_size=1, max_size=8
        )
    )
)
def test_libsvm_rows_written_are_the_rows_read(tmp_path, rows):
    lines = [" ".join([y, *(f"{index}:1" for index in entries)]) for y, entries in rows]
    found = as_lists(read_libsvm(write(tmp_path, *lines), SVM))
    places = range(len(rows[0][1]))
    expected = {f"field_{n}": [[str(entries[n])] for _, entries in rows] for n in places}
    assert found == ([float(y) for y, _ in rows], expected)


def test_libsvm_ranges_are_fields_of_one_or_several_values(tmp_path):
    found = as_lists(read_libsvm(write(tmp_path, "1 3:1 10:1 99:1", "-1 4:1", "-1 12:1"), RANGES))
    assert found == ([1, 0, 0], {"user": [["3"], ["4"], []], "tags": [["10", "99"], [], ["12"]]})


def test_values_of_1_and_spaces_may_be_written_in_several_ways(tmp_path):
    path = write(tmp_path, "+1\t0:007:1.0  1:2:1 ", "-1.0 0:7:1.")
    assert as_lists(read_libffm(path, FFM)) == ([1, 0], {"field_0": [["7"], ["7"]], "field_1": [["2"], []]})


@pytest.mark.parametrize("end", ["", "\n", "\n \n\r\n"])
@pytest.mark.parametrize("one", ["1", "1.", "1.000000", "+1", "1e0", "1.0E+00", "01"])
def test_a_one_is_a_one_however_it_is_written(tmp_path, one, end):
    path = write(tmp_path, f" {one} 3:{one}\t12345678901:{one}", f"0e0 4:1 5:{one}")
    path.write_text(path.read_text() + end)
    found = as_lists(read_libsvm(path, SVM))
    assert found == ([1, 0], {"field_0": [["3"], ["4"]], "field_1": [["12345678901"], ["5"]]})
    path = write(tmp_path, f"  {one} 0:7:{one}", "-0.0 0:8:1", "")
    assert as_lists(read_libffm(path, FFM)) == ([1, 0], {"field_0": [["7"], ["8"]]})
    path = write(tmp_path, "label,a", f" {one} ,x", "-0.00,y", "", ",")
    assert as_lists(read_csv(path, csv())) == ([1, 0], {"a": [["x"], ["y"]]})


@pytest.mark.parametrize("line", ["1 7:1 3:1", "1 3:1 3:1"])
def test_indices_that_do_not_rise_are_no_fields_by_place(tmp_path, line):
    path = write(tmp_path, "0 4:1 8:1", line)
    received = " after ".join(part[:-2] for part in reversed(line.split()[1:]))
    with pytest.raises(InputError, match=f"line 2: expected rising indices, received {received}: .* declare `fields`"):
        read_libsvm(path, SVM)


def test_the_order_of_indices_does_not_matter_in_ranges(tmp_path):
    sorted_, other = (as_lists(read_libsvm(write(tmp_path, line), RANGES)) for line in ("1 3:1 10:1", "1 10:1 3:1"))
    assert sorted_ == other


@pytest.mark.parametrize(
    "content", ["label,a\r\n1,x\r\n0,y\r\n", "\ufefflabel,a\n1,x\n0,y", '"label","a"\n"1","x"\n0,y\n']
)
def test_csv_of_other_programs_is_read(tmp_path, content):
    path = tmp_path / "rows.csv"
    path.write_text(content, newline="")
    assert as_lists(read_csv(path, csv())) == ([1, 0], {"a": [["x"], ["y"]]})


def test_compressed_files_are_read(tmp_path):
    path = tmp_path / "rows.ffm.gz"
    path.write_bytes(gzip.compress(b"1 0:5:1\n0 0:6:1\n"))
    assert as_lists(read_libffm(path, FFM)) == ([1, 0], {"field_0": [["5"], ["6"]]})


@pytest.mark.parametrize(
    ("read", "data", "line", "expected"),
    [
        (
            read_libffm,
            FFM,
            "1 0:3:0.5",
            "expected `field:feature:1`, received '0:3:0.5'; put numbers into buckets first",
        ),
        (read_libffm, FFM, "1 0:3", "expected `field:feature:1`, received '0:3'"),
        (read_libffm, FFM, "1 a:3:1", "received 'a:3:1'"),
        (read_libffm, FFM, "1 0:-3:1", "received '0:-3:1'"),
        (read_libffm, FFM, "1 0:3:1,", "received '0:3:1,'"),
        (read_libffm, FFM, "2 0:3:1", "expected the label 0 or 1 (or -1 or 1) first, received '2'"),
        (read_libffm, FFM, "", "expected the label 0 or 1 (or -1 or 1) first, received ''"),
        (read_libffm, FFM, " 0:3:1", "expected the label 0 or 1"),
        (read_libsvm, SVM, "1 3:0.1e1", "expected `index:1`, received '3:0.1e1'; put numbers into buckets first"),
        (read_libsvm, SVM, "2e0 3:1", "expected the label 0 or 1 (or -1 or 1) first, received '2e0'"),
        (read_libsvm, SVM, "1 3:2", "expected `index:1`, received '3:2'; put numbers into buckets first"),
        (read_libsvm, SVM, "1 qid:3", "expected `index:1`, received 'qid:3'"),
        (read_libsvm, SVM, "1 4:1 5:1", "expected 1 entries as in the first line of train, received 2"),
        (
            read_libsvm,
            RANGES,
            "1 100:1",
            "expected an index in one range of `indices`, received 100, which lies in no range",
        ),
    ],
)
def test_a_malformed_line_gives_file_line_expected_and_received(tmp_path, read, data, line, expected):
    good = "1 0:3:1" if read is read_libffm else "1 3:1"
    path = write(tmp_path, good, good, line, good)
    with pytest.raises(InputError) as caught:
        read(path, data)
    assert str(caught.value).startswith(f"{path} line 3: ")
    assert expected in str(caught.value)


def test_an_index_in_two_ranges_is_refused(tmp_path):
    fields, indices = (CategoricalField(name="a"), CategoricalField(name="b")), {"a": (0, 5), "b": (5, 9)}
    with pytest.raises(InputError, match=r"line 1: .* received 5, which lies in several ranges"):
        read_libsvm(write(tmp_path, "1 5:1"), DataConfig(format="libsvm", fields=fields, indices=indices, **THREE))


def test_several_values_of_a_field_of_one_are_refused_with_its_declaration(tmp_path):
    with pytest.raises(InputError, match=r'line 2: field \'user\' has several values; .* kind = "multi"'):
        read_libsvm(write(tmp_path, "1 5:1", "0 3:1 4:1 10:1"), RANGES)


@pytest.mark.parametrize("lines", [("1 0:1:1", "0 0:1:1", "-1 0:1:1"), ("-1 0:1:1", "0.0 0:1:1")])
def test_labels_0_and_minus_1_in_one_file_are_refused(tmp_path, lines):
    with pytest.raises(InputError, match="received 0 and -1 both"):
        read_libffm(write(tmp_path, *lines), FFM)


def test_later_files_have_the_fields_of_train(tmp_path):
    path = write(tmp_path, "1 0:1:1", "0 2:1:1")
    train = tuple(CategoricalField(name=f"field_{n}") for n in range(3))
    assert as_lists(read_libffm(path, FFM, train))[1]["field_1"] == [[], []]
    with pytest.raises(InputError, match="line 2: field 2 does not occur in the train file"):
        read_libffm(path, FFM, train[:2])
    with pytest.raises(InputError, match="line 1: expected 3 entries as in the first line of train, received 1"):
        read_libsvm(write(tmp_path, "1 0:1"), SVM, train)


def test_of_a_field_that_has_one_feature_in_train_the_first_counts_later(tmp_path):
    rows = read_libffm(write(tmp_path, "1 0:5:1 0:6:1", "0 0:7:1"), FFM, (CategoricalField(name="field_0"),))
    assert as_lists(rows)[1] == {"field_0": [["5"], ["7"]]}


def test_csv_values_are_text_and_columns_are_found_by_name(tmp_path):
    train = write(tmp_path, "b,label,a", "01,1,NA", "1,0,", '"x,y",0,null')
    expected = {"b": [["01"], ["1"], ["x,y"]], "a": [["NA"], [], ["null"]]}
    read = read_csv(train, csv())
    assert as_lists(read) == ([1, 0, 0], expected)
    assert read_csv(train, csv(missing=())).table["a"].to_pylist() == ["NA", "", "null"]
    assert read_csv(train, csv(missing=("NA", ""))).table["a"].to_pylist() == [None, None, "null"]
    other = write(tmp_path, "label,c,a,b", "-1,9,q,7", name="other.csv")
    assert as_lists(read_csv(other, csv(), read.fields)) == ([0], {"b": [["7"]], "a": [["q"]]})


def test_csv_fields_may_be_sets_and_have_other_names(tmp_path):
    fields = (CategoricalField(name="user", column="User ID"), MultiField(name="tags", kind="multi", max_values=2))
    path = write(tmp_path, "y;USER id;tags;extra", "1;5; a|b |;0", "0;6;;1", "0;7;c;2")
    rows = read_csv(path, csv(label="y", delimiter=";", fields=fields))
    assert as_lists(rows) == ([1, 0, 0], {"user": [["5"], ["6"], ["7"]], "tags": [["a", "b"], [], ["c"]]})


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (("label,a", "1,2", "0,2,3", "1,2"), " line 3: expected 2 columns as in the header, received 3"),
        (("label,a", "1,2", "yes,3"), " line 3: expected the label 0 or 1 (or -1 or 1), received 'yes'"),
        (("label,a", "1,2", ",3"), " line 3: expected the label 0 or 1 (or -1 or 1), received ''"),
        (("click,a", "1,2"), " line 1: no column 'label'; there are click, a"),
        (("label,a,a", "1,2,3"), " line 1: a column comes twice in label, a, a"),
        ((), ": cannot be read as CSV with a header"),
        (("",), " line 1: column 1 of 1 has no name"),
        (("label,a,", "1,2,3"), " line 1: column 3 of 3 has no name"),
        (("label,a", "1,2", "", "1,2"), " line 3: expected the label 0 or 1 (or -1 or 1), received ''"),
        (("label,a", "1,2", '1,"3', "0,4"), " line 3: column 'a' has a value of several lines: close its quote"),
    ],
)
def test_a_malformed_csv_gives_file_line_expected_and_received(tmp_path, lines, expected):
    path = write(tmp_path, *lines)
    with pytest.raises(InputError) as caught:
        read_csv(path, csv())
    assert f"{path}{expected}" in str(caught.value)


def test_a_csv_without_a_field_of_train_is_refused(tmp_path):
    path, train = write(tmp_path, "label,a", "1,2"), (CategoricalField(name="a"), CategoricalField(name="b"))
    with pytest.raises(InputError, match="line 1: no column 'b'; there are label, a"):
        read_csv(path, csv(), train)


def test_names_of_columns_are_compared_in_lower_case_without_blanks(tmp_path):
    path = write(tmp_path, " Label ,C1", "1,X")
    assert as_lists(read_csv(path, csv(label="LABEL"))) == ([1], {"c1": [["X"]]})


@pytest.mark.parametrize("name", ["user id", "1st", "rowid"])
def test_a_column_that_no_field_is_named_after_is_refused_unless_fields_are_listed(tmp_path, name):
    path = write(tmp_path, f"label,{name},a", "1,x,y")
    with pytest.raises(InputError, match=f"line 1: column '{name}': a field's name .* list the fields"):
        read_csv(path, csv())
    assert as_lists(read_csv(path, csv(fields=(CategoricalField(name="a"),)))) == ([1], {"a": [["y"]]})


def test_numbers_are_read_as_the_daily_pipeline_reads_them(tmp_path):
    path = write(tmp_path, "label,price", "1, +5. ", "0,", "1,.5e1", "0,-1e-3", '0,"NA"')
    rows = read_csv(path, csv(fields=(NumericField(name="price", kind="numeric"),), missing=("", "NA")))
    assert rows.table["price"].to_pylist() == [5.0, None, 5.0, -0.001, None]


@pytest.mark.parametrize("text", ["x", "1e999", "nan", "inf", "1 2", "0x1"])
def test_a_text_that_is_no_finite_number_is_refused_with_its_line(tmp_path, text):
    path = write(tmp_path, "label,price", "1,5", f"0,{text}")
    with pytest.raises(InputError, match=f"line 3: column 'price': expected a number, received '{text}'; .*missing"):
        read_csv(path, csv(fields=(NumericField(name="price", kind="numeric"),)))


def test_rows_taken_keep_their_values(tmp_path):
    rows = read_libffm(write(tmp_path, "1 0:1:1 0:2:1", "0 1:5:1", "1 0:3:1", "0 0:4:1 1:6:1"), FFM)
    taken = as_lists(rows.take(np.array([1, 3])))
    assert taken == ([0, 0], {"field_0": [[], ["4"]], "field_1": [["5"], ["6"]]})
