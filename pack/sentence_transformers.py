"""`pack.sentence_transformers`: models of sentence_transformers under their own name, with MLflow's arguments."""

from __future__ import annotations

from pack.fluent.doors import Door

__all__ = ["get_default_pip_requirements", "load_model", "log_model", "save_model"]

_door = Door("sentence_transformers", "model", loads=("device",))
save_model, log_model, load_model = _door.verbs()
get_default_pip_requirements = _door.requirements
