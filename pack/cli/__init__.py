"""The command `pack`. Each command lies in a file of its own, which is imported when the command is used."""

from __future__ import annotations

import errno
import sys
from importlib import import_module
from typing import Any

import click

from pack.errors import PackError
from pack.version import __version__

# name → where the command is, and what it does in a line
COMMANDS = {
    "serve": ("pack.cli.serve:serve", "Serve a model over HTTP."),
    "predict": ("pack.cli.predict:predict", "Score a CSV, JSON or Parquet file."),
    "inspect": ("pack.cli.inspect:inspect", "Show what a model is, without loading it."),
    "verify": ("pack.cli.verify:verify", "Compare a model with its digests, without loading it."),
    "env": ("pack.cli.env:env", "What a model needs to run: check it here, lock it for anywhere."),
    "sign": ("pack.cli.sign:sign", "Sign a model: with a key, a certificate, or keyless."),
    "sbom": ("pack.cli.sbom:sbom", "Write a model's bill of materials (CycloneDX)."),
    "fetch": ("pack.cli.fetch:fetch", "Put a model into a folder, proved by its digest."),
    "build-docker": ("pack.cli.images:build_docker", "Build the image that serves a model, in a Docker engine."),
    "build-image": ("pack.cli.images:build_image", "Build the same image without an engine."),
    "generate-dockerfile": ("pack.cli.images:generate_dockerfile", "Write a Dockerfile for another builder."),
    "container": ("pack.cli.container:container", "Serve the model of an image: what images of pack run."),
    "generate-k8s": ("pack.cli.generate_k8s:generate_k8s", "Write the manifests that serve a model in Kubernetes."),
    "flavors": ("pack.cli.flavors:flavors", "The kinds of models, and what is installed for them."),
    "convert": ("pack.cli.convert:convert", "Make an ONNX model of one, proved to answer alike."),
    "diff": ("pack.cli.diff:diff", "Compare the signatures of two models."),
    "experiments": ("pack.cli.experiments:experiments", "Groups of runs."),
    "runs": ("pack.cli.runs:runs", "List, search, compare and plot runs."),
    "models": ("pack.cli.models:models", "Registered models and their versions."),
    "alias": ("pack.cli.alias:alias", "Say which version is live, and look at which was."),
    "artifacts": ("pack.cli.artifacts:artifacts", "Files of runs and models."),
    "cache": ("pack.cli.cache:cache", "What was downloaded, and cleaning it up."),
    "import": ("pack.cli.exchange:import_", "Bring in runs and models of MLflow or another store."),
    "export": ("pack.cli.exchange:export", "Write the store into a folder of plain files."),
    "gc": ("pack.cli.gc:gc", "Empty the trash."),
    "db": ("pack.cli.db:db", "Check the database, or upgrade it."),
}


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports one when it is asked for."""

    def __init__(self, *args: Any, table: dict[str, tuple[str, str]] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.table = table or {}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order in which they were written."""
        return [*self.commands, *self.table]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name."""
        if cmd_name not in self.table:
            return super().get_command(ctx, cmd_name)
        module, _, name = self.table[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands in `--help`; those of the table are not imported for it."""
        own = [(name, one.get_short_help_str(limit=90)) for name, one in self.commands.items() if not one.hidden]
        with formatter.section("Commands"):
            formatter.write_dl([*own, *((name, line) for name, (_, line) in self.table.items())])

    def make_context(self, info_name: str | None, args: list[str], *rest: Any, **extra: Any) -> click.Context:
        """The context of a call, which remembers the arguments of one that is not the process's own."""
        given = None if args == sys.argv[1:] else list(args)
        context = super().make_context(info_name, args, *rest, **extra)
        if context.parent is None:
            context.meta["pack.arguments"] = given
        return context

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; an error of ours or of the disk is a message and a hint on stderr, and exit code 1."""
        try:
            return super().invoke(ctx)
        except PackError as error:
            click.echo(f"error: {error.message}", err=True)
            if error.hint:
                click.echo(f"  {error.hint}", err=True)
            ctx.exit(1)
        except OSError as error:
            if error.errno == errno.EPIPE:  # whoever reads has seen enough; click ends quietly
                raise
            where = f"{error.filename}: " if error.filename else ""
            click.echo(f"error: {where}{error.strerror or error}", err=True)
            click.echo("  look at the disk and the rights of the file", err=True)
            ctx.exit(1)


@click.group(
    cls=LazyGroup, table=COMMANDS, context_settings={"help_option_names": ["--help"], "max_content_width": 100}
)
@click.version_option(__version__, prog_name="pack")
def main() -> None:
    """Package models, serve them, and know which version is live.

    \b
    Example:
      pack models list
      pack serve -m models:/churn@champion --port 8080

    Exit codes: 0 done, 1 failed, 2 the command was misspelled.
    """
