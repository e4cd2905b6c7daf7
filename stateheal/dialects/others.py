"""Companions whose state code was read and could not be run: audited, never written (field guide section 11)."""

from __future__ import annotations

from stateheal.model.dialect import Argv, Dialect, Launch


def _of(name: str, *read: str, variables: tuple[str, ...] = (), commands: tuple[str, ...] = ()) -> Dialect:
    """A companion of Codex's layout under a name of its own."""
    return Dialect(
        name=name,
        read=read,
        plugins=rf"{name}.*",
        heals=False,
        argv=(Argv(rf"{name}-companion.*"),),
        broker=None,
        temp=(f"{name}-companion",),
        variables=variables,
        launch=Launch(
            (f"{name}-companion",),
            ("task", "review", "adversarial-review", *commands),
            slash=(name,),
            cancel=f"/{name}:cancel",
        ),
    )


# It throws on an index or a job file that does not parse; reviews stand without pid or job file until their end.
GLM = _of("glm", "sky-zhang01/glm-plugin-cc@bebec14 0.4.8 (not run)", commands=("rescue",))

# An empty state.json.lock breaks after 30 s.
QWEN = _of("qwen", "bbingz/qwen-plugin-cc@17ff5a2 0.2.2 (not run)", commands=("rescue", "ask"))
KIMI = _of("kimi", "bbingz/kimi-plugin-cc@8ecee5b 0.1.0 (not run)", variables=("KIMI_PLUGIN_DATA",), commands=("ask",))

COPILOT = _of("copilot", "warischa/copilot-plugin-cc (not run)")

DIALECTS = (GLM, QWEN, KIMI, COPILOT)
