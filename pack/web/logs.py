"""What a server writes of itself: lines to read, or a line of JSON for each, where a platform collects them."""

from __future__ import annotations

import json
import logging
from datetime import datetime, timezone

from pack import settings

_LINE = "%(levelname)s %(name)s %(message)s"


class AsJson(logging.Formatter):
    """One line of JSON: `time` (RFC 3339, UTC), `level`, `logger`, `message`, and `error` with a traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        said = {
            "time": datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            said["error"] = self.formatException(record.exc_info)
        return json.dumps(said)


def start() -> None:
    """Write what is worth a line to standard error, as `PACK_LOG_FORMAT` says."""
    if settings.log_format() == "json":
        handler = logging.StreamHandler()
        handler.setFormatter(AsJson())
        logging.basicConfig(level=logging.INFO, handlers=[handler])
        logging.captureWarnings(True)
    else:
        logging.basicConfig(level=logging.INFO, format=_LINE)
