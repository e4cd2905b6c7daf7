"""What records claim about their processes: which identity is read of which companion's record (section 4)."""

from __future__ import annotations

from typing import Any

import pytest

from stateheal.dialects.claude import CBEPX, SENDBIRD
from stateheal.dialects.codex import LUCASMCHT, PATRIYANG
from stateheal.dialects.opencode import KIM, TASICT
from stateheal.model.claims import fork_ticks_of
from stateheal.model.dialect import CODEX, Dialect


@pytest.mark.parametrize(
    ("dialect", "record", "pid", "ticks"),
    [
        # whoever writes linux:<ticks> in one of the two common fields
        (CODEX, {"pidIdentity": "linux:555"}, "pid", 555),
        (CODEX, {"owner": {"pidStartTime": "linux:555"}}, "pid", 555),
        # bare digits are ticks only where the companion is known to write them so
        (CODEX, {"pidIdentity": "555"}, "pid", None),
        (SENDBIRD, {"pidIdentity": "555"}, "pid", 555),
        (SENDBIRD, {"pidStart": "555"}, "pid", None),
        (CBEPX, {"pidIdentity": "555", "workerPidIdentity": "444"}, "pid", 555),
        (CBEPX, {"pidIdentity": "555", "workerPidIdentity": "444"}, "workerPid", 444),
        (CBEPX, {"pidIdentity": "555"}, "workerPid", None),
        (CBEPX, {"pidIdentity": "linux:555"}, "workerPid", None),
        (KIM, {"pidStart": "555"}, "pid", 555),
        (KIM, {"pidStartToken": "linux:555"}, "pid", None),
        (TASICT, {"pidStartToken": "linux:555"}, "pid", 555),
        (LUCASMCHT, {"worker": {"startKey": "linux:555"}}, "pid", 555),
        (LUCASMCHT, {"worker": "linux:555"}, "pid", None),
        (LUCASMCHT, {"startKey": "linux:555"}, "pid", None),
        # formats that are not known
        (PATRIYANG, {"pidStartTime": "Fri Nov 27 02:19:42 2026"}, "pid", None),
        (SENDBIRD, {"pidIdentity": "Fri Nov 27 02:19:42 2026 node"}, "pid", None),
        (SENDBIRD, {"pidIdentity": "darwin:555"}, "pid", None),
        (SENDBIRD, {"pidIdentity": ""}, "pid", None),
        (SENDBIRD, {"pidIdentity": "-555"}, "pid", None),
        (SENDBIRD, {"pidIdentity": "\u0665\u0665\u0665"}, "pid", None),
        (SENDBIRD, {"pidIdentity": "5" * 19}, "pid", None),
        (SENDBIRD, {"pidIdentity": 555}, "pid", None),
        (SENDBIRD, {"pidIdentity": None}, "pid", None),
    ],
)
def test_start_ticks_that_forks_record(dialect: Dialect, record: dict[str, Any], pid: str, ticks: int | None) -> None:
    assert fork_ticks_of(record, dialect, pid) == ticks
