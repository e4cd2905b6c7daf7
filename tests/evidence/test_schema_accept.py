"""The quick yes and jsonschema never disagree."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stateheal.evidence import schema
from stateheal.evidence.schema_accept import Unknown, compile_schema
from tests.support import FIELD_DATA, done, entry_of, job

KEYS = sorted(
    {*done("x"), "updatedAt", "errorMessage", "cancelledAt", "request", "unknown", "version", "config", "jobs"}
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 5000)
    | st.floats(allow_nan=False)
    | st.sampled_from(
        ["", "running", "2026-11-23T07:00:00.000Z", "2026-11-23T07:00:00+01:00", "yesterday", "\uff11\uff12"]
    )
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=4), inner, max_size=5)
    ),
    max_leaves=12,
)


@pytest.mark.parametrize("name", ["state", "job", "broker"])
@given(value=VALUES, changes=st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=3))
def test_they_never_disagree(name: str, value: Any, changes: dict[str, Any]) -> None:
    base = {"job": job("task-1"), "state": {"version": 1, "config": {}, "jobs": [entry_of(job("task-1"))]}}.get(
        name, {}
    )
    for each in (value, {**base, **changes}, {"version": 1, "jobs": [{**job("a"), **changes}]}):
        valid = schema._validator(name).is_valid(each)
        accepted = schema._acceptor(name)(each)
        assert not accepted or valid  # what is accepted is valid,
        assert bool(schema.violations(name, each)) is not valid  # and the answer is jsonschema's,
        found = [fault._replace(message="") for fault in schema._found_here(name, each)]
        told = [fault._replace(message="") for fault in schema._found_by_jsonschema(name, each)]
        assert found == told  # in every part
        assert [schema._sentence(fault) for fault in schema._found_here(name, each)] == [
            schema._sentence(fault) for fault in schema._found_by_jsonschema(name, each)
        ]


@pytest.mark.parametrize("name", ["state", "job", "broker"])
def test_what_the_plugin_writes_is_accepted_without_jsonschema(name: str) -> None:
    patterns = {"state": "*/state.json", "job": "*/jobs/*.json", "broker": "*/broker.json"}
    found = [json.loads(path.read_text()) for path in FIELD_DATA.rglob(patterns[name])]
    assert found and all(map(schema._acceptor(name), found))


def test_an_unknown_keyword_is_no_yes() -> None:
    for broken in ({"oneOf": []}, {"properties": {"a": {"minimum": 3}}}, True):
        with pytest.raises(Unknown):
            compile_schema(broken, lambda reference: lambda value: True)
