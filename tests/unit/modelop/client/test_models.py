"""Types of models, and a load as the server reads it."""

from __future__ import annotations

from pathlib import Path

import pytest

from stream_scorer.errors import SettingsError
from stream_scorer.modelop.client import models


@pytest.mark.parametrize(
    ("given", "file", "end"),
    [
        ("python3", "m.py", "python3"),
        (None, "m.py", "python"),
        (None, "m.py3", "python3"),
        ("r", None, "r"),
        (None, "m.ipynb", "jupyter"),
        (None, None, "python"),
    ],
)
def test_the_type_is_told_or_seen(given, file, end):
    found = models.model_type(given, Path(file) if file else None, b"import x\ndef action(x):\n  yield x\n")
    assert found == f"application/vnd.fastscore.model-{end}"


@pytest.mark.parametrize(("given", "file"), [("cobol", "m.py"), (None, "m.txt")])
def test_a_type_that_is_not_there_is_refused(given, file):
    with pytest.raises(SettingsError, match="python3"):
        models.model_type(given, Path(file), b"")


def test_attachments_are_archives():
    assert models.attachment_type("x.TAR.GZ") == "application/gzip"
    assert models.attachment_type("x.zip") == "application/zip"
    with pytest.raises(SettingsError, match="archive"):
        models.attachment_type("x.csv")
