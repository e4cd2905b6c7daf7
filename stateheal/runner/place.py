"""Where a new job's records go: the directory that the plugin itself would choose.

Field guide section 1. Whoever only looks for existing state never starts a program; whoever writes new state has to ask
git, with the plugin's own question.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from stateheal.errors import UsageError
from stateheal.evidence.hashes import slug, workspace_hash
from stateheal.evidence.roots import FALLBACK, temp_root
from stateheal.system.paths import real_path
from stateheal.values import NamedTuple


class Workplace(NamedTuple):
    """A workspace as the plugin knows it, and where its state is."""

    root: str
    """The ``workspaceRoot`` of its records."""
    directory: Path
    """``<state root>/<slug>-<hash>``; it need not exist yet."""


def workplace(
    cwd: str | os.PathLike[str] | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Workplace:
    """The workspace of a directory (default: the current one) and the state directory for it.

    ``data_dir`` is a plugin's data directory; without it ``$CLAUDE_PLUGIN_DATA`` counts, else the temp root, as for the
    plugin. Nothing is created. Raises ``UsageError`` for a directory of another kind.
    """
    env = os.environ if environ is None else environ
    try:
        start = _as_node_sees(os.path.abspath(os.getcwd() if cwd is None else os.fspath(cwd)))
    except OSError as error:
        raise UsageError(f"the current directory: {error.strerror or error}") from error
    if data_dir and (os.path.isdir(os.path.join(data_dir, "plugins", "data")) or Path(data_dir).name == "state"):
        raise UsageError(f"{data_dir}: give a plugin's data dir, such as …/plugins/data/codex-openai-codex")
    root = _work_tree(start, env)
    again = _work_tree(root, env)  # the plugin asks git a second time, from the first answer
    data = data_dir or env.get("CLAUDE_PLUGIN_DATA")
    state = Path(data).absolute() / "state" if data else temp_root(env) / FALLBACK
    return Workplace(root, state / f"{slug(again)}-{workspace_hash(_real(again))}")


def _work_tree(cwd: str, env: Mapping[str, str]) -> str:
    """What ``git rev-parse --show-toplevel`` says, or the directory itself where git says nothing."""
    question = ["git", "rev-parse", "--show-toplevel"]
    try:
        answer = subprocess.run(question, cwd=cwd, env=dict(env), capture_output=True, stdin=subprocess.DEVNULL)
    except (OSError, ValueError):  # no git, no such directory
        return cwd
    said = answer.stdout.decode("utf-8", "replace").strip()
    return said if answer.returncode == 0 and said else cwd


def _real(path: str) -> str:
    try:
        os.stat(path)  # the plugin takes the raw path of what is not there
        return _as_node_sees(real_path(path))
    except (OSError, ValueError):
        return path


def _as_node_sees(path: str) -> str:
    """Bytes of a path that are no UTF-8 become replacement characters in node."""
    return os.fsencode(path).decode("utf-8", "replace")
