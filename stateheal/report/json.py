"""The JSON report (DESIGN.md, commands; schemas/report.schema.json).

Output is pure ASCII: text from records is data.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

from stateheal.model.findings import Finding, Severity
from stateheal.model.report import Moved, Report, Restored


def as_json(report: Report, **extra: Any) -> dict[str, Any]:
    """The report as one JSON object; ``extra`` adds what only one command has (``runs``, ``rules``, ``jobs``)."""
    whole: dict[str, Any] = {
        "schema_version": 1,
        "command": report.command,
        "dry_run": report.dry_run,
        "run": report.run,
        "roots": [str(root) for root in report.roots],
        "summary": {
            "workspaces": report.workspaces,
            "jobs": report.jobs,
            "findings": len(report.findings),
            "healed": report.healed,
            "remaining": report.remaining,
            "notices": report.count(Severity.NOTICE),
            "unsure": report.count(Severity.UNSURE),
            "errors": len(report.errors),
            "by_rule": dict(sorted(Counter(finding.rule for finding in report.findings).items())),
        },
        "findings": [_finding(finding) for finding in report.findings],
        "errors": [{"path": problem.path, "message": problem.message} for problem in report.errors],
    }
    if report.interrupted:
        whole["interrupted"] = True
    if report.command == "migrate":
        whole["moved"] = [_moved(each) for each in report.moved]
    if report.command == "undo":
        whole["restored"] = [_restored(each) for each in report.restored if each.refusal is None]
        whole["refused"] = [_restored(each) for each in report.restored if each.refusal is not None]
    return {**whole, **extra}


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "rule": finding.rule,
        "severity": finding.severity.value,
        "workspace": finding.workspace,
        "path": finding.path,
        "pointer": finding.pointer,
        "job": finding.job,
        "pid": finding.pid,
        "message": finding.message,
        "evidence": finding.evidence,
        "repair": finding.repair,
        "outcome": finding.outcome.value,
    }


def _moved(each: Moved) -> dict[str, Any]:
    return {
        "workspace": each.source.name,
        "source": str(each.source),
        "target": str(each.target),
        "jobs": list(each.jobs),
        "stays": list(each.stays),
        "refusal": each.refusal,
        "written": each.written,
        "archived": each.archived,
    }


def _restored(each: Restored) -> dict[str, Any]:
    message = each.refusal or f"{each.files} files put back"
    return {"workspace": each.workspace.name, "path": str(each.workspace), "message": message}


def _indented(key: str, value: Any) -> str:
    if key == "findings" and value:  # there may be thousands, and json indents slowly
        return "[\n    " + ",\n    ".join(map(json.dumps, value)) + "\n  ]"
    return json.dumps(value, indent=2).replace("\n", "\n  ")


def lines(whole: dict[str, Any], ndjson: bool, each: str = "findings") -> Iterator[str]:
    """The object as text: indented, each finding on a line, or (``ndjson``) one finding a line and then the rest.

    ``each``: the list that ndjson gives a line each.
    """
    if not ndjson:
        yield (
            "{\n" + ",\n".join(f"  {json.dumps(key)}: {_indented(key, value)}" for key, value in whole.items()) + "\n}"
        )
        return
    for one in whole[each]:
        yield json.dumps(one)
    yield json.dumps({**whole, each: []})
