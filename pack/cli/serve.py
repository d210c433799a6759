"""`pack serve`."""

from __future__ import annotations

import re

import click

from pack import settings
from pack.cli.table import trust_option

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
        limits=limits,
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
