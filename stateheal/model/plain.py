"""The report as plain values, ready for JSON (DESIGN.md, commands; schemas/report.schema.json)."""

from __future__ import annotations

from collections import Counter

from stateheal.formats.jsontext import Json, finite
from stateheal.formats.times import format_time
from stateheal.model.findings import Edit, Finding, Severity
from stateheal.text import count_of
from stateheal.version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from stateheal.model.report import Moved, Report, Restored


def as_json(report: Report, **extra: Any) -> dict[str, Any]:
    """The report as one JSON object; ``extra`` adds what only one command has (``runs``, ``rules``, ``jobs``)."""
    whole = in_pieces(report, **extra)
    return {**whole, "findings": list(whole["findings"])}


def in_pieces(report: Report, **extra: Any) -> dict[str, Any]:
    """The same, but that ``findings`` is an iterator, which makes each when it is its turn: there may be thousands."""
    whole: dict[str, Any] = {
        "schema_version": 1,
        "tool": f"stateheal {__version__}",
        "time": None if report.time is None else format_time(report.time),
        "command": report.command,
        "dry_run": report.dry_run,
        "run": report.run,
        "roots": [str(root) for root in report.roots],
        "summary": _summary(report),
        "findings": map(_finding, report.findings),
        "errors": [
            {"path": problem.path, "message": problem.message, "kind": problem.kind.value} for problem in report.errors
        ],
    }
    if report.interrupted:
        whole["interrupted"] = True
    if report.answers:
        whole["recovered"] = [{"workspace": name, "job": job, "text": text} for name, job, text in report.answers]
    if report.command == "migrate":
        whole["moved"] = [_moved(each) for each in report.moved]
    if report.command == "undo":
        whole["restored"] = [_restored(each, report) for each in report.restored if each.refusal is None]
        whole["refused"] = [_restored(each, report) for each in report.restored if each.refusal is not None]
    return {**whole, **extra}


def _summary(report: Report) -> dict[str, Any]:
    return {
        "workspaces": report.workspaces,
        "jobs": report.jobs,
        "findings": len(report.findings),
        "repairable": sum(finding.repairable for finding in report.findings),
        "healed": report.healed,
        "remaining": report.remaining,
        "notices": report.count(Severity.NOTICE),
        "unsure": report.count(Severity.UNSURE),
        "errors": len(report.errors),
        "by_rule": dict(sorted(Counter(finding.rule for finding in report.findings).items())),
        **_done(report),
        **report.counts,
    }


def _done(report: Report) -> dict[str, int]:
    """What an undo or a migration did, which finds nothing: the same counts, and some of their own."""
    if report.command == "undo":
        refused = sum(each.refusal is not None for each in report.restored)
        files = sum(each.files for each in report.restored if each.refusal is None)
        return {"workspaces": len(report.restored), "files": files, "refused": refused}
    if report.command == "migrate":
        refused = sum(each.refusal is not None for each in report.moved)
        jobs = sum(len(each.jobs) for each in report.moved)
        return {"jobs": jobs, "written": sum(each.written for each in report.moved), "refused": refused}
    if report.command == "recover":
        return {"recovered": report.healed}
    return {}


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "rule": finding.rule,
        "severity": finding.severity.value,
        "workspace": finding.workspace,
        "project": finding.project,
        "root": finding.root,
        "path": finding.path,
        "pointer": finding.pointer,
        "job": finding.job,
        "title": finding.title,
        "pid": finding.pid,
        "last_sign": None if finding.last_sign is None else format_time(finding.last_sign),
        "message": finding.message,
        "evidence": finding.evidence,
        "repair": finding.repair,
        "repairable": finding.repairable,
        "outcome": finding.outcome.value,
        "resume": finding.resume,
        "size": finding.size,
        **({"edits": [_edit(each) for each in finding.edits]} if finding.edits else {}),
    }


def _edit(edit: Edit) -> dict[str, Any]:
    return {
        "file": edit.file,
        "pointer": edit.pointer,
        "op": edit.op,
        "before": _value(edit.before),
        "after": _value(edit.after),
    }


def _value(text: str | None) -> Json:
    return None if text is None else finite(text)


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


def _restored(each: Restored, report: Report) -> dict[str, Any]:
    what = "would be put back" if report.dry_run else "put back"
    told = {
        "workspace": each.workspace.name,
        "path": str(each.workspace),
        "files": each.files,
        "message": each.refusal or f"{count_of(each.files, 'file')} {what}",
    }
    if each.refusal is not None:
        told |= {"differing": list(each.differing), "originals": [str(path) for path in each.originals]}
    return told
