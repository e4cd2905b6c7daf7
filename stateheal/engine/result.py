"""A job's answer, wherever it still is: in its job file, its index entry, a Codex rollout, its log.

Field guide sections 2 and 7. Nothing is written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from stateheal.commit.journal import Journal
from stateheal.commit.location import journal_path
from stateheal.diagnosis.job import Job
from stateheal.diagnosis.turns import choose_turn
from stateheal.diagnosis.view import View
from stateheal.engine.commands import asked_for
from stateheal.engine.jobs import looking_at
from stateheal.engine.workspace import Auditor
from stateheal.engine.world import World
from stateheal.errors import StatehealError, UsageError
from stateheal.evidence.listing import read_bytes
from stateheal.evidence.recoveries import recovery_of, whole_records
from stateheal.evidence.snapshot import read_snapshot
from stateheal.formats.joblog import last_answer
from stateheal.formats.jsonsalvage import salvage
from stateheal.formats.jsontext import Json
from stateheal.fs.directory import folder_of, open_directory
from stateheal.model.dialect import Dialect
from stateheal.model.disk import INDEX, JOBS, Place, Snapshot, Unreadable
from stateheal.model.evidence import Evidence
from stateheal.model.jobs import JobAnswer, resume_of
from stateheal.model.layout import log_name, status_of
from stateheal.model.liveness import Liveness
from stateheal.model.problems import Problem
from stateheal.model.records import entries_of, raw_answer, text_of
from stateheal.model.request import Request
from stateheal.model.turns import Recovery
from stateheal.text import count_of


def answers(job: str | None, request: Request, *, world: World | None = None) -> tuple[list[JobAnswer], list[Problem]]:
    """The answer of every job of that id, or whose id begins so; of every job there is for ``None``.

    Beside them the workspaces that could not be read. Raises ``UsageError`` where there is no such job.
    """
    world = world or World()
    found = asked_for(request)
    auditor = Auditor(found, request.settings, world, Journal(journal_path()))
    told: list[JobAnswer] = []
    problems = list(found.errors)
    for place in found.places:
        if world.stop():
            break
        try:
            told += _in_place(place, job, auditor)
        except OSError as error:
            problems.append(Problem(str(place.directory), f"cannot be opened: {error.strerror or error}"))
        except StatehealError as error:
            problems.append(Problem(str(place.directory), str(error)))
    if job is not None and not told and not problems:
        raise UsageError(
            f"no job {job!r} in {count_of(len(found.places), 'workspace')} ('stateheal jobs --all' lists them)"
        )
    return [each for each in told if each.job == job] or told, problems


def _in_place(place: Place, job: str | None, auditor: Auditor) -> Iterator[JobAnswer]:
    evidence = auditor.audit(place, None).evidence
    view = looking_at(evidence, auditor.settings)
    known = {each.id: each for each in view.jobs}
    torn = [stem for stem in evidence.records if stem not in known]
    logs = _logs_alone(place, {*known, *torn})
    for ident in dict.fromkeys((*known, *torn, *logs)):
        if job is None or ident.startswith(job):
            answer = _answer(view, known.get(ident, Job(ident, dialect=view.dialect)), auditor.world)
            if job is not None or answer.text is not None or ident not in logs:
                yield answer


def _logs_alone(place: Place, known: set[str]) -> list[str]:
    """Jobs of which only the log is left."""
    try:
        with open_directory(place.directory) as directory, directory.sub(JOBS) as folder:
            names = folder.names()
    except OSError:
        return []
    return [name[:-4] for name in names if name.endswith(".log") and name[:-4] not in known]


def _answer(view: View, job: Job, world: World) -> JobAnswer:
    """The best that is left. What the job file holds is what the plugin would show, so it comes first."""
    evidence = view.evidence
    sides = job.sides
    alive = job.any_active and view.judge(job).verdict.state is not Liveness.DEAD
    base = JobAnswer(
        evidence.place,
        job.id,
        next((text for side in sides if (text := status_of(side, job.dialect))), "unknown"),
        next((text for side in sides if (text := text_of(side, "title"))), None),
        resume_of(*sides, dialect=job.dialect),
    )
    stored = _stored(evidence, job)
    if stored is not None:
        text, source, name = stored
        return base._replace(text=text, source=source, where=str(evidence.place.directory / name))
    recovery = _recovery(evidence, job, world)
    if recovery.message is not None:
        return base._replace(text=recovery.message, source="rollout", where=recovery.path or "")
    partly = "it still runs, so this may not be the end" if alive else "its end was not recorded: perhaps not all"
    alone = job.dialect.answer_file.format(id=job.id)
    if alone and (text := _text_of(evidence.place, alone)):
        note = "" if base.status in job.dialect.completed else partly
        return base._replace(text=text, source="job file", where=str(evidence.place.directory / alone), note=note)
    log = log_name(job.id, job.dialect)
    kept = _bytes_of(evidence.place, log)
    said = last_answer(kept.decode("utf-8", "replace")) if isinstance(kept, bytes) else None
    if said is not None:
        note = partly if said.title.startswith("Assistant") else ""
        return base._replace(text=said.text, source="log", where=str(evidence.place.directory / log), note=note)
    in_log = f"its log is not read: {kept.reason}" if isinstance(kept, Unreadable) else "its log holds no message"
    return base._replace(note=_why_none(sides, alive, recovery.reason, in_log))


def _text_of(place: Place, name: str) -> str:
    """What a file beside the records holds; nothing where it is not there."""
    data = _bytes_of(place, name)
    return data.decode("utf-8", "replace") if isinstance(data, bytes) else ""


def _bytes_of(place: Place, name: str) -> bytes | Unreadable | None:
    with open_directory(place.directory) as directory:
        return read_bytes(directory, name)


def _stored(evidence: Evidence, job: Job) -> tuple[str, str, str] | None:
    """What the job file holds, as the plugin would show it, else the index entry: text, source, name of the file.

    Of a torn job file, what stands whole in it.
    """
    for piece in _in_file(evidence, job):
        if (text := _shown(piece, job.dialect)) is not None:
            return text, "job file", job.file
    text = None if job.entry is None else _shown(job.entry, job.dialect)
    return None if text is None else (text, "index entry", INDEX)


def _in_file(evidence: Evidence, job: Job) -> Iterator[Mapping[str, Json]]:
    if job.record is not None:
        yield job.record
        return
    salvaged = evidence.salvage.get(job.file)
    if job.dialect.record is None:  # there it is no record but the answer alone, which nothing else reads
        found = _answer_file(evidence.place, job.file)
        if found is not None and isinstance(found.value, dict):
            yield found.value
            return
        salvaged = None if found is None else salvage(found.data)
    if salvaged is not None:
        yield from (*salvaged.objects, salvaged.members)


def _answer_file(place: Place, name: str) -> Snapshot | None:
    try:
        with open_directory(place.directory) as directory, folder_of(directory, name) as (folder, base):
            found = read_snapshot(folder, base, name)
    except (OSError, ValueError):
        return None
    return found if isinstance(found, Snapshot) else None


def _shown(record: Mapping[str, Json], dialect: Dialect) -> str | None:
    result = record.get("result")
    if isinstance(result, str) and result:
        return result
    held = result if isinstance(result, dict) else {}
    raw = raw_answer(result, dialect) or text_of(held, dialect.answer) or text_of(record, dialect.answer)
    rendered = text_of(record, "rendered")
    return rendered if rendered and ("result" in held or "parseError" in held) else raw or rendered


def _recovery(evidence: Evidence, job: Job, world: World) -> Recovery:
    entries = [each for each in entries_of(evidence.index.value if evidence.index else None) if isinstance(each, dict)]
    whole = whole_records(entries, evidence.records)
    record = whole.get(job.id, {})
    log = evidence.logs.get(job.id)
    return recovery_of(record, whole.values(), log, evidence.host.now, world.rollouts, choose_turn, job.dialect)


def _why_none(sides: tuple[dict[str, Json], ...], alive: bool, of_rollout: str, in_log: str) -> str:
    if alive:
        return f"the job has not ended yet, and {in_log}"
    message = next((text for side in sides if (text := text_of(side, "errorMessage"))), None)
    file = "its record holds no result" if sides else "there is no record of it"
    said = f"; the record says: {message}" if message else ""
    return f"{file}, no rollout has one ({of_rollout}), and {in_log}{said}"
