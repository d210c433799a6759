"""Ask the server in this container whether it lives; exits with 0 or 1. Standard library only: it runs each minute."""

from __future__ import annotations

import sys
from http.client import HTTPConnection, HTTPException

from pack.images import told

_SECONDS = 4


def lives() -> bool:
    """Whether the server answers its health check."""
    connection = HTTPConnection("127.0.0.1", told.port(), timeout=_SECONDS)
    try:
        connection.request("GET", "/ping")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(0 if lives() else 1)
