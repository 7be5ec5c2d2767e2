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


def test_no_text_of_a_record_forges_another_record(capsys):
    logs.set_up("INFO")
    forged = "key \x1b[31m\r\n2026-01-01T00:00:00.000Z INFO stream_scorer: all is well\u2028"
    LOGGER.error("rejected: %s", forged, exc_info=ValueError(forged))
    logging.getLogger("uvicorn.error").error("%s", forged)
    err = capsys.readouterr().err
    begins = [line for line in err.split("\n") if line and not line.startswith(" ")]
    assert [line.split()[1] for line in begins] == ["ERROR", "ERROR"]
    assert "\x1b" not in err
    assert err.count("\\x1b[31m") == 3
    assert len(err.splitlines()) == err.count("\n")
