"""`pack serve`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pack import settings
from pack.cli.elsewhere import settle
from pack.cli.table import trust_option
from pack.cli.words import env_manager

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from pack.serving.capture import CapturePlan
    from pack.web.auth import Keys

# The first parts of the paths under which more than one thing lies.
_OWN_PATHS = frozenset({"models", "v1", "v2"})
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
@click.option(
    "-w",
    "--workers",
    type=click.IntRange(1, 256),
    help="Processes that serve, each with the models. [default: 1, or PACK_SERVE_WORKERS]",
)
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
    "--no-trial", is_flag=True, help="Load a new version at once, without a process of its own that tries it."
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
@click.option("--auth", is_flag=True, help="Ask callers for a key, from PACK_SERVE_KEYS or the file of --auth-file.")
@click.option("--auth-file", metavar="FILE", help="Keys, one a line, in a file that only its owner can read.")
@click.option("--tls-cert", metavar="FILE", help="Serve HTTPS with this certificate (PEM).")
@click.option("--tls-key", metavar="FILE", help="The private key of the certificate (PEM).")
@click.option("--root-path", metavar="/PREFIX", help="The path under which a proxy in front serves this server.")
@click.option(
    "--trust-proxy",
    "proxies",
    multiple=True,
    metavar="ADDRESS",
    help="A proxy, or a network of proxies, whose word is taken for the addresses of clients.",
)
@env_manager
@click.option("--no-conda", is_flag=True, hidden=True)
def serve(
    models: tuple[str, ...],
    port: int | None,
    host: str | None,
    workers: int | None,
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
    no_trial: bool,
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
    auth: bool,
    auth_file: str | None,
    tls_cert: str | None,
    tls_key: str | None,
    root_path: str | None,
    proxies: tuple[str, ...],
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
      pack serve -m models:/churn@champion --workers 4 --host 0.0.0.0 --auth-file keys

    Several models answer at /models/NAME/invocations, the first at /invocations too. Requests that come while a model
    is busy are scored in one call, where its rows are independent. Stops on SIGTERM or Ctrl-C after finishing the
    requests in flight; exits with 0.
    """
    named = named_models(models)
    if env_manager not in {"auto", "local"} or not (lazy or max_model_bytes):
        settle(list(named.values()), "local" if no_conda else env_manager, trust=trust)
    from pack.serving import check_installed

    check_installed()
    from pack.serving.batching import Limits
    from pack.serving.options import Options
    from pack.serving.rehearsal import Rehearsal
    from pack.web import logs, run
    from pack.web.prefix import checked_prefix
    from pack.web.tls import certificate

    bound = host or settings.serve_host()
    keys = keys_of(auth_file, wanted=auth)
    run.check_bind(bound, allow_unauthenticated=allow_unauthenticated, authenticated=keys is not None)
    running = run.Options(
        workers=settings.serve_workers() if workers is None else workers,
        timeout=settings.serve_timeout() if timeout is None else timeout,
        certificate=certificate(tls_cert, tls_key),
        prefix=checked_prefix(root_path or "", taken=_OWN_PATHS),
        proxies=tuple(run.check_proxy(one) for one in proxies),
        drain=settings.serve_drain(),
    )
    listener = run.bind(bound, settings.serve_port() if port is None else port)
    limits = Limits(max_rows=batch_max_rows, wait=batch_wait_ms / 1000, queue=max_queue, joins=not no_batching)
    options = Options(
        limits=limits,
        rehearsal=Rehearsal(None if max_rehearsal_ms is None else max_rehearsal_ms / 1000, trial=not no_trial),
        follow=not no_follow,
        follow_every=follow_seconds,
        canaries=canaries_of(canaries, named),
        shadows=shadows_of(shadows, named),
        lazy=lazy or max_model_bytes is not None,
        max_model_bytes=max_model_bytes,
        capture=None if capture is None else capture_of(capture, capture_share, capture_redact),
        access_log=access_log or settings.access_log(),
        also=further_paths(),
    )
    shown = f"[{bound}]" if ":" in bound else bound
    where = f"{running.scheme}://{shown}:{listener.getsockname()[1]}{running.prefix}"
    with metrics_folder(running.workers) as folder:
        build = partial(
            built,
            named,
            max_body=max_body,
            timeout=timeout,
            allowed_hosts=(bound, *allowed_hosts, *settings.serve_hosts()),
            trust=trust or None,
            options=replace(options, metrics_folder=folder),
            keys=keys,
        )
        say = f"serving {', '.join(models)} at {where}"
        logs.start()
        run.run(build, listener, ready=partial(_say, say), options=running)


def _say(text: str) -> None:
    """Say that requests are taken: to who reads along, or in the log."""
    if settings.log_format() == "json":
        import logging

        logging.getLogger("pack.serving").info(text)
    else:
        click.echo(text)


def further_paths() -> dict[str, str]:
    """Paths that a platform chose, and those that they stand for; raises `InvalidValue` for what is no path."""
    from pack.errors import InvalidValue

    found = {}
    for setting, meant in ((settings.predict_route, "/invocations"), (settings.health_route, "/ping")):
        path = setting()
        if path is None:
            continue
        if not path.startswith("/") or not path.isprintable() or set(path) & set("?# "):
            raise InvalidValue(f"{setting.name} is {path!a:.100}, and no path", hint="give one like /v1/churn:predict")
        found[path] = meant
    return found


def built(*arguments: Any, **options: Any) -> Starlette:
    """The application, in each process that serves."""
    from pack.serving import app
    from pack.web import logs

    logs.start()
    return app(*arguments, **options)


@contextmanager
def metrics_folder(workers: int) -> Iterator[Path | None]:
    """Where several workers write down their metrics for each other; none is needed for one."""
    if workers == 1:
        yield None
        return
    from tempfile import TemporaryDirectory

    with TemporaryDirectory(prefix="pack-metrics-") as folder:
        yield Path(folder)


def keys_of(file: str | None, *, wanted: bool) -> Keys | None:
    """The keys that callers must show; None where they need none. Keys that are given are never left unused."""
    from pack.web import auth

    texts = settings.serve_keys()
    if file is not None:
        return auth.keys_of_file(file)
    if texts or wanted:
        return auth.keys_of(texts, where=settings.serve_keys.name)
    return None


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
