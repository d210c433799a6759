"""`pack container`: what an image of ours runs."""

from __future__ import annotations

import os
from typing import Any

import click

# Docker ends a container 10 s after it asked it to stop: requests in flight have most of them.
_DRAIN_SECONDS, _END_SECONDS = 7, 9
_DEFAULTS = {"PACK_LOG_FORMAT": "json", "PACK_SERVE_DRAIN": str(_DRAIN_SECONDS), "PACK_HOST": "0.0.0.0"}  # noqa: S104


@click.command()
@click.argument("word", required=False, metavar="[serve]")
def container(word: str | None) -> None:
    """Serve the model of this image as its platform says; the images of pack build-docker and build-image run it.

    The port is that of AIP_HTTP_PORT, SAGEMAKER_BIND_TO_PORT, PORT or PACK_PORT. The model is that of PACK_MODEL_URI,
    or the one in /opt/ml/model, or that of AIP_STORAGE_URI. All settings of pack serve hold. Lines of the log are JSON.
    SIGTERM ends it within 10 s, after the requests in flight.

    \b
    Example:
      docker run --rm -p 8080:8080 --read-only churn:3
      docker run --rm -e PORT=9000 -p 9000:9000 churn:3

    Exit codes: 0 stopped when asked, 1 failed.
    """
    if word not in {None, "serve"}:
        raise click.UsageError(f"an image of pack serves its model; it has no {word[:50]!a}.")
    from pack.web import first

    for name, value in {**_DEFAULTS, **_place_for_temporary_files()}.items():
        os.environ.setdefault(name, value)
    raise SystemExit(first.supervise(_serve, seconds=_END_SECONDS))


def _place_for_temporary_files() -> dict[str, str]:
    """Memory, where nothing else can be written: some libraries do not start without a place (torch.export)."""
    if not os.access("/tmp", os.W_OK) and os.access("/dev/shm", os.W_OK):  # noqa: S108 - asked about, not used
        return {"TMPDIR": "/dev/shm"}  # noqa: S108
    return {}


def _serve() -> int:
    import logging

    from pack.web import logs

    logs.start()
    failure = _failure()
    if failure is not None:
        logging.getLogger("pack").error(failure)
    return int(failure is not None)


def _failure() -> str | None:
    """Serve until a stop is asked for; why that failed, with what to do next."""
    from pack.cli.serve import serve
    from pack.errors import PackError

    try:
        serve.main(_arguments(), prog_name="pack serve", standalone_mode=False)
    except PackError as error:
        return f"{error.message}; {error.hint}" if error.hint else error.message
    except click.ClickException as error:
        return error.format_message()
    return None


def _arguments() -> list[str]:
    """What `pack serve` is told; who may call is said by the network that the container is in, and PACK_SERVE_KEYS."""
    from pack import settings
    from pack.errors import InvalidValue, NotFound
    from pack.images import told

    uri = told.model_uri()
    if uri is None:
        raise NotFound(
            f"there is no model in {told.MODEL_HOME}", hint="mount one there, or name one with PACK_MODEL_URI"
        )
    try:
        port = told.port()
    except ValueError as error:
        raise InvalidValue(str(error), hint="give a number from 1 to 65535") from error
    named = f"{settings.model_name() or 'model'}={uri}"
    open_to_all: list[Any] = [] if settings.serve_keys() else ["--allow-unauthenticated"]
    return ["--model-uri", named, "--port", str(port), "--env-manager", "local", *open_to_all]
