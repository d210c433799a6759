"""What a server writes of itself, where a platform collects lines of JSON."""

from __future__ import annotations

import json
import logging

from pack.web.logs import AsJson


def test_a_line_is_one_object_whatever_is_in_the_message() -> None:
    record = logging.LogRecord("pack", logging.WARNING, __file__, 1, "two\nlines %s", ('"x"',), None)
    line = AsJson().format(record)
    said = json.loads(line)
    assert "\n" not in line
    assert (said["level"], said["logger"], said["message"]) == ("warning", "pack", 'two\nlines "x"')
    assert said["time"].endswith("+00:00")


def test_a_traceback_stays_in_the_line() -> None:
    try:
        raise KeyError("churn")
    except KeyError as error:
        record = logging.LogRecord("pack", logging.ERROR, __file__, 1, "failed", (), (KeyError, error, None))
    assert "KeyError: 'churn'" in json.loads(AsJson().format(record))["error"]
