"""What a transaction remembered is forgotten when it is undone."""

from __future__ import annotations

import pytest

from pack.errors import NotFound
from pack.tracking import Metric, open_tracking


def test_the_number_of_a_metric_in_an_undone_batch_is_given_to_nobody_else() -> None:
    store = open_tracking()
    run = store.create_run("0", user_id="", start_time=0, run_name="r").info.run_id
    points = [Metric("a", 1.0, 1, 0), Metric("a", 2.0, 1, 1, model_id="m-" + "0" * 32)]
    with pytest.raises(NotFound):
        store.log_batch(run, metrics=points)
    store.log_batch(run, metrics=[Metric("b", 5.0, 1, 0)])
    store.log_batch(run, metrics=[Metric("a", 7.0, 1, 3)])
    assert store.get_run(run).data.metrics == {"a": 7.0, "b": 5.0}
