"""The registry in the embedded database, assembled from its parts."""

from __future__ import annotations

from pack.db import Database
from pack.registry.aliases import Aliases
from pack.registry.importing import Importing
from pack.registry.models import Models
from pack.registry.trash import RegistryTrash
from pack.registry.versions import Versions


class SqlRegistry:
    """Implements `RegistryStore`: each line below says which part does the work."""

    def __init__(self, database: Database) -> None:
        self.uri = database.place.uri
        self.close = database.close

        models = Models(database)
        self.create_registered_model = models.create
        self.get_registered_model = models.get
        self.search_registered_models = models.search
        self.update_registered_model = models.update
        self.rename_registered_model = models.rename
        self.delete_registered_model = models.delete
        self.restore_registered_model = models.restore
        self.set_registered_model_tag = models.set_tag
        self.delete_registered_model_tag = models.delete_tag

        versions = Versions(database)
        self.create_model_version = versions.create
        self.get_model_version = versions.get
        self.search_model_versions = versions.search
        self.get_latest_versions = versions.latest
        self.update_model_version = versions.update
        self.set_stage = versions.set_stage
        self.delete_model_version = versions.delete
        self.restore_model_version = versions.restore
        self.set_model_version_tag = versions.set_tag
        self.delete_model_version_tag = versions.delete_tag

        aliases = Aliases(database)
        self.set_alias = aliases.set
        self.rollback_alias = aliases.rollback
        self.delete_alias = aliases.delete
        self.get_model_version_by_alias = aliases.get
        self.alias_history = aliases.history
        self.resolve = aliases.resolve

        trash = RegistryTrash(database)
        self.trash = trash.list
        self.purge = trash.purge
        self.locations = trash.locations

        importing = Importing(database)
        self.import_registered_model = importing.model
        self.import_model_version = importing.version
        self.import_alias = importing.alias
        self.last_version = importing.last_version
