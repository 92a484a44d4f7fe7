"""Reading untrusted files: limits on size, depth, texts and names."""

import json
import os
import time

import pytest

from attnflow_keras.core.untrusted import (
    TEXT_LENGTH,
    file_inside,
    is_plain_name,
    plain_name,
    printable,
    read_json,
)


def test_json_within_the_limits(tmp_path):
    path = tmp_path / "x.json"
    content = {"a": [1, 2.5, None, True, 'brackets [[[ and "{{{" in texts'], "ü": {"b": "é\n"}}
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    assert read_json(path) == content
    assert read_json(path, depth=2) == content


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[" * 1_000_000, "nested 1000000 deep, more than 32"),
        ('{"a":' * 40 + "1" + "}" * 40, "nested 40 deep, more than 32"),
        (" " * 2_000_000, "more than 1,048,576 bytes"),
        ('"' + '\\"' * 500_000, "Unterminated string"),
        ('{"a": NaN}', "holds NaN, which is not valid JSON"),
        ("[-Infinity]", "holds -Infinity"),
        ("9" * 10_000, "integer string conversion"),
        (b"\xff\xfe", "can't decode"),
        ("", "Expecting value"),
    ],
)
def test_json_beyond_the_limits_is_refused_at_once(tmp_path, content, message):
    path = tmp_path / "x.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    start = time.perf_counter()
    with pytest.raises(ValueError, match=message):
        read_json(path)
    assert time.perf_counter() - start < 1


def test_texts_are_made_printable(tmp_path):
    path = tmp_path / "x.json"
    path.write_text(json.dumps({"a\x1b[2J": ["\x1b]0;title\x07", "x" * 10_000, "\ud800"]}))
    content = read_json(path)
    assert content["a�[2J"][0] == "�]0;title�"
    assert len(content["a�[2J"][1]) == TEXT_LENGTH
    json.dumps(content, ensure_ascii=False).encode()
    assert printable("right \u202e to left, \x9b, \r") == "right � to left, �, �"
    assert printable("tabs\tand\nlines, größer, 水, 👩\u200d🚀") == (
        "tabs\tand\nlines, größer, 水, 👩\u200d🚀"
    )


def test_plain_names():
    for name in ("mnist", "My flow (2)", "größer-3,5", "a.b", "x" * 100):
        assert is_plain_name(name)
        assert plain_name(name) == name
    bad = ["", ".", "..", ".hidden", "end.", "a/b", "/etc", "a\\b", 'a"b', "a'b", "x" * 101]
    bad += ["a\nb", "\x1b[0m", " a", "a ", "*"]
    for name in (*bad, None, 5, ["a"]):
        assert not is_plain_name(name)
        assert is_plain_name(plain_name(str(name)))
    assert plain_name("../it's") == "-it-s"


def test_files_lie_inside_their_folder(tmp_path):
    folder = tmp_path / "entry"
    folder.mkdir()
    (folder / "file").write_text("x")
    (tmp_path / "outside").write_text("x")
    (folder / "inner").symlink_to("file")
    (folder / "outer").symlink_to(tmp_path / "outside")
    (folder / "zero").symlink_to("/dev/zero")
    os.mkfifo(folder / "fifo")
    (folder / "sub").mkdir()
    assert file_inside(folder, "file") == folder / "file"
    assert file_inside(folder, "inner") == folder / "inner"
    assert file_inside(folder, "outer", tmp_path) == folder / "outer"
    for name, message in (
        ("outer", "link that leads out"),
        ("zero", "not a regular file"),
        ("fifo", "not a regular file"),
        ("sub", "not a regular file"),
        ("../outside", "not a plain file name"),
        (str(tmp_path / "outside"), "not a plain file name"),
    ):
        with pytest.raises(ValueError, match=message):
            file_inside(folder, name)
    with pytest.raises(FileNotFoundError):
        file_inside(folder, "nothing")
