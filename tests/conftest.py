"""Every test gets a home, a configuration, a journal and a temp directory of its own."""

from __future__ import annotations

import os
import signal
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.packages import Packages, build, sources
from tests.systems.marks import skip_unless_met, write_as_the_plugin

settings.register_profile(
    "suite",
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=bool(os.environ.get("CI")),  # what decides whether work lands must not depend on luck
)
settings.load_profile("suite")

# Whoever runs the suite may have had signals ignored (nohup, a shell's background), and what is ignored stays so in
# every process that a test starts.
if os.name == "posix":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for _signum in (signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM):
        signal.signal(_signum, signal.SIG_DFL)
else:
    write_as_the_plugin()


def pytest_runtest_setup(item: pytest.Item) -> None:
    skip_unless_met(item)


@pytest.fixture(autouse=True)
def isolated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Point every variable that stateheal reads into the test's own directory, and return that directory."""
    home = tmp_path / "isolated"
    for name, folder in (
        ("HOME", "home"),
        ("CLAUDE_CONFIG_DIR", "home/.claude"),
        ("STATEHEAL_STATE_DIR", "journal"),
        ("XDG_STATE_HOME", "xdg-state"),
        ("XDG_CONFIG_HOME", "xdg-config"),
        ("CODEX_HOME", "home/.codex"),
        ("TMPDIR", "tmp"),
        *((("USERPROFILE", "home"), ("TEMP", "tmp"), ("TMP", "tmp")) if os.name == "nt" else ()),
    ):
        monkeypatch.setenv(name, str(home / folder))
    for name in (
        "STATEHEAL_CONFIG",
        "CLAUDE_PLUGIN_DATA",
        "CLAUDE_CODE_PLUGIN_CACHE_DIR",
        "GIT_WORK_TREE",
        "NO_COLOR",
        "FORCE_COLOR",
    ):
        monkeypatch.delenv(name, raising=False)
    for folder in ("home", "tmp"):
        (home / folder).mkdir(parents=True)
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr("stateheal.evidence.roots.SYSTEM_TEMP", home / "tmp")
    return home


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Packages:
    """The wheel and the sdist of this tree, built once."""
    place = tmp_path_factory.mktemp("packages")
    return build(sources(place / "source"), place / "dist")
