"""What is left of projects that are gone, and of jobs that ended long ago: archived, then removed.

DESIGN.md promises 1 and 2: never a live job, an answering broker, or the file that alone names a leaked one. The
archive stays in the journal's directory for good; the run beside it can be undone like a heal.
"""

from __future__ import annotations

import io
import os
import tarfile
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache, partial

from stateheal.commit.apply import carry_out
from stateheal.commit.journal import KEEP, Journal
from stateheal.commit.leftovers import remove_emptied
from stateheal.commit.location import journal_path
from stateheal.commit.lock import workspace_lock
from stateheal.commit.packing import pack_for_good
from stateheal.commit.restore import remove_empty
from stateheal.commit.run_writer import RunWriter
from stateheal.diagnosis.over import every_job, named_in_a_command, why_not_over
from stateheal.diagnosis.vanished import why_not_vanished
from stateheal.diagnosis.view import View, first_draft
from stateheal.engine.belongings import files_of_job, files_of_workspace, folders_of_jobs
from stateheal.engine.commands import asked_for
from stateheal.engine.named import still_named
from stateheal.engine.workspace import Auditor
from stateheal.engine.world import World
from stateheal.errors import Refused, StatehealError
from stateheal.evidence.schema import violations
from stateheal.evidence.snapshot import read_snapshot
from stateheal.formats.jsonedit import rewrite
from stateheal.formats.jsontext import Document
from stateheal.fs.directory import Directory, folder_of, open_directory
from stateheal.model.beats import own_times
from stateheal.model.disk import INDEX, JOBS, Place, Snapshot
from stateheal.model.evidence import Answer
from stateheal.model.plan import FileChange, Plan
from stateheal.model.records import entries_of
from stateheal.model.report import Report
from stateheal.model.request import Request
from stateheal.text import quoted
from stateheal.values import NamedTuple
from stateheal.version import __version__


class Pruned(NamedTuple):
    """What is, or would be, removed of one workspace; or why nothing is."""

    place: Place
    home: str | None
    whole: bool
    """All of it, because its project is gone."""
    jobs: tuple[str, ...] = ()
    size: int = 0
    refusal: str | None = None


class Pruning(NamedTuple):
    """What came of it all."""

    report: Report
    places: tuple[Pruned, ...]
    archive: str | None = None


class _Work(NamedTuple):
    """What is to go of one workspace. No directory is held open: there may be more of them than a process may open."""

    told: Pruned
    plan: Plan


def prune(
    request: Request, *, gone: bool, older_than: float | None, dry_run: bool, world: World | None = None
) -> Pruning:
    """Archive and remove; ``older_than``: seconds since a job's end. Raises ``JournalError``: then nothing has gone."""
    world = world or World()
    found = asked_for(request)
    journal = Journal(journal_path(), KEEP)
    auditor = Auditor(found, request.settings, world, journal)
    run = journal.begin("prune", __version__, world.processes.host().now)
    told: list[Pruned] = []
    archive: str | None = None
    try:
        works: list[_Work] = []
        for place in found.places:
            try:
                with open_directory(place.directory) as directory:
                    work = _planned(place, directory, auditor, gone, older_than)
            except OSError as error:
                told.append(Pruned(place, None, False, refusal=_unopened(error)))
            except StatehealError as error:
                told.append(Pruned(place, None, False, refusal=str(error)))
            else:
                works += [work] if isinstance(work, _Work) else []
                told += [work] if isinstance(work, Pruned) else []
        if works and not dry_run:
            archive = _pack(journal, works, run.now)
        again = auditor.afresh()
        for done, work in enumerate(works, 1):
            told.append(work.told if dry_run else _remove(work, run, again, world, journal))
            world.progress(done, len(works), work.told.place)
    finally:
        run.close()
    roots = tuple(root.path for root in found.roots)
    jobs = sum(len(each.jobs) for each in told if each.refusal is None)
    report = Report("prune", dry_run, run.id if run.wrote else None, roots, workspaces=len(found.places), jobs=jobs)
    return Pruning(report, tuple(told), archive)


def _unopened(error: OSError) -> str:
    return f"cannot be opened: {error.strerror or error}"


def _planned(
    place: Place, directory: Directory, auditor: Auditor, gone: bool, older_than: float | None
) -> _Work | Pruned | None:
    """What is to go of one workspace, or why it stays; ``None`` for nothing. Raises ``Refused`` for what must stay."""
    evidence = auditor.examine(place, directory, None, auditor.runs).evidence
    view = View(evidence, first_draft(evidence), auditor.settings, violations)
    if gone and evidence.home_exists is False:
        try:
            _ensure_over(view, directory, auditor)
            files = tuple(_removals(directory, files_of_workspace(directory)))
        except Refused as error:
            return Pruned(place, evidence.home, True, refusal=str(error))
        plan, whole, jobs = Plan(place, (), files), True, tuple(job.id for job in view.jobs)
    elif older_than is not None and view.hands_off is None:
        jobs, whole = tuple(_ended_before(view, view.now - older_than)), False
        if not jobs:
            return None
        plan = _without(view, directory, jobs)
    else:
        return None
    size = sum(each.before.stat.size for each in plan.files if each.before is not None and each.after is None)
    return _Work(Pruned(place, evidence.home, whole, jobs, size), plan)


def _ensure_over(view: View, directory: Directory, auditor: Auditor) -> None:
    """Raise ``Refused`` where the project may be somewhere, or anything may live, or be named here alone."""
    evidence = view.evidence
    if evidence.unreadable:
        raise Refused(f"{evidence.unreadable[0].name} {evidence.unreadable[0].reason}")
    if evidence.index is not None and not isinstance(evidence.index.value, dict):
        raise Refused("its index is damaged: 'stateheal heal' comes first")
    if view.hands_off is not None:
        raise Refused(view.hands_off)
    elsewhere = why_not_vanished(view)
    if elsewhere is not None:
        raise Refused(elsewhere)
    for job in every_job(view):
        reason = why_not_over(view, job)
        if reason is not None:
            raise Refused(f"{job.id} may live: {reason}")
    named = named_in_a_command(view, list(_stems(directory)))
    if named is not None:
        raise Refused(named)
    broker = evidence.broker
    if broker is not None and (broker.answer is not Answer.NO or (broker.process and broker.process.exists)):
        where = quoted(str(evidence.place.directory))
        raise Refused(f"its broker.json may alone name a broker that lives: stateheal stop --broker {where}")
    still = still_named(directory, evidence.life(), auditor.world.ask, broker.snapshot.name if broker else None)
    if still is not None:
        raise Refused(f"{still}; end it first")


def _stems(directory: Directory) -> Iterator[str]:
    """The ids that files in ``jobs/`` are named by, whatever these hold."""
    with suppress(FileNotFoundError), directory.sub(JOBS) as folder:
        yield from dict.fromkeys(name.partition(".")[0] for name in folder.names())


def _ended_before(view: View, moment: float) -> Iterator[str]:
    """The jobs that ended, by every word of their records, before a moment, and that nothing works on."""
    for job in view.jobs:
        times = [each for side in job.sides for each in own_times(side, view.now)]
        if job.ended and times and max(times) < moment and why_not_over(view, job) is None:
            yield job.id


def _without(view: View, directory: Directory, jobs: tuple[str, ...]) -> Plan:
    """The index without these jobs, then their files. Raises ``Refused`` where the index is not sound, or where nobody
    has seen that its companion can read what another has written."""
    going, index = set(jobs), view.evidence.index
    if not view.dialect.heals:
        raise Refused(f"that {view.dialect.name} itself can read what would be left has not been seen")
    files: list[FileChange] = []
    if index is not None:
        if not isinstance(index.document, Document) or view.index_violations:
            raise Refused("its index is damaged: 'stateheal heal' comes first")
        entries = entries_of(index.value)
        left = [entry for entry in entries if not (isinstance(entry, dict) and entry.get("id") in going)]
        if len(left) != len(entries):
            files.append(FileChange(INDEX, index, rewrite(index.document, {**index.value, "jobs": left})))
    names = (name for job in jobs for name in files_of_job(directory, job, view.dialect))
    return Plan(view.evidence.place, (), (*files, *_removals(directory, names)))


def _removals(directory: Directory, names: Iterator[str]) -> Iterator[FileChange]:
    for name in names:
        with folder_of(directory, name) as (folder, plain):
            found = read_snapshot(folder, plain, name)
        if found is None:
            continue
        if not isinstance(found, Snapshot):
            raise Refused(f"{name} cannot be archived: {found.reason}")
        if found.stat.links != 1:
            raise Refused(f"{name} cannot be archived: it has another name somewhere (a hard link)")
        yield FileChange(name, found, None)


def _pack(journal: Journal, works: list[_Work], now: float) -> str:
    """One archive of all that is to go."""

    def fill(archive: tarfile.TarFile) -> None:
        for work in works:
            for each in work.plan.files:
                if each.before is not None:
                    member = tarfile.TarInfo(f"{work.told.place.name}/{each.name}")
                    member.size, member.mode = len(each.before.data), 0o600
                    member.mtime = int(each.before.stat.mtime)
                    archive.addfile(member, io.BytesIO(each.before.data))

    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
    return str(pack_for_good(journal, f"pruned-{stamp}-{os.getpid()}", fill))


def _remove(work: _Work, run: RunWriter, auditor: Auditor, world: World, journal: Journal) -> Pruned:
    """Remove what was packed, as far as it is still the same and nothing has come to life meanwhile."""
    place = work.told.place
    try:
        with (
            open_directory(place.directory) as directory,
            workspace_lock(directory, world.wait),
        ):
            # Asked once, before the first file goes: what is half removed would be judged wrongly.
            why_not = lru_cache(partial(_why_not_now, work, directory, auditor))
            if not carry_out(work.plan, directory, run, lambda owners: why_not(), world.stop, []):
                return work.told._replace(refusal="stopped before it was whole; 'stateheal undo' brings it back")
            if work.told.whole:
                remove_emptied(directory, journal)
            else:
                remove_empty(folders_of_jobs(work.plan, directory))
    except OSError as error:
        return work.told._replace(refusal=_unopened(error))
    except StatehealError as error:
        return work.told._replace(refusal=str(error))
    return work.told


def _why_not_now(work: _Work, directory: Directory, auditor: Auditor) -> str | None:
    """What has changed since it was packed, judged afresh; ``None`` where nothing forbids the removal."""
    evidence = auditor.examine(work.told.place, directory, None, auditor.runs).evidence
    view = View(evidence, first_draft(evidence), auditor.settings, violations)
    if work.told.whole:
        try:
            _ensure_over(view, directory, auditor)
        except Refused as error:
            return str(error)
        return None
    for job in view.jobs:
        if job.id in work.told.jobs:
            reason = f"{job.id} is active again" if job.any_active else why_not_over(view, job)
            if reason is not None:
                return reason
    return None
