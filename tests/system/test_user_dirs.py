"""Where a user's files belong: always what platformdirs says."""

from __future__ import annotations

import subprocess
import sys

import platformdirs
import pytest

from stateheal.system.user_dirs import user_dir

VALUES = [None, ("/x/state", "/x/config"), ("", ""), ("relative", "~/x")]
HOMES = [{"HOME": "/home/dev"}, {"HOME": "/"}, {"HOME": "/home/dev/"}, {}]


@pytest.mark.parametrize("home", HOMES)
@pytest.mark.parametrize("given", VALUES)
@pytest.mark.parametrize("kind", ["state", "config"])
def test_it_is_what_platformdirs_says(
    kind: str, given: tuple[str, str] | None, home: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    variables = dict(zip(("XDG_STATE_HOME", "XDG_CONFIG_HOME"), given or (), strict=False))
    for name, value in {**variables, **home}.items():
        monkeypatch.setenv(name, value)
    expected = getattr(platformdirs, f"user_{kind}_dir")("stateheal", appauthor=False)
    assert user_dir(kind) == expected


@pytest.mark.processes
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere platformdirs is asked")
def test_it_is_not_imported_for_that() -> None:
    program = (
        "import sys; from stateheal.commit.location import journal_path; journal_path()\n"
        "from stateheal.engine.configuration import configuration_path; configuration_path()\n"
        "print(sorted({'platformdirs', 'tempfile', 'shutil'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr
