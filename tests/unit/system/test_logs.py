"""Log lines: one line each, UTC, for people or for machines."""

from __future__ import annotations

import json
import logging
import re

from stream_scorer.system import logs

LOGGER = logging.getLogger("stream_scorer.service.loop")


def test_text(capsys):
    logs.set_up("INFO")
    LOGGER.info("assigned %s", "prices[0]")
    LOGGER.debug("not told")
    line = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO stream_scorer\.service\.loop: assigned prices\[0\]\n$"
    assert re.match(line, capsys.readouterr().err)


def test_json_is_one_line_even_with_a_traceback(capsys):
    logs.set_up("INFO", "json")
    try:
        int("a\nb")
    except ValueError:
        LOGGER.exception("two\nlines")
    (line,) = capsys.readouterr().err.splitlines()
    told = json.loads(line)
    assert (told["level"], told["logger"], told["message"]) == ("ERROR", "stream_scorer.service.loop", "two\nlines")
    assert "ValueError: invalid literal" in told["traceback"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", told["time"])


def test_setting_up_twice_tells_once(capsys):
    logs.set_up("INFO")
    logs.set_up("INFO")
    LOGGER.info("once")
    assert capsys.readouterr().err.count("once") == 1
