"""`pack serve`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pack import settings
from pack.cli.table import trust_option

if TYPE_CHECKING:
    from pack.serving.capture import CapturePlan

_NAMED = re.compile(r"([A-Za-z0-9][\w.-]*)=(.+)", re.DOTALL)


@click.command()
@click.option(
    "-m",
    "--model-uri",
    "models",
    required=True,
    multiple=True,
    metavar="[NAME=]URI",
    help="models:/NAME@ALIAS, models:/NAME/VERSION, runs:/ID/PATH, or a path; several with names of their own.",
)
@click.option(
    "-p", "--port", type=click.IntRange(0, 65535), help="Port; 0 is a free one. [default: 8080, or PACK_PORT]"
)
@click.option("-h", "--host", help="Address to bind. [default: 127.0.0.1, or PACK_HOST]")
@trust_option
@click.option("-t", "--timeout", type=click.FloatRange(min=0, min_open=True), help="Seconds a request may take. [60]")
@click.option("--max-body", type=click.IntRange(min=1), help="Bytes a request may have. [default: 100 MiB]")
@click.option(
    "--max-queue",
    type=click.IntRange(min=1),
    default=1024,
    show_default=True,
    help="Requests that may wait for a model; others are answered 503.",
)
@click.option(
    "--batch-max-rows",
    type=click.IntRange(min=1),
    default=8192,
    show_default=True,
    help="Rows of several requests that are scored in one call.",
)
@click.option(
    "--batch-wait-ms",
    type=click.FloatRange(min=0, max=10_000),
    default=0.0,
    show_default=True,
    help="Milliseconds that a request waits for others although the model is idle.",
)
@click.option("--no-batching", is_flag=True, help="Score each request alone, even where rows are independent.")
@click.option("--no-follow", is_flag=True, help="Stay with the version that the alias has now.")
@click.option(
    "--follow-seconds",
    type=click.FloatRange(min=0.1),
    default=2.0,
    show_default=True,
    help="How often to look where the alias stands.",
)
@click.option(
    "--max-rehearsal-ms",
    type=click.FloatRange(min=0, min_open=True),
    help="Milliseconds in which a new version must answer its input example to take over. [any]",
)
@click.option(
    "--shadow",
    "shadows",
    multiple=True,
    metavar="[NAME@]ALIAS",
    help="An alias or a URI whose version sees a copy of the requests; its answers are compared, never sent.",
)
@click.option(
    "--canary",
    "canaries",
    multiple=True,
    metavar="[NAME@]ALIAS=N%",
    help="An alias or a URI whose version answers a share of the requests.",
)
@click.option("--lazy", is_flag=True, help="Load each model when its first request comes.")
@click.option(
    "--max-model-bytes",
    type=click.IntRange(min=1),
    help="Bytes that the files of loaded models may have; those not used for longest are let go of. Implies --lazy.",
)
@click.option("--access-log", is_flag=True, help="Write a line of JSON for each request to standard output.")
@click.option(
    "--capture",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Write a sample of requests and answers into Parquet files in this folder.",
)
@click.option("--capture-share", default="100%", show_default=True, metavar="N%", help="The share that is captured.")
@click.option("--capture-redact", multiple=True, metavar="COLUMN", help="A column that is captured without values.")
@click.option("--allowed-host", "allowed_hosts", multiple=True, help="A further name this server answers for.")
@click.option("--allow-unauthenticated", is_flag=True, help="Bind an address that other machines can reach.")
@click.option("--env-manager", type=click.Choice(["local"]), default="local", help="Where to run: this environment.")
@click.option("--no-conda", is_flag=True, hidden=True)
def serve(
    models: tuple[str, ...],
    port: int | None,
    host: str | None,
    trust: bool,
    timeout: float | None,
    max_body: int | None,
    max_queue: int,
    batch_max_rows: int,
    batch_wait_ms: float,
    no_batching: bool,
    no_follow: bool,
    follow_seconds: float,
    max_rehearsal_ms: float | None,
    shadows: tuple[str, ...],
    canaries: tuple[str, ...],
    lazy: bool,
    max_model_bytes: int | None,
    access_log: bool,
    capture: Path | None,
    capture_share: str,
    capture_redact: tuple[str, ...],
    allowed_hosts: tuple[str, ...],
    allow_unauthenticated: bool,
    env_manager: str,
    no_conda: bool,
) -> None:
    """Serve models over HTTP: POST /invocations, GET /ping, /health, /version.

    \b
    Example:
      pack serve -m models:/churn@champion --port 8080
      curl localhost:8080/invocations -H 'Content-Type: application/json' \\
           -d '{"dataframe_records": [{"age": 41, "income": 52000.0}]}'
      pack serve -m churn=models:/churn@champion -m price=models:/price/3

    Several models answer at /models/NAME/invocations, the first at /invocations too. Requests that come while a model
    is busy are scored in one call, where its rows are independent. Stops on SIGTERM or Ctrl-C after finishing the
    requests in flight; exits with 0.
    """
    import logging

    from pack.serving import app
    from pack.serving.batching import Limits
    from pack.serving.options import Options
    from pack.serving.rehearsal import Rehearsal
    from pack.web import run

    named = named_models(models)
    bound = host or settings.serve_host()
    run.check_bind(bound, allow_unauthenticated=allow_unauthenticated)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s %(message)s")
    listener = run.bind(bound, settings.serve_port() if port is None else port)
    limits = Limits(max_rows=batch_max_rows, wait=batch_wait_ms / 1000, queue=max_queue, joins=not no_batching)
    application = app(
        named,
        max_body=max_body,
        timeout=timeout,
        allowed_hosts=(bound, *allowed_hosts),
        trust=trust or None,
        options=Options(
            limits=limits,
            rehearsal=Rehearsal(None if max_rehearsal_ms is None else max_rehearsal_ms / 1000),
            follow=not no_follow,
            follow_every=follow_seconds,
            canaries=canaries_of(canaries, named),
            shadows=shadows_of(shadows, named),
            lazy=lazy or max_model_bytes is not None,
            max_model_bytes=max_model_bytes,
            capture=None if capture is None else capture_of(capture, capture_share, capture_redact),
            access_log=access_log,
        ),
    )
    shown = f"[{bound}]" if ":" in bound else bound
    where = f"http://{shown}:{listener.getsockname()[1]}"
    run.serve(application, listener, ready=lambda: click.echo(f"serving {', '.join(models)} at {where}"))


def named_models(given: tuple[str, ...]) -> dict[str, str]:
    """The models to serve by name: `churn=models:/churn@champion`, or without a name that of the registered model."""
    from pack import uris

    found: dict[str, str] = {}
    for one in given:
        named = _NAMED.fullmatch(one)
        if named:
            name, uri = named.groups()
        else:
            parsed = uris.parse(one)
            name, uri = (parsed.name if isinstance(parsed, uris.ModelUri) else "model"), one
        if name in found:
            raise click.BadParameter(
                f"two models have the name {name!r}; name them: -m first=URI -m second=URI", param_hint="-m"
            )
        found[name] = uri
    return found


def shadows_of(given: tuple[str, ...], named: dict[str, str]) -> dict[str, str]:
    """The URI of each shadow by the name of the model that it follows: `challenger`, `churn@challenger`, or a URI."""
    return dict(_beside(one, named, "--shadow") for one in given)


def canaries_of(given: tuple[str, ...], named: dict[str, str]) -> dict[str, Any]:
    """The URI and the share of each canary by the name of the model: `challenger=5%`, `churn@challenger=0.5%`."""
    from pack.serving.options import Canary

    found = {}
    for one in given:
        which, separator, percent = one.rpartition("=")
        share = _share(percent)
        if not separator or share is None:
            raise click.BadParameter(f"{one!r} is not ALIAS=N%, such as challenger=5%", param_hint="--canary")
        name, uri = _beside(which, named, "--canary")
        found[name] = Canary(uri, share)
    return found


def capture_of(folder: Path, share: str, redact: tuple[str, ...]) -> CapturePlan:
    """What is captured: `--capture FOLDER --capture-share 5% --capture-redact name`."""
    from pack.serving.capture import CapturePlan

    part = _share(share)
    if part is None:
        raise click.BadParameter(f"{share!r} is no share, such as 5%", param_hint="--capture-share")
    return CapturePlan(folder.absolute(), part, frozenset(redact))


def _share(text: str) -> float | None:
    try:
        share = float(text.removesuffix("%")) / 100
    except ValueError:
        return None
    return share if text.endswith("%") and 0 <= share <= 1 else None


def _beside(text: str, named: dict[str, str], option: str) -> tuple[str, str]:
    """The name of a model that is served, and the URI of what stands beside it."""
    from pack import uris

    name, alias = next(iter(named)), text
    first, separator, rest = text.partition("@")
    if separator and first in named:
        name, alias = first, rest
    if ":" in alias or "/" in alias:
        return name, alias
    served = uris.parse(named[name])
    if not isinstance(served, uris.ModelUri):
        raise click.BadParameter(f"{named[name]} has no aliases; give a URI", param_hint=option)
    return name, f"models:/{served.name}@{alias}"
