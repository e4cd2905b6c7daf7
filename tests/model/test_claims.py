"""What records claim about their processes: which identity is read of which companion's record (section 4)."""

from __future__ import annotations

from typing import Any

import pytest

from stateheal.dialects.claude import CBEPX, SENDBIRD
from stateheal.dialects.codex import LUCASMCHT, PATRIYANG
from stateheal.dialects.opencode import KIM, TASICT
from stateheal.model.claims import fork_ticks_of, other_pids
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


@pytest.mark.parametrize(
    ("record", "named"),
    [
        ({"childPid": 4711, "agentPID": "4712", "child_pid": 4713}, {4711, 4712, 4713}),
        ({"owner": {"pid": 4711}, "pid_info": {"pid": 4712}}, {4711, 4712}),
        ({"pids": [4711, 4712], "childPids": {"a": 4713}}, {4711, 4712}),
        ({"children": [{"pid": 4711}, {"name": "x"}], "workers": {"a": {"process": {"pid": 4712}}}}, {4711, 4712}),
        ({"processId": 4711, "owner": {"process_id": 4712}, "agent": {"process": {"id": 4713}}}, {4711, 4712, 4713}),
        (
            {"childpid": 4711, "statepid": 4712, "gatePid": 4713, "agent-pid": 4714, "X_PID": 4715},
            set(range(4711, 4716)),
        ),
        ({"rapidPid": 4711, "a": {"subprocess": {"id": 4712}, "childProcess": {"id": 4713}}}, {4711, 4712, 4713}),
        ({"process": 4711, "agentProcess": "4712", "pgid": 4713, "worker": {"pgid": 4714}}, set(range(4711, 4715))),
        # what is no pid, no process of the job's, or the job's own
        ({"rapid": 4711, "isStupid": 4712, "total_lipid": 4713, "a": {"Rapid": 4714}}, set()),
        ({"pid": 4711, "childPid": 1, "agentPid": 0, "bridgePid": True, "workerPid": -5, "x": [4711]}, set()),
        ({"request": {"pid": 4711}, "result": {"pids": [4712]}, "id": 4713, "turnId": 4714, "kids": [4715]}, set()),
        (
            {
                "stupid": "text",
                "process": "node",
                "inProcess": True,
                "progress": 4712,
                "pidFile": "/run/x.pid",
                "a": {"b": {"c": {"d": {"e": {"pid": 4711}}}}},
            },
            set(),
        ),
    ],
)
def test_every_further_process_that_a_record_names(record: dict[str, Any], named: set[int]) -> None:
    assert {pid for _, pid in other_pids(record)} == named
