"""A torn write, a cut log, a flipped bit: the store refuses, or `pack db check` says so, or it is as if never written.

What SQLite cannot see is counted here too: it keeps no checksum of its pages, so a bit that flips inside a value is
another value. The files of models have digests, and are compared with them.
"""

from __future__ import annotations

import random
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pack.db import Database, Place
from pack.db.check import check
from pack.errors import PackError
from pack.registry.sql import SqlRegistry
from pack.tracking import Metric, Param, RunTag
from pack.tracking.sql import SqlTracking
from tests.faults.conftest import FULL

pytestmark = pytest.mark.faults
BATCHES, CUTS, FLIPS = 30, (2000 if FULL else 150), (5000 if FULL else 200)


def place_in(folder: Path) -> Place:
    return Place(folder / "pack.db", folder / "artifacts")


def everything(place: Place) -> Any:
    """All that the store answers."""
    tracking, registry = SqlTracking(Database(place)), SqlRegistry(Database(place))
    try:
        runs = list(tracking.search_runs(["0"]))
        histories = [
            list(tracking.get_metric_history(run.info.run_id, key)) for run in runs for key in run.data.metrics
        ]
        models = list(registry.search_registered_models())
        moves = [registry.alias_history(model.name) for model in models]
        return repr((runs, histories, models, list(registry.search_model_versions()), moves))
    finally:
        tracking.close()
        registry.close()


@pytest.fixture
def logged(tmp_path: Path) -> Path:
    """A database and its log, in which batches lie that were never moved into the database."""
    store = SqlTracking(Database(place_in(tmp_path / "live")))
    run = store.create_run("0", user_id="", start_time=0, run_name="r").info.run_id
    for number in range(BATCHES):
        points = [Metric(f"k{key}", float(number), number, number) for key in range(10)]
        store.log_batch(run, metrics=points, params=[Param(f"p{number}", "x")], tags=[RunTag(f"t{number}", "x")])
    shutil.copytree(tmp_path / "live", tmp_path / "kept")
    store.close()
    (tmp_path / "kept" / "pack.db-shm").unlink()
    return tmp_path / "kept"


def batches_in(folder: Path) -> int:
    """How many batches a store has: the first ones, each whole."""
    store = SqlTracking(Database(place_in(folder)))
    try:
        runs = store.search_runs(["0"])
        if not runs:
            return 0
        data = runs[0].data
        assert check(place_in(folder)).sound
        found = len(data.params)
        assert set(data.params) == {f"p{number}" for number in range(found)}
        assert set(data.tags) - {"mlflow.runName"} == {f"t{number}" for number in range(found)}
        assert set(data.metrics.values()) <= {float(found - 1)}
        return found
    finally:
        store.close()


def _cut(data: bytes, at: int, chance: random.Random) -> bytes:
    return data[:at]


def _tear(data: bytes, at: int, chance: random.Random) -> bytes:
    """What comes after a point was never written: something else stands there."""
    return data[:at] + chance.randbytes(len(data) - at)


def _flip(data: bytes, at: int, chance: random.Random) -> bytes:
    flipped = bytearray(data)
    flipped[at] ^= 1 << chance.randrange(8)
    return bytes(flipped)


@pytest.mark.parametrize("harm", [_cut, _tear, _flip], ids=["cut off", "torn", "one bit flipped"])
def test_of_a_damaged_log_the_batches_before_the_damage_are_there_and_whole(
    harm: Callable[[bytes, int, random.Random], bytes], logged: Path, tmp_path: Path, figure: Callable[..., None]
) -> None:
    chance, data = random.Random(3), (logged / "pack.db-wal").read_bytes()
    found: list[tuple[int, int]] = []
    for _ in range(CUTS):
        at = chance.randrange(32, len(data))
        shutil.copytree(logged, tmp_path / "cut", dirs_exist_ok=True)
        (tmp_path / "cut" / "pack.db-wal").write_bytes(harm(data, at, chance))
        found.append((at, batches_in(tmp_path / "cut")))
        shutil.rmtree(tmp_path / "cut")
    kept = [batches for _, batches in sorted(found)]
    assert kept == sorted(kept), "a later damage left less"
    assert 0 <= kept[0] < kept[-1] <= BATCHES
    figure(f"a log {harm.__name__[1:]} at a random byte", times=CUTS, batches_torn=0)


@pytest.fixture
def settled(tmp_path: Path) -> Path:
    """A database that is closed: no log lies beside it."""
    place = place_in(tmp_path / "settled")
    tracking, registry = SqlTracking(Database(place)), SqlRegistry(Database(place))
    for number in range(20):
        run = tracking.create_run("0", user_id="ada", start_time=number, run_name=f"r{number}").info.run_id
        points = [Metric(f"k{key}", key / 7, number, step) for key in range(5) for step in range(20)]
        params = [Param(f"p{key}", "x" * 50) for key in range(5)]
        tracking.log_batch(run, metrics=points, params=params, tags=[RunTag("t", "y" * 100)])
    registry.create_registered_model("m")
    for _ in range(5):
        registry.create_model_version("m", source="s", storage_location=str(tmp_path))
    registry.set_alias("m", "champion", 3)
    tracking.close()
    registry.close()
    return place.database.parent


def outcome(place: Place, before: str) -> str:
    """What comes of a damaged database; where reading it ends in an error that is not ours, the check must say why."""
    answer, ours = "", True
    try:
        answer = everything(place)
    except PackError:
        pass
    except Exception:  # noqa: BLE001 - a column that has another name now can fail in any way
        ours = False
    try:
        reported = not check(place).sound
    except PackError:
        reported = True
    assert reported or ours
    if reported or not answer:
        return "refused or reported"
    return "without effect" if answer == before else "another value, unseen"


def test_a_bit_that_flips_in_the_database_is_refused_or_reported_or_counted(
    settled: Path, tmp_path: Path, figure: Callable[..., None]
) -> None:
    chance, data, outcomes = random.Random(4), (settled / "pack.db").read_bytes(), Counter[str]()
    before = everything(place_in(settled.rename(tmp_path / "bad")))
    shutil.rmtree(tmp_path / "bad")
    for _ in range(FLIPS):
        (tmp_path / "bad").mkdir()
        (tmp_path / "bad" / "pack.db").write_bytes(_flip(data, chance.randrange(len(data)), chance))
        outcomes[outcome(place_in(tmp_path / "bad"), before)] += 1
        shutil.rmtree(tmp_path / "bad")
    assert outcomes["refused or reported"] > FLIPS / 20
    figure("a bit flipped in the database", flips=FLIPS, **{name.replace(" ", "_"): n for name, n in outcomes.items()})


def test_a_database_that_is_cut_off_is_refused_or_reported(settled: Path, tmp_path: Path) -> None:
    data, chance = (settled / "pack.db").read_bytes(), random.Random(5)
    for _ in range(CUTS // 5):
        (tmp_path / "bad").mkdir()
        (tmp_path / "bad" / "pack.db").write_bytes(data[: chance.randrange(512, len(data) - 4096)])
        assert outcome(place_in(tmp_path / "bad"), "") == "refused or reported"
        shutil.rmtree(tmp_path / "bad")
