"""The shipped schemas accept what the plugin writes and explain in sentences what they do not."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from stateheal.errors import UsageError
from stateheal.evidence.schema import NAMES, schema_text, violations
from tests.support import FIELD_DATA, PROJECT, done, entry_of, job


@pytest.mark.parametrize("name", NAMES)
def test_every_schema_is_valid_2020_12(name: str) -> None:
    schema = json.loads(schema_text(name))
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema.Draft202012Validator.check_schema(schema)


def test_every_schema_in_the_folder_is_known() -> None:
    assert {path.name for path in (PROJECT / "schemas").iterdir()} == {f"{name}.schema.json" for name in NAMES}


def test_an_unknown_schema_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="state, job, broker"):
        schema_text("jobs")


def test_every_field_file_is_accepted() -> None:
    checked = 0
    for path in FIELD_DATA.rglob("*.json"):
        name = {"state.json": "state", "broker.json": "broker"}.get(path.name, "job")
        assert violations(name, json.loads(path.read_text())) == (), path
        checked += 1
    assert checked == 38


@pytest.mark.parametrize(
    "record",
    [
        job("task-1", phase=..., kindLabel=...),
        job("task-1", sessionId=..., logFile=None, startedAt=...),
        job("task-1", unknown={"deep": [1]}, pidStartTime="linux:5"),
        done("task-1", result={"codex": {}}),
        {"id": "x", "status": "crashed"},
        job("task-1", createdAt="2026-11-22T07:52:49Z"),
    ],
)
def test_older_shapes_and_unknown_keys_are_legal(record: dict[str, Any]) -> None:
    assert violations("job", record) == ()
    assert violations("state", {"version": 1, "jobs": [entry_of(record, updatedAt=...)], "extra": 1}) == ()


@pytest.mark.parametrize(
    ("name", "value", "pointer", "says"),
    [
        ("job", {"status": "x"}, "", "'id' is missing"),
        ("job", {"id": "a"}, "", "'status' is missing"),
        ("job", job("a", pid="5"), "/pid", '"5" stands where a whole number or null belongs'),
        ("job", job("a", pid=True), "/pid", "true stands where a whole number or null belongs"),
        ("job", job("a", createdAt="yesterday"), "/createdAt", '"yesterday" is not a time such as'),
        ("job", job("a", startedAt=7), "/startedAt", "7 stands where a string or null belongs"),
        ("job", job("a", request=[]), "/request", "[] stands where an object or null belongs"),
        ("job", job("a", write="yes"), "/write", '"yes" stands where true or false or null belongs'),
        ("job", [], "", "[] stands where an object belongs"),
        ("state", {"version": 2, "jobs": []}, "/version", "2 stands where only 1 is known"),
        ("state", {"version": 1, "jobs": {}}, "/jobs", "{} stands where a list belongs"),
        ("state", {"version": 1}, "", "'jobs' is missing"),
        ("state", {"version": 1, "jobs": [None]}, "/jobs/0", "null stands where an object belongs"),
        ("state", {"version": 1, "jobs": [job("a", title=1)]}, "/jobs/0/title", "1 stands where a string or null"),
        (
            "state",
            {"version": 1, "config": {"stopReviewGate": "false"}, "jobs": []},
            "/config/stopReviewGate",
            '"false" stands where true or false belongs',
        ),
        ("broker", {"endpoint": "tcp:1"}, "/endpoint", "is not an endpoint such as"),
    ],
)
def test_a_violation_has_a_pointer_and_a_sentence(name: str, value: Any, pointer: str, says: str) -> None:
    (violation,) = violations(name, value)
    assert violation.pointer == pointer
    assert says in violation.message


def test_pointers_are_escaped() -> None:
    found = violations("report", {"summary": {"by_rule": {"a/b~c": -1}}})
    assert "/summary/by_rule/a~1b~0c" in {violation.pointer for violation in found}


def test_long_values_are_cut() -> None:
    (violation,) = violations("job", job("a", pid="9" * 500))
    assert len(violation.message) < 150
