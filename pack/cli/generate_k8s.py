"""`pack generate-k8s`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from pack.cli.table import model_uri as model_option
from pack.cli.table import show_json, trust_option
from pack.cli.words import Pair


@click.command(name="generate-k8s")
@model_option
@click.option("--image", metavar="IMAGE", help="The image that serves it. [default: NAME:VERSION]")
@click.option("--name", help="What the objects are called. [default: as the registered model]")
@click.option("--namespace", help="Where they go. [default: where they are applied]")
@click.option(
    "-d",
    "--output-directory",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write a file for each object, and kustomization.yaml. [default: one stream on standard output]",
)
@click.option("--replicas", type=click.IntRange(1, 10_000), help="Pods, always as many. [default: by their load]")
@click.option("--min-replicas", type=click.IntRange(1, 10_000), default=2, show_default=True, help="Pods at least.")
@click.option("--max-replicas", type=click.IntRange(1, 10_000), default=8, show_default=True, help="Pods at most.")
@click.option("--cpu", metavar="CORES", help="CPU that a pod asks for, such as 2 or 500m. [default: by the flavor]")
@click.option("--memory", metavar="BYTES", help="Memory that a pod gets, such as 2Gi. [default: by size and flavor]")
@click.option("--gpu", type=click.IntRange(0, 64), default=0, show_default=True, help="GPUs (NVIDIA) for each pod.")
@click.option("--port", type=click.IntRange(1024, 65_535), default=8080, show_default=True, help="Port of a pod.")
@click.option("--env", "variables", type=Pair(), multiple=True, metavar="NAME=VALUE", help="An environment variable.")
@click.option(
    "--secret-env",
    "secrets",
    type=Pair(),
    multiple=True,
    metavar="NAME=SECRET:KEY",
    help="An environment variable whose value is a key of a Secret.",
)
@click.option(
    "--auth-secret", "auth", metavar="SECRET[:KEY]", help="Where the keys are that callers must show. [KEY: keys]"
)
@click.option(
    "--allowed-host", "hosts", multiple=True, metavar="HOST", help="A further name that clients call the server by."
)
@click.option("--fetch", is_flag=True, help="Fetch the model when a pod starts; one in the image is not used.")
@click.option("--digest", metavar="SHA256", help="What the model must be. [default: what it is now]")
@click.option(
    "--follow",
    is_flag=True,
    help="With --fetch: what the alias points at when a pod starts, as its registry recorded it.",
)
@click.option("--kserve", is_flag=True, help="Write a ServingRuntime and an InferenceService of KServe instead.")
@click.option(
    "--storage-uri", metavar="URI", help="With --kserve: where KServe fetches the model, such as s3://bucket/churn."
)
@trust_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts instead of YAML.")
def generate_k8s(model_uri: str, folder: Path | None, kserve: bool, as_json: bool, **given: Any) -> None:
    """Write the Kubernetes manifests that serve a model: Deployment, Service, autoscaler, disruption budget.

    \b
    Example:
      pack generate-k8s -m models:/churn@champion --image registry.example.com/ml/churn:3 -d k8s
      kubectl apply -k k8s
      pack generate-k8s -m models:/churn@champion --fetch --follow | kubectl apply -f -

    Nothing of the model is loaded or run, and no cluster is asked.
    """
    from pack.images import kserve as kserve_objects
    from pack.images import kubernetes, manifests
    from pack.images.assembling import Options, assembled
    from pack.pyfunc.load import inspect_code

    _check_together(kserve=kserve, **given)
    workload = assembled(model_uri, Options(**given), runs_code=inspect_code)
    objects = (kserve_objects if kserve else kubernetes).objects(workload)
    written = [] if folder is None else manifests.write(objects, folder)
    if as_json:
        show_json(manifests.listed(objects))
    else:
        click.echo(manifests.stream(objects) if folder is None else "".join(f"{path}\n" for path in written), nl=False)
    if given["image"] is None:
        click.echo(f"the image is taken to be {workload.image}; --image names another", err=True)


def _check_together(
    *, kserve: bool, fetch: bool, follow: bool, digest: str | None, storage_uri: str | None, **_: Any
) -> None:
    if follow and not fetch:
        raise click.UsageError("--follow goes with --fetch.")
    if storage_uri is not None and not kserve:
        raise click.UsageError("--storage-uri goes with --kserve.")
    if follow and digest is not None:
        raise click.UsageError(
            "--digest pins one model, and --follow takes what the alias points at: give one of them."
        )
    if kserve and fetch:
        raise click.UsageError("KServe fetches models in its own way: give --storage-uri, not --fetch.")
