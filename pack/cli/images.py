"""`pack build-docker`, `pack build-image` and `pack generate-dockerfile`: a model becomes an image."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from pack.cli.table import as_json, model_uri, show, show_json, trust_option
from pack.cli.words import Pair

if TYPE_CHECKING:
    from types import ModuleType

    from pack.images.oci.verb import Built
    from pack.images.plan import Plan

F = TypeVar("F", bound=Callable[..., Any])
_LINUX = ("linux/amd64", "linux/arm64")
_REFUSED = {
    "enable_mlserver": "--enable-mlserver is not needed: the server here speaks protocol v2 (/v2) itself.",
    "install_mlserver": "--install-mlserver is not needed: the server here speaks protocol v2 (/v2) itself.",
    "install_java": "--install-java is not followed: give a base that has Java, with --base-image.",
    "mlflow_home": "--mlflow-home is not followed: the image has no MLflow in it, and serves its models all the same.",
}


def image_options(command: F) -> F:
    """The options that all ways to an image share."""
    for option in reversed(
        (
            model_uri,
            click.option("--base-image", "base", metavar="IMAGE", help="What it stands on. [python:VERSION-slim]"),
            click.option("--platform", type=click.Choice(_LINUX), help="What it is for. [a machine like this one]"),
            click.option("--python", metavar="VERSION", help="The Python in it, such as 3.11. [the model's]"),
            click.option(
                "--wheelhouse",
                type=click.Path(exists=True, file_okay=False, path_type=Path),
                help="A folder of wheels; no index is asked then.",
            ),
            click.option(
                "--system-package",
                "system_packages",
                multiple=True,
                metavar="NAME",
                help="A Debian package to install.",
            ),
            click.option("--env", "variables", type=Pair(), multiple=True, help="An environment variable to set."),
            click.option("--label", "labels", type=Pair(), multiple=True, help="A further label."),
            click.option(
                "--env-manager",
                type=click.Choice(["local", "uv", "virtualenv", "conda"]),
                default="uv",
                hidden=True,
            ),
            click.option("--enable-mlserver", is_flag=True, hidden=True),
            click.option("--install-mlserver", is_flag=True, hidden=True),
            click.option("--install-java", is_flag=True, hidden=True),
            click.option("--mlflow-home", hidden=True),
            trust_option,
        )
    ):
        command = option(command)
    return command


sbom_option = click.option(
    "--sbom", type=click.Path(dir_okay=False, path_type=Path), help="A file for the bill of materials (CycloneDX)."
)


@click.command(name="build-docker")
@image_options
@click.option("-n", "--name", required=True, help="What to call it, such as ml/churn:3.")
@sbom_option
@as_json
def build_docker(model_uri: str, name: str, sbom: Path | None, as_json: bool, **given: Any) -> None:
    """Build the image that serves a model, in a Docker engine.

    The base, the packages by the model's lock, pack, the weights and the rest of the model are layers of their own, the
    same bytes each time; the engine gets those that it lacks. Nothing is run for it, and no Dockerfile is written.
    Without an engine use pack build-image, which makes the same image.

    \b
    Example:
      pack build-docker -m models:/churn@champion -n ml/churn:3
      docker run --rm -p 8080:8080 --read-only --cap-drop ALL ml/churn:3

    Exit codes: 0 built, 1 failed.
    """
    plan = plan_of(model_uri, **given)
    built = _engine().build_docker(plan, name=name, say=say)
    tell(built, plan, sbom=sbom, as_json=as_json)
    if not as_json:
        click.echo(f"run it: docker run --rm -p 8080:8080 --read-only --cap-drop ALL {built.name}", err=True)


@click.command(name="build-image")
@image_options
@click.option(
    "-o", "--output", required=True, metavar="PLACE", help="oci:DIR, FILE.tar, or a name with its registry and tag."
)
@click.option("-n", "--name", default="model:latest", show_default=True, help="What to call it in a folder or a file.")
@sbom_option
@as_json
def build_image(model_uri: str, output: str, name: str, sbom: Path | None, as_json: bool, **given: Any) -> None:
    """Build the image that serves a model, without a Docker engine.

    The base is an image in a registry, an OCI layout (oci:DIR), or an archive of an image or a root file system
    (FILE.tar). docker load, skopeo and containerd read what is written.

    \b
    Example:
      pack build-image -m models:/churn@champion -n ml/churn:3 -o churn.tar
      pack build-image -m models:/churn@champion -o registry.example.com/ml/churn:3
      pack build-image -m models:/churn@champion -n ml/churn:3 -o oci:images --base-image base.tar

    Exit codes: 0 built, 1 failed.
    """
    plan = plan_of(model_uri, **given)
    from pack.images.oci.verb import build_image as build

    tell(build(plan, output, name=name, say=say), plan, sbom=sbom, as_json=as_json)


@click.command(name="generate-dockerfile")
@image_options
@click.option(
    "-d",
    "--output-directory",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("pack-dockerfile"),
    show_default=True,
    help="A new or empty folder to write to.",
)
def generate_dockerfile(model_uri: str, folder: Path, **given: Any) -> None:
    """Write a Dockerfile with everything that it copies, for another builder.

    \b
    Example:
      pack generate-dockerfile -m models:/churn@champion -d churn
      docker build --secret id=pip,src=$HOME/.config/pip/pip.conf -t ml/churn:3 churn
    """
    from pack.images.dockerfile import generate

    for path in generate(plan_of(model_uri, **given), folder):
        click.echo(path)


def _engine() -> ModuleType:
    try:
        from pack.images import engine
    except ModuleNotFoundError as error:
        from pack.plugins import missing

        raise missing(str(error.name), "'packml[images]'") from error
    return engine


def plan_of(model_uri: str, *, env_manager: str, **given: Any) -> Plan:
    """The plan that the options ask for; says on standard error what takes its time."""
    for option, why in _REFUSED.items():
        if given.pop(option):
            raise click.UsageError(why)
    if env_manager != "uv":
        raise click.UsageError(
            f"--env-manager {env_manager} is not for images: the packages of the lock are put into them by uv."
        )
    from pack.images.planning import Choices, planned

    creator, revision = provenance(model_uri)
    choices = Choices(creator=creator, revision=revision, **given)
    return planned(model_uri, choices, say=say)


def provenance(model_uri: str) -> tuple[str | None, str | None]:
    """Who made the model and from which commit, as the run says that it was logged in; None for what is not known."""
    from contextlib import suppress

    from pack.artifacts import local_path
    from pack.errors import PackError
    from pack.fluent import state
    from pack.mlmodel import Model

    run_id = Model.load(local_path(model_uri)).run_id
    if run_id is None:
        return None, None
    with suppress(PackError):
        tags = state.tracking().get_run(run_id).data.tags
        return tags.get("mlflow.user"), tags.get("mlflow.source.git.commit")
    return None, None


def say(text: str) -> None:
    """Tell what is being done."""
    click.echo(text, err=True)


def tell(built: Built, plan: Plan, *, sbom: Path | None, as_json: bool) -> None:
    """Show what was built, and write its bill of materials beside it."""
    if sbom is not None:
        sbom.write_bytes(plan.bill)
    if as_json:
        show_json(built.to_dict())
        return
    rows = [
        (part.what, f"{part.size / 1e6:,.1f} MB", "kept" if part.kept else "made", part.digest) for part in built.layers
    ]
    show(("layer", "size", "", "digest"), rows, empty="no layers")
    click.echo(f"{built.name} on {built.base} for {built.platform}: {built.size / 1e6:,.1f} MB")
    click.echo(f"image ID {built.image_id}")
    click.echo(f"digest {built.digest} at {built.place}")
