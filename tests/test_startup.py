"""What `import pack` and `pack --help` may load: nothing heavy, and nothing of the rooms."""

from __future__ import annotations

import subprocess
import sys

HEAVY = {
    "numpy", "pandas", "yaml", "sqlite3", "sqlalchemy", "sklearn", "skops", "scipy", "torch", "matplotlib", "asyncio",
    "starlette", "uvicorn", "cloudpickle", "pickle", "joblib", "logging", "http", "ssl", "email", "importlib.metadata",
}  # fmt: skip
GROUND_ROOMS = {"mlmodel", "envs", "trust", "artifacts", "db", "web"}
ROOMS = GROUND_ROOMS | {"flavors", "pyfunc", "serving", "tracking", "registry", "fluent"}


def modules_after(code: str) -> set[str]:
    """The modules that a new interpreter holds after `code`, without those that it starts with."""
    script = f"import sys; before = set(sys.modules)\n{code}\nprint(*(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def test_import_pack_loads_nothing_heavy() -> None:
    loaded = modules_after("import pack")
    assert "pack" in loaded
    assert not loaded & HEAVY


def test_import_pack_loads_no_room() -> None:
    assert {name for name in modules_after("import pack") if name.startswith("pack.")} == {"pack.version"}


def test_help_loads_no_room_and_no_framework() -> None:
    loaded = modules_after(
        "import contextlib\nwith contextlib.suppress(SystemExit):\n    import pack.cli; pack.cli.main(['--help'])"
    )
    assert "pack.cli" in loaded
    assert not loaded & (HEAVY - {"importlib.metadata", "email", "logging"})
    assert not {name for name in loaded if name.startswith("pack.") and name.split(".")[1] in ROOMS}


def test_a_version_is_printed_without_loading_a_room() -> None:
    done = subprocess.run([sys.executable, "-m", "pack", "--version"], capture_output=True, text=True, check=True)
    import pack

    assert done.stdout.strip().endswith(pack.__version__)


def test_recording_a_run_loads_no_framework() -> None:
    loaded = modules_after("import pack\nwith pack.start_run():\n    pack.log_metric('loss', 0.5)")
    assert "pack.tracking.sql" in loaded
    assert not loaded & {"numpy", "pandas", "sqlalchemy", "sklearn", "starlette", "cloudpickle"}
