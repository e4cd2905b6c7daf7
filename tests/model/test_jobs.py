"""How a job's conversation is taken up again."""

from __future__ import annotations

from typing import Any

import pytest

from stateheal.dialects.codex import CODEX
from stateheal.model.jobs import resume_of

TASK: dict[str, Any] = {"jobClass": "task", "threadId": "thr_1"}


@pytest.mark.parametrize(
    ("sides", "command"),
    [
        ([TASK], "codex resume thr_1"),
        ([{**TASK, "threadId": None}, TASK], "codex resume thr_1"),
        ([{**TASK, "threadId": "a b"}, TASK], "codex resume thr_1"),
        ([{**TASK, "jobClass": "review"}], None),
        *(
            ([{**TASK, "threadId": text}], None)
            for text in ("x$(y)", "--yolo", "-c", "a b", "a;b", "a\nb", "", 7, None)
        ),
        ([], None),
    ],
)
def test_only_a_tasks_thread_of_plain_form_is_named_in_a_command(sides: list[Any], command: str | None) -> None:
    assert resume_of(*sides, dialect=CODEX) == command
