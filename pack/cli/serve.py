"""`pack serve`."""

from __future__ import annotations

import click

from pack import settings
from pack.cli.table import model_uri, trust_option


@click.command()
@model_uri
@click.option(
    "-p", "--port", type=click.IntRange(0, 65535), help="Port; 0 is a free one. [default: 8080, or PACK_PORT]"
)
@click.option("-h", "--host", help="Address to bind. [default: 127.0.0.1, or PACK_HOST]")
@trust_option
@click.option("-t", "--timeout", type=click.FloatRange(min=0, min_open=True), help="Seconds a request may take. [60]")
@click.option("--max-body", type=click.IntRange(min=1), help="Bytes a request may have. [default: 100 MiB]")
@click.option("--allowed-host", "allowed_hosts", multiple=True, help="A further name this server answers for.")
@click.option("--allow-unauthenticated", is_flag=True, help="Bind an address that other machines can reach.")
@click.option("--env-manager", type=click.Choice(["local"]), default="local", help="Where to run: this environment.")
@click.option("--no-conda", is_flag=True, hidden=True)
def serve(
    model_uri: str,
    port: int | None,
    host: str | None,
    trust: bool,
    timeout: float | None,
    max_body: int | None,
    allowed_hosts: tuple[str, ...],
    allow_unauthenticated: bool,
    env_manager: str,
    no_conda: bool,
) -> None:
    """Serve a model over HTTP: POST /invocations, GET /ping, /health, /version.

    \b
    Example:
      pack serve -m models:/churn@champion --port 8080
      curl localhost:8080/invocations -H 'Content-Type: application/json' \\
           -d '{"dataframe_records": [{"age": 41, "income": 52000.0}]}'

    Stops on SIGTERM or Ctrl-C after finishing the requests in flight; exits with 0.
    """
    import logging

    from pack.pyfunc import load_model
    from pack.serving import app
    from pack.web import run

    bound = host or settings.serve_host()
    run.check_bind(bound, allow_unauthenticated=allow_unauthenticated)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s %(message)s")
    listener = run.bind(bound, settings.serve_port() if port is None else port)
    model = load_model(model_uri, trust=trust or None)
    application = app(model, max_body=max_body, timeout=timeout, allowed_hosts=(bound, *allowed_hosts))
    shown = f"[{bound}]" if ":" in bound else bound
    where = f"http://{shown}:{listener.getsockname()[1]}"
    run.serve(application, listener, ready=lambda: click.echo(f"serving {model_uri} at {where}"))
