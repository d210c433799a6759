"""Imported by the process that all others are forked from: what an operation would load is loaded, the model fitted.

A process that has no file handle left can import nothing; what fails then is Python's, not ours.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import tempfile
from pathlib import Path

import pack
from tests.faults.operations import OPTIONS, classifier, rows

for room in ("db", "tracking", "registry", "artifacts", "flavors", "mlmodel", "envs", "trust", "fluent", "pyfunc"):
    for module in pkgutil.walk_packages([str(Path(pack.__file__).parent / room)], f"pack.{room}."):
        importlib.import_module(module.name)
with tempfile.TemporaryDirectory() as folder:
    os.environ["PACK_STATE_DIR"] = folder
    pack.save_model(classifier(), Path(folder, "model"), input_example=rows(), **OPTIONS)
    pack.pyfunc.load_model(Path(folder, "model"))
