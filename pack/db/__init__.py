"""The embedded database: one SQLite file, found or made without any set-up."""

from __future__ import annotations

from pack.db.database import Connection as Connection
from pack.db.database import Database as Database
from pack.db.paging import Page as Page
from pack.db.place import Place as Place
from pack.db.place import default_place as default_place
from pack.db.place import place_of as place_of
