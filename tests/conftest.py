"""Every test gets a home, a configuration, a journal and a temp directory of its own; how the suite is run."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from stateheal.commit import watch
from stateheal.evidence import processes
from stateheal.formats.times import DAY
from tests.packages import Packages, build, sources
from tests.systems.marks import skip_unless_met, write_as_the_plugin

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # or each of hundreds of processes compiles the package for itself
sys.dont_write_bytecode = False

settings.register_profile(
    "suite",
    deadline=None,
    # How many examples a strategy throws away is luck, and a run that nobody made before must not fail for it.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much],
    derandomize=bool(os.environ.get("CI")),  # what decides whether work lands must not depend on luck
)
settings.register_profile("fast", settings.get_profile("suite"), max_examples=10)

# Whoever runs the suite may have had signals ignored (nohup, a shell's background), and what is ignored stays so in
# every process that a test starts.
if os.name == "posix":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for _signum in (signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM):
        signal.signal(_signum, signal.SIG_DFL)
else:
    write_as_the_plugin()

watch.LONGER = 0.0  # nobody writes beside the tests, but for those that say so
os.fsync = os.fstat  # in its own process no test can see what has reached the disk, and waiting for that takes long


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Without a path on the command line every processor works, where pytest-xdist is and nobody says ``-n``."""
    chosen = getattr(config.option, "numprocesses", 0) is not None or config.option.usepdb
    if config.args_source is config.ArgsSource.TESTPATHS and not chosen and "PYTEST_XDIST_WORKER" not in os.environ:
        config.option.numprocesses, config.option.dist = min(os.cpu_count() or 1, 8), "worksteal"
    if _is_fast(config) and config.option.basetemp is None and "PYTEST_XDIST_WORKER" not in os.environ:
        config.option.basetemp = _in_memory()


def _is_fast(config: pytest.Config) -> bool:
    return "not processes" in config.option.markexpr


_MEMORY = Path("/dev/shm")
_ENOUGH = 1 << 30


def _in_memory() -> str | None:
    """Where the fast part works: in memory, on a Linux that has room there; it makes and removes 100,000 files.

    What the disk's own file system does is seen by the whole suite. Of a run that is over nothing stays there.
    """
    try:
        for left in _MEMORY.glob("stateheal-tests-*"):
            if not _runs(int(left.name.rpartition("-")[2])):
                shutil.rmtree(left, ignore_errors=True)
        if shutil.disk_usage(_MEMORY).free < _ENOUGH:
            return None
        place = _MEMORY / f"stateheal-tests-{os.getpid()}"
        place.mkdir(mode=0o700)
    except (OSError, ValueError):
        return None
    return str(place)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def pytest_configure(config: pytest.Config) -> None:
    """The fast part tries a tenth of the made-up examples that the whole suite tries."""
    settings.load_profile("fast" if _is_fast(config) else "suite")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """What a failed test has left in memory stays there until the next run."""
    place = _MEMORY / f"stateheal-tests-{os.getpid()}"
    if exitstatus == 0 and session.config.option.basetemp == str(place):
        shutil.rmtree(place, ignore_errors=True)


def pytest_runtest_setup(item: pytest.Item) -> None:
    skip_unless_met(item)


_started: list[str] = []
"""The programs that this test has started: git, which a job asks for its workspace, and mere ended pids left out."""


def _note(event: str, arguments: tuple[object, ...]) -> None:
    if event == "subprocess.Popen" and isinstance(command := arguments[1], (list, tuple)):  # a text on Windows
        if command[0] != "git" and list(command[1:]) != ["-c", ""]:
            _started.append(str(command)[:200])


sys.addaudithook(_note)


@pytest.fixture(autouse=True)
def _says_that_it_starts_processes(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test that starts programs is marked ``processes``, so that the fast part stays fast."""
    _started.clear()
    yield
    if request.node.get_closest_marker("processes") is None:
        assert not _started, "this test starts programs: mark it with pytest.mark.processes"


@pytest.fixture
def isolated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Point every variable that stateheal reads into the test's own directory, and return that directory."""
    home = _furnished(tmp_path / "isolated")
    _move_in(home, monkeypatch)
    return home


@pytest.fixture
def booted_long_ago(monkeypatch: pytest.MonkeyPatch) -> None:
    """For a test of something hours old: on a machine that was booted just now it would be from before that."""
    real = processes.read_host
    monkeypatch.setattr(processes, "read_host", lambda boot, *now: real(time.time() - 30 * DAY, *now))


@pytest.fixture(scope="session")
def _empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``isolated`` is to a test that asks for no directory: all of them share it, and it stays empty."""
    return _furnished(tmp_path_factory.mktemp("empty"))


@pytest.fixture(autouse=True)
def _apart(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, _empty: Path) -> Iterator[None]:
    """Every test is isolated, whether it asks to be or not. Thousands need no directory, and making one takes time."""
    if {"isolated", "tmp_path"} & set(request.fixturenames) or request.node.get_closest_marker("processes"):
        request.getfixturevalue("isolated")
        yield
        return
    _move_in(_empty, monkeypatch)
    yield
    left = sorted(path.relative_to(_empty).as_posix() for path in _empty.rglob("*"))
    if left != ["home", "tmp"]:
        shutil.rmtree(_empty)
        _furnished(_empty)
        pytest.fail(f"it leaves files, let it ask for 'isolated': {left}")


def _furnished(place: Path) -> Path:
    for folder in ("home", "tmp"):
        (place / folder).mkdir(parents=True)
    return place


def _move_in(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
        "CLAUDE_CODE_TMPDIR",
        "CLAUDE_TMPDIR",
        "GIT_WORK_TREE",
        "NO_COLOR",
        "FORCE_COLOR",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr("stateheal.evidence.roots.SYSTEM_TEMP", home / "tmp")


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Packages:
    """The wheel and the sdist of this tree, built once."""
    place = tmp_path_factory.mktemp("packages")
    return build(sources(place / "source"), place / "dist")
