"""Log lines that a client can cause at will."""

from __future__ import annotations

import logging

from stream_scorer.system.few_lines import MOST, WINDOW_S, FewOfAKind


def test_few_of_a_kind_are_logged_and_the_others_counted(caplog):
    now = [0.0]
    logger = logging.getLogger("test_few_lines")
    few = FewOfAKind(lambda: now[0])
    logger.addFilter(few)
    try:
        for round_ in range(2):
            for number in range(10 * MOST):
                logger.warning("bad request %d", number)
            logger.warning("another kind")
            assert len(caplog.messages) == (round_ + 1) * (MOST + 1)
            now[0] += WINDOW_S
    finally:
        logger.removeFilter(few)
    assert caplog.messages[: MOST + 1] == [*(f"bad request {number}" for number in range(MOST)), "another kind"]
    assert caplog.messages[MOST + 1] == f"bad request 0 (and {9 * MOST} lines like it before)"
