"""YAML from outside: plain values, and never more than its text; everything else is refused by name."""

from __future__ import annotations

import json

import pytest

from stream_scorer.errors import SettingsError
from stream_scorer.parsing.plain_yaml import MAX_BYTES, load

NINE = "\n".join(f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join(['*' + chr(97 + i)] * 9)}]" for i in range(8))
MERGES = "\n".join(f"m{i}: &m{i} {{<<: [{', '.join([f'*m{i - 1}'] * 50)}]}}" for i in range(1, 12))
REFUSED = {
    "aliases of aliases": (f"a: &a [x, x, x]\n{NINE}", "aliases"),
    "merges of merges": (f"m0: &m0 {{k: v}}\n{MERGES}", "aliases"),
    "one long text, many times": (f"a: &a {'x' * 50_000}\nb: [{', '.join(['*a'] * 100)}]", "aliases"),
    "a list that contains itself": ("&a [*a]", "itself"),
    "a mapping that contains itself": ("a: &a\n  b: *a", "itself"),
    "a merge of itself": ("a: &a\n  <<: *a", "itself"),
    "brackets": ("[" * 100_000, "nested"),
    "indents": ("\n".join(" " * depth + "a:" for depth in range(500)), "nested"),
    "aliases that nest": ("a0: &a0 [x]\n" + "\n".join(f"a{i}: &a{i} [*a{i - 1}]" for i in range(1, 80)), "nested"),
    "a tag of Python": ("a: !!python/object/apply:os.system [ls]", "tag"),
    "a tag of its own": ("a: !thing x", "tag"),
    "bytes": ("a: !!binary aGVsbG8=", "tag"),
    "a set": ("a: !!set {x, y}", "tag"),
    "a date by its tag": ("a: !!timestamp 2001-12-14", "tag"),
    "a list as a key": ("? [1, 2]\n: x", "unhashable"),
    "not a number": ("a: .nan", "JSON"),
    "an infinite number": ("a: -.inf", "JSON"),
    "5,000 digits": ("a: " + "9" * 5000, "digits"),
    "5,000 hex digits": ("a: 0x" + "f" * 5000, "bits"),
    "20,000 digits of base 60": ("a: " + ":".join(["1"] + ["59"] * 20_000), "bits"),
    "a NUL": ("a: \0", "not YAML"),
    "half a surrogate pair": ('a: "\\ud800"', "surrogate"),
    "half a surrogate pair as a key": ('"\\ud800": a', "surrogate"),
    "two documents": ("a: 1\n---\nb: 2", "not YAML"),
    "bytes that are no text": (b"\xff\xfe\x00", "not YAML"),
    "not UTF-8": (b"a: \xe9\xe9", "not YAML"),
    "a merge of a number": ("<<: 3", "not YAML"),
    "a tag that does not fit": ("!!int x", "not YAML"),
    "too much": (b"# " + b"x" * MAX_BYTES, "bytes"),
}


@pytest.mark.parametrize(("text", "said"), REFUSED.values(), ids=REFUSED)
def test_refused(text, said):
    with pytest.raises(SettingsError, match=said) as refused:
        load(text, "configuration")
    assert str(refused.value).startswith("configuration")
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 500


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b"", None),
        ("db: {type: sqlite, port: 3306, on: yes}", {"db": {"type": "sqlite", "port": 3306, "true": True}}),
        ("a: &a [1, 2.5, ~]\nb: *a", {"a": [1, 2.5, None], "b": [1, 2.5, None]}),
        ("a: &a {x: 1}\nb: {<<: *a, y: 2}", {"a": {"x": 1}, "b": {"x": 1, "y": 2}}),
        ("since: 2001-12-14\n2001-01-01: x", {"since": "2001-12-14", "2001-01-01": "x"}),
        ("at: 9999-12-31 23:59:59.9 -12", {"at": "9999-12-31 23:59:59.9 -12"}),
        ("1: one\n2.5: b\n~: c", {"1": "one", "2.5": "b", "null": "c"}),
        ("a: !!python/unicode 'x'", {"a": "x"}),
        ("[" * 60 + "]" * 60, json.loads("[" * 60 + "]" * 60)),
    ],
)
def test_read(text, value):
    assert load(text, "configuration") == value
