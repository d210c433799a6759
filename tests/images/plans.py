"""Plans of images for tests: a tiny real model, a lock of tiny wheels, a base of a few files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pack
from pack.envs import read_environment
from pack.envs.locking import FOLDER, Lock, Pin, digest_of_lines
from pack.envs.serving import serving_lines
from pack.envs.targets import Target
from pack.images.plan import Plan
from pack.mlmodel import Model, digests
from pack.mlmodel.model import MLMODEL
from pack.trust import records
from tests import models
from tests.images.bases import root_file_system
from tests.images.wheels import lock_of, wheel


def small_plan(**changes: Any) -> Plan:
    """The plan for a model that is saved in this folder, on a base that lies beside it."""
    if not Path("model").is_dir():
        pack.save_model(models.classifier(), "model")
    if not Path("root.tar").is_file():
        root_file_system(Path("root.tar"))
    plan = Plan(
        base="root.tar",
        target=lock_of().target,
        report=digests.check(Path("model").absolute()),
        lock=lock_of(wheel(Path("wheels"))),
        bill=b"{}",
        name="churn",
        version="3",
        wheelhouse=Path("wheels"),
    )
    return replace(plan, **changes)


def put_lock(home: Path, *pins: Pin, python: str, platform: str = "linux/amd64") -> None:
    """Put a lock into a saved model, as saving it with `lock=True` does, but with these pins."""
    lines = serving_lines(read_environment(home).requirements, frames=False)
    target = Target(python, platform)
    (home / FOLDER).mkdir()
    (home / FOLDER / f"{target.name}.txt").write_text(Lock(target, digest_of_lines(lines), pins).text)
    model = Model.load(home)
    facts = {**(model.pack or {}), "files": digests.manifest(home), "self": digests.ZEROS}
    (home / MLMODEL).write_text(digests.seal(model.replace(pack=facts).to_yaml()))
    records.remember(digests.check(home).digest, home.absolute())
