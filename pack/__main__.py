"""`python -m pack`."""

from __future__ import annotations

from pack.cli import main

if __name__ == "__main__":
    main()
