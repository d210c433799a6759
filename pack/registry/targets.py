"""What a search of the registry may name, and how that is read from the tables."""

from __future__ import annotations

from pack.db.search import Column, Facts, Linked, Target

_ENTITIES = {"tag": "tags", "attribute": "attributes", "attr": "attributes", "alias": "aliases"}

MODELS = Target(
    noun="registered models",
    table="registered_models",
    columns={
        "name": Column("registered_models.name"),
        "creation_timestamp": Column("registered_models.creation_timestamp", kind="number"),
        "last_updated_timestamp": Column("registered_models.last_updated_timestamp", kind="number"),
        "timestamp": Column("registered_models.last_updated_timestamp", kind="number"),
    },
    facts={"tags": Facts("registered_model_tags", "f.model = registered_models.id")},
    linked={"aliases": Linked("aliases a WHERE a.model = registered_models.id", {"name": "a.alias"})},
    entities=_ENTITIES,
    ties=(("name", False),),
    most=1000,
)

VERSIONS = Target(
    noun="model versions",
    table="model_versions JOIN registered_models ON registered_models.id = model_versions.model",
    select="model_versions.*, registered_models.name",
    columns={
        "name": Column("registered_models.name"),
        "version_number": Column("model_versions.version", kind="number"),
        "version": Column("model_versions.version", kind="number"),
        "run_id": Column("model_versions.run_id", nullable=True),
        "model_id": Column("model_versions.model_id", nullable=True),
        "source_path": Column("model_versions.source"),
        "current_stage": Column("model_versions.stage"),
        "user_id": Column("model_versions.user_id"),
        "digest": Column("model_versions.digest", nullable=True),
        "creation_timestamp": Column("model_versions.creation_timestamp", kind="number"),
        "last_updated_timestamp": Column("model_versions.last_updated_timestamp", kind="number"),
    },
    facts={
        "tags": Facts("model_version_tags", "f.model = model_versions.model AND f.version = model_versions.version")
    },
    linked={
        "aliases": Linked(
            "aliases a WHERE a.model = model_versions.model AND a.version = model_versions.version",
            {"name": "a.alias"},
        )
    },
    entities=_ENTITIES,
    ties=(("last_updated_timestamp", True), ("name", False), ("version", True)),
    most=200_000,
)
