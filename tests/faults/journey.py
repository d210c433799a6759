"""A journey through the store, told without what differs each time: run as a program, wherever that may be."""

from __future__ import annotations

import json
import os
import sys

if sys.flags.optimize < 2:
    sys.path.insert(0, os.getcwd())  # noqa: PTH109 - nothing of ours is imported yet

import pack
from tests.faults.operations import OPTIONS, classifier, rows


def travel() -> dict[str, object]:
    """Record, log a model, register it, move aliases, search; answer what is found."""
    pack.set_experiment("사용자 이탈 é")
    for number in range(3):
        with pack.start_run(run_name=f"run {number}") as run:
            pack.log_params({"größe": number, "empty": ""})
            pack.log_metrics({"loss": 1 / (number + 1), "nan": float("nan")}, step=number)
            pack.set_tag("note", "line\nbreak \u2028 \U0001f680")
            pack.log_text("é\n", "notes/é.txt")
            info = pack.log_model(classifier(), "model", input_example=rows(), registered_model_name="churn", **OPTIONS)
    pack.set_alias("churn", "champion", 2)
    pack.set_alias("churn", "champion", 3, reason="besser")
    found = pack.search_runs(filter_string="params.`größe` != '2'", order_by=["metrics.loss ASC"], output_format="list")
    return {
        "runs": [[run.info.run_name, run.info.status, repr(sorted(run.data.metrics.items()))] for run in found],
        "params": found[0].data.params,
        "note": found[0].data.tags["note"],
        "text": pack.artifacts.load_text(f"runs:/{run.info.run_id}/notes/é.txt"),
        "versions": [pack.Client().get_model_version("churn", n).aliases for n in range(1, 4)],
        "moves": [
            [move.from_version, move.to_version, move.reason] for move in pack.alias_history("churn", "champion")
        ],
        "answer": pack.pyfunc.load_model(info.model_uri, trust=True).predict(rows()).tolist(),
        "sizes": [entry.file_size for entry in pack.artifacts.list_artifacts(f"runs:/{run.info.run_id}/notes")],
    }


if __name__ == "__main__":
    print(json.dumps(travel()))
