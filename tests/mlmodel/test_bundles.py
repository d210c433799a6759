"""Code that models bring along: each in a namespace of its own, and nothing of it outside."""

from __future__ import annotations

import pickle
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pack.mlmodel.bundles import Bundle


def bundle(**files: str) -> Bundle:
    paths = {f"code/{name.replace('__', '/')}.py": text for name, text in files.items()}
    return Bundle(paths, lambda path: paths[path].encode())


@pytest.fixture(autouse=True)
def nothing_is_left_behind() -> Iterator[None]:
    path, finders = list(sys.path), list(sys.meta_path)
    yield
    assert sys.path == path
    assert sys.meta_path == finders
    assert not {"helpers", "tools", "inner"} & set(sys.modules)


def test_two_bundles_with_a_module_of_one_name_each_keep_their_own() -> None:
    one = bundle(helpers="def answer(): return 1", model="import helpers\ndef predict(): return helpers.answer()")
    two = bundle(helpers="def answer(): return 2", model="import helpers\ndef predict(): return helpers.answer()")
    assert one.import_module("model").predict() == 1
    assert two.import_module("model").predict() == 2
    assert one.import_module("model").predict() == 1


def test_packages_submodules_relative_and_late_imports_work() -> None:
    made = Bundle(
        files := {
            "code/tools/__init__.py": "from tools.inner import x\nfrom . import other",
            "code/tools/inner.py": "from .other import y\nx = y + 1",
            "code/tools/other.py": "y = 1",
            "code/model.py": "def late():\n    import tools.inner\n    from tools import other\n"
            "    return tools.x, other.y",
        },
        lambda path: files[path].encode(),
    )
    assert made.import_module("model").late() == (2, 1)


def test_the_standard_library_and_installed_packages_are_never_taken_over() -> None:
    made = bundle(json="loads = None", numpy="array = None", model="import json, numpy\nused = json.loads, numpy.array")
    import json

    import numpy as np

    assert made.import_module("model").used == (json.loads, np.array)


def test_files_that_python_would_run_by_itself_are_inert(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    text = f"open({str(canary)!r}, 'w').close()"
    made = Bundle(
        files := {"code/sitecustomize.py": text, "code/evil.pth": f"import os; {text}", "code/model.py": "x = 1"},
        lambda path: files[path].encode(),
    )
    assert made.import_module("model").x == 1
    assert not canary.exists()


def test_classes_of_a_bundle_can_be_pickled_within_it() -> None:
    made = bundle(shapes="import dataclasses\n@dataclasses.dataclass\nclass Point:\n    x: int")
    point = made.import_module("shapes").Point(3)
    assert pickle.loads(pickle.dumps(point)) == point


def test_mlflow_means_our_own_names_inside_a_bundle() -> None:
    made = bundle(model="import mlflow\nfrom mlflow.models import set_model\nbase = mlflow.pyfunc.PythonModel")
    import pack

    module = made.import_module("model")
    assert module.base is pack.pyfunc.PythonModel
    assert module.set_model is pack.models.set_model


def test_a_failed_import_can_be_tried_again_and_leaves_no_half_module() -> None:
    made = bundle(broken="import nowhere_at_all")
    for _ in range(2):
        with pytest.raises(ModuleNotFoundError, match="nowhere_at_all"):
            made.import_module("broken")


def test_threads_see_a_module_only_whole() -> None:
    made = bundle(slow="import time\ntime.sleep(0.05)\nready = True")
    seen: list[bool] = []
    threads = [threading.Thread(target=lambda: seen.append(made.import_module("slow").ready)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [True] * 8


def test_a_closed_bundle_leaves_no_modules() -> None:
    made = bundle(model="x = 1")
    made.import_module("model")
    assert any(name.startswith(made.prefix) for name in sys.modules)
    made.close()
    assert not any(name.startswith(made.prefix) for name in sys.modules)
