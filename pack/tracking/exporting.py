"""What another store needs to see of this one, and searches do not show: what lies in the trash."""

from __future__ import annotations

from pack.db import Database
from pack.errors import NotFound
from pack.tracking import limits
from pack.tracking.entities import LoggedModel
from pack.tracking.rows import logged_models_of


class Exporting:
    """The part of `TrackingStore` that shows everything, deleted things too."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._place = database.place

    def logged_models(self, experiment_id: str) -> list[str]:
        """The ids of every logged model of an experiment, in the order in which they were made."""
        number = limits.experiment_number(experiment_id)
        with self._database.read() as connection:
            rows = connection.all(
                "SELECT model_id FROM logged_models WHERE experiment = :number ORDER BY id", {"number": number}
            )
        return [row["model_id"] for row in rows]

    def logged_model(self, model_id: str) -> LoggedModel:
        """One logged model."""
        with self._database.read() as connection:
            row = connection.one("SELECT * FROM logged_models WHERE model_id = :id", {"id": model_id})
            if row is None:
                raise NotFound(f"there is no logged model {str(model_id)[:64]!a}")
            return logged_models_of(connection, [row], self._place)[0]
