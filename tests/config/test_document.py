from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from dcasearch.config import Document, Key, load_yaml, plain_report
from dcasearch.config.document import load_plain_yaml
from dcasearch.errors import ConfigError, Problem, UserError
from tests.config.support import places, write

TEXT = """\
# a comment
name: tiny
fidelities:
  - name: proxy
    epochs: 3
  - {name: full, seeds: [0, 1]}
data: {name: digits}
"""


@pytest.fixture
def document(tmp_path: Path) -> Document:
    return load_yaml(write(tmp_path, TEXT))


@pytest.mark.parametrize(
    ("path", "place"),
    [
        (("name",), (2, 7)),
        (("fidelities",), (3, 1)),
        (("fidelities", 0), (4, 5)),
        (("fidelities", 0, "epochs"), (5, 13)),
        (("fidelities", 1, "name"), (6, 12)),
        (("fidelities", 1, "seeds"), (6, 18)),
        (("fidelities", 1, "seeds", 1), (6, 29)),
        (("data", "name"), (7, 14)),
    ],
)
def test_a_value_has_its_line_and_column_and_a_mapping_those_of_its_key(
    document: Document, path: tuple[Any, ...], place: tuple[int, int]
) -> None:
    assert document.place(path) == place


def test_a_key_has_its_own_line_and_column(document: Document) -> None:
    assert document.place(("fidelities", 0, Key("epochs"))) == (5, 5)
    assert document.place((Key("name"),)) == (2, 1)


def test_what_stands_nowhere_is_at_the_nearest_place_above_it(document: Document) -> None:
    assert document.place(("fidelities", 0, "recipe", "lr")) == (4, 5)
    assert document.place(("space",)) == (2, 1)


def test_a_part_of_a_document_reports_at_its_place(document: Document) -> None:
    document.under(("fidelities", 0))(("epochs",), "too few")
    assert document.problems == [Problem(document.file, 5, 13, "fidelities.0.epochs: too few")]


def test_a_key_that_stands_twice_is_a_mistake_at_its_second_place(tmp_path: Path) -> None:
    document = load_yaml(write(tmp_path, "a: 1\nb: {c: 1, d: 2, c: 3}\na: 2\n"))
    assert [(p.line, p.column, p.message) for p in document.problems] == [
        (2, 17, "b.c: stands twice"),
        (3, 1, "a: stands twice"),
    ]


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("a: [1, 2\nb: 3\n", 2, 2, "expected ',' or ']'"),
        ("a: 1\n b: 2\n", 2, 3, "mapping values are not allowed here"),
        ("a: *nobody\n", 1, 4, "found undefined alias"),
        ("a: &a [*a]\n", 1, 4, "an alias to what holds it"),
        ("? [1, 2]\n: 3\n", 1, 3, "a key must be one word"),
        ("a: \x01\n", 1, 4, "the character U+0001 is not allowed"),
        ("a: 1\n---\nb: 2\n", 2, 1, "expected a single document in the stream, but found another document"),
        ("a: !!python/name:os.system x\n", 1, 4, "the tag !!python/name:os.system is not allowed"),
    ],
)
def test_what_is_no_yaml_is_one_mistake_with_its_place(
    tmp_path: Path, text: str, line: int, column: int, message: str
) -> None:
    with pytest.raises(ConfigError) as error:
        load_yaml(write(tmp_path, text))
    [(at_line, at_column, said)] = places(error.value)
    assert (at_line, at_column) == (line, column)
    assert said.startswith("is no YAML: ")
    assert message in said


def test_a_yaml_from_a_stranger_runs_no_code(tmp_path: Path) -> None:
    target = tmp_path / "made"
    with pytest.raises(ConfigError, match=r"file\.yaml:1:4: is no YAML: the tag !!python/object/apply:os\.mkdir"):
        load_yaml(write(tmp_path, f"a: !!python/object/apply:os.mkdir ['{target}']\n"))
    assert not target.exists()


@pytest.mark.parametrize("text", ["- 1\n- 2\n", "hello\n", "3\n"])
def test_a_document_must_be_a_mapping(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match="must be a mapping"):
        load_yaml(write(tmp_path, text))


def test_an_empty_document_is_an_empty_mapping(tmp_path: Path) -> None:
    assert load_yaml(write(tmp_path, "# nothing\n")).data == {}


def test_a_file_that_cannot_be_read_is_a_user_s_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere\.yaml: No such file"):
        load_yaml(tmp_path / "nowhere.yaml")
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"a: \xff\xfe")
    with pytest.raises(UserError, match="is not UTF-8 text"):
        load_yaml(binary)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("-2E3", -2000.0),
        ("1.0e-4", 1e-4),
        ("3", 3),
        ("'1e-4'", "1e-4"),
        ("e4", "e4"),
        ("true", True),
        ("2026-12-01", "2026-12-01"),
        ("2026-12-01T08:00:00", "2026-12-01T08:00:00"),
        ("null", None),
    ],
)
def test_scalars_are_read_as_people_mean_them(tmp_path: Path, text: str, value: object) -> None:
    read = load_yaml(write(tmp_path, f"a: {text}\n")).data["a"]
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('"${FULL}"', "images"),
        ('"${FULL}/train"', "images/train"),
        ('"${EMPTY:-there}"', "there"),
        ('"${UNSET:-there}"', "there"),
        ('"${UNSET:-sqlite:///x.db}"', "sqlite:///x.db"),
        ('"${UNSET:-}"', ""),
        ('"${EMPTY}"', ""),
        ('"${FULL} and ${OTHER}"', "images and 7"),
        ("${OTHER}", 7),
        ("${EMPTY}", ""),
        ("${UNSET:-3}", 3),
        ('"${OTHER}"', "7"),
        ('"$FULL"', "$FULL"),
    ],
)
def test_variables_are_filled_in(tmp_path: Path, text: str, value: object) -> None:
    document = load_yaml(write(tmp_path, f"a: {text}\n"), {"FULL": "images", "OTHER": "7", "EMPTY": ""})
    assert document.data["a"] == value
    assert document.missing == set()


def test_variables_that_are_not_set_and_have_no_default_are_named(tmp_path: Path) -> None:
    document = load_yaml(write(tmp_path, 'a: "${ONE}"\nb: ["${TWO}", "${THREE:-3}"]\n'), {})
    assert document.missing == {"ONE", "TWO"}
    assert document.problems == []


def test_anchors_and_aliases_repeat_a_part(tmp_path: Path) -> None:
    document = load_yaml(write(tmp_path, "a: &x {b: 1}\nc: *x\n"))
    assert document.data == {"a": {"b": 1}, "c": {"b": 1}}


def test_a_merge_key_is_a_key_like_any_other(tmp_path: Path) -> None:
    assert load_yaml(write(tmp_path, "a: &x {b: 1}\nc: {<<: *x}\n")).data["c"] == {"<<": {"b": 1}}


def test_mistakes_of_plain_data_are_raised_all_at_once() -> None:
    def spoil() -> None:
        with plain_report("space") as report:
            report(("b",), "wrong")
            report((), "empty")

    with pytest.raises(ConfigError) as error:
        spoil()
    assert str(error.value).splitlines() == ["space: b: wrong", "space: empty"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("010", "010 has a leading zero; write 10 for the decimal number, 8 for the octal one"),
        ("08", "08 has a leading zero; write 8, or '08' in quotes"),
        ("1:30", "1:30 is 90 in YAML 1.1 and a text in YAML 1.2; write 90"),
        ("0x10", "0x10 is 16 in YAML 1.1"),
        ("0b11", "0b11 is 3 in YAML 1.1"),
        ("1_000", "1_000 is 1000 in YAML 1.1"),
        ("1_0.5", "1_0.5 is 10.5 in YAML 1.1"),
    ],
)
def test_a_number_that_readers_of_yaml_read_differently_is_refused_with_what_was_meant(
    tmp_path: Path, text: str, message: str
) -> None:
    [problem] = load_yaml(write(tmp_path, f"a: {text}\n")).problems
    assert message in problem.message
    assert (problem.line, problem.column) == (1, 4)
    assert load_yaml(write(tmp_path, f"a: '{text}'\n")).problems == []


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a: " + "[" * 500 + "\n", 1, "more than 32 levels"),
        ("\n" + "- " * 500 + "\n", 2, "more than 32 levels"),
        ('a: "\\UFFFFFFFF"\n', 1, "an escape that no character has"),
        ('a: "\\0"\n', 1, "a text with the control character U+0000"),
        ('a: "\\e[31m"\n', 1, "a text with the control character U+001B"),
        ('a: "\\uD800"\n', 1, "a text with the control character U+D800"),
        ('"\\e": 1\n', 1, "a text with the control character U+001B"),
        ("a: !!bool maybe\n", 1, "'maybe' is no bool"),
        ("a: !!int x\n", 1, "'x' is no int"),
        ("a: !!float ''\n", 1, "'' is no float"),
        ("a: " + "1" * 5000 + "\n", 1, "a number of 5,000 digits"),
        ("a: !mine {b: 1}\n", 1, "the tag !mine is not allowed"),
        ("a: !!set {b}\n", 1, "the tag !!set is not allowed"),
    ],
)
def test_what_no_study_has_is_one_mistake_with_its_line(tmp_path: Path, text: str, line: int, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        load_yaml(write(tmp_path, text))
    [(at, _, said)] = places(error.value)
    assert at == line
    assert message in said


def test_aliases_cannot_make_more_values_than_a_file_may_hold(tmp_path: Path) -> None:
    levels = "".join(f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9))
    with pytest.raises(ConfigError, match="more than 450,000 keys and values, aliases included"):
        load_yaml(write(tmp_path, f"a0: &a0 [lol]\n{levels}"))


def test_aliases_cannot_nest_deeper_than_a_file_may(tmp_path: Path) -> None:
    levels = "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 40))
    with pytest.raises(ConfigError, match="more than 32 levels"):
        load_yaml(write(tmp_path, f"a0: &a0 [lol]\n{levels}"))


def test_only_regular_files_of_a_study_s_size_are_read(tmp_path: Path) -> None:
    pipe, loop, large = tmp_path / "pipe.yaml", tmp_path / "loop.yaml", tmp_path / "large.yaml"
    os.mkfifo(pipe)
    loop.symlink_to(loop)
    with large.open("wb") as file:
        file.truncate(10**9)
    said = {pipe: "is a pipe, not a file", loop: "Too many levels", large: "more than the 4,000,000 that are read"}
    said |= {tmp_path: "is a folder, not a file", Path("/dev/zero"): "is a device, not a file"}
    for path, message in {**said, Path("a\0b"): "NUL", tmp_path / ("n" * 300): "name too long"}.items():
        with pytest.raises(UserError, match=message):
            load_yaml(path)


def test_of_two_hundred_thousand_keys_the_first_thousand_are_read(tmp_path: Path) -> None:
    document = load_yaml(write(tmp_path, "".join(f"k{n}: 1\n" for n in range(200_000))))
    assert [str(p) for p in document.problems] == [
        f"{document.file}:1:1: has 200,000 keys; only the first 1,000 were looked at"
    ]
    assert len(document.data) == 1000


def test_of_many_mistakes_the_first_twenty_are_said_and_the_others_counted() -> None:
    error = ConfigError(Problem("a.yaml", line, 1, "wrong") for line in range(50, 0, -1))
    lines = str(error).splitlines()
    assert lines[0] == "a.yaml:1:1: wrong"
    assert lines[19:] == ["a.yaml:20:1: wrong", "... and 30 more mistakes"]


def test_a_message_shows_the_name_of_a_variable_and_not_its_value(tmp_path: Path) -> None:
    document = load_yaml(write(tmp_path, "a: ${SECRET}\n"), {"SECRET": "hunter2"})
    document.report(("a",), "'hunter2' is not allowed")
    assert document.problems[0].message == "a: '${SECRET}' is not allowed"


def test_a_value_whose_variable_is_not_set_says_so(tmp_path: Path) -> None:
    document = load_yaml(write(tmp_path, "a: ${UNSET_X}\n"), {})
    document.report(("a",), "must be an integer; got ''")
    assert document.problems[0].message.startswith("a: UNSET_X is not set")


def test_a_file_that_a_program_wrote_has_no_variables(tmp_path: Path) -> None:
    assert load_plain_yaml(write(tmp_path, "a: ${HOME}\n")) == {"a": "${HOME}"}


def test_a_message_never_has_a_character_that_a_terminal_obeys() -> None:
    document = Document("a\x1b.yaml")
    document.report(("k\x1b[31m\n",), "got \x1b]0;x\x07")
    assert str(document.problems[0]) == "a\\x1b.yaml:1:1: k\\x1b[31m\\n: got \\x1b]0;x\\x07"


def test_a_message_never_shows_the_password_of_a_url() -> None:
    document = Document("a.yaml")
    document.report(("storage",), "got ['postgresql://u:S3CRET@127.0.0.1:1/db']")
    assert document.problems[0].message == "storage: got ['postgresql://u:***@127.0.0.1:1/db']"
