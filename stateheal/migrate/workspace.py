"""One workspace moved to another place: planned under both locks, carried out as a heal is (field guide section 8)."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from pathlib import Path

from stateheal.commit.apply import carry_out
from stateheal.commit.journal import Journal
from stateheal.commit.leftovers import remove_emptied, remove_leftovers
from stateheal.commit.lock import workspace_lock
from stateheal.commit.packing import pack_for_good
from stateheal.commit.run_writer import RunWriter
from stateheal.diagnosis.change import patched
from stateheal.diagnosis.view import View, first_draft
from stateheal.engine.retry import until_agreed
from stateheal.engine.workspace import Auditor
from stateheal.engine.world import World
from stateheal.errors import Refused
from stateheal.evidence.discover import Discovery
from stateheal.evidence.recognition import recognised
from stateheal.evidence.roots import plugin_of
from stateheal.evidence.schema import violations
from stateheal.formats.jsontext import Json
from stateheal.fs.directory import Directory, open_directory
from stateheal.migrate.files import change_of, diff_of, everything_in, files_of
from stateheal.migrate.logs import further_files, logs_in
from stateheal.migrate.merge import Merged, Request, gate_conflict, merge, obstacle, upgrades
from stateheal.model.disk import INDEX, JOBS, Place, job_file
from stateheal.model.findings import Finding
from stateheal.model.plan import FileChange, Plan
from stateheal.model.problems import Problem
from stateheal.model.records import entries_of
from stateheal.model.report import Diff, Moved
from stateheal.model.request import Settings
from stateheal.values import NamedTuple


class Options(NamedTuple):
    """What was asked for beside the directories."""

    gate: bool | None = None
    archive: bool = False
    upgrade: bool = False
    dry_run: bool = False


class Pair(NamedTuple):
    """A workspace's state directory, where it is to go, and how its project is called there."""

    source: Path
    target: Path
    old_roots: frozenset[str] = frozenset()
    new_root: str | None = None


class _Seen(NamedTuple):
    """A workspace as it is, and what an audit finds in it."""

    view: View
    findings: tuple[Finding, ...]


class Mover:
    """Moves one workspace after the other; ``diffs`` holds what a dry run would change, ``problems`` what is left."""

    def __init__(self, world: World, journal: Journal, run: RunWriter, options: Options) -> None:
        self._world, self._journal, self._run, self._options = world, journal, run, options
        self._auditor = Auditor(Discovery((), ()), Settings(), world, journal)
        self.diffs: list[Diff] = []
        self.problems: dict[Problem, None] = {}

    def move(self, pair: Pair) -> Moved:
        """One pair; planned anew when somebody else writes meanwhile. Raises ``Refused``, ``Conflict``, ``OSError``."""
        if not os.path.lexists(pair.source):
            raise Refused(f"{pair.source} is not there any more")
        return until_agreed(lambda first: self._move_once(pair), self._world.sleep)

    def _move_once(self, pair: Pair) -> Moved:
        exists = os.path.lexists(pair.target)
        if exists and not stat.S_ISDIR(pair.target.lstat().st_mode):
            raise Refused(f"{pair.target} is not a directory")
        for path in (pair.source, pair.target if exists else _existing_parent(pair.target)):
            _ensure_own(path)
        with ExitStack() as stack:
            paths = [pair.source, *([pair.target] if exists and pair.target != pair.source else [])]
            opened = {path: stack.enter_context(open_directory(path)) for path in sorted(paths)}
            if not self._options.dry_run:
                for path in sorted(paths):
                    stack.enter_context(workspace_lock(opened[path], self._world.wait))
                    remove_leftovers(opened[path], self._journal)
            source = self._view(opened[pair.source])
            if pair.target == pair.source:
                return self._upgrade(pair, source, opened[pair.source])
            target = self._view(opened[pair.target]) if exists else None
            merged, files = self._plan(pair, source, target, opened[pair.source])
            goes = list(everything_in(opened[pair.source])) if self._options.archive else []  # refused before anything
            coming = {*merged.records, *_ids(merged.index)} & {job.id for job in source.view.jobs}
            strays = {each.name for each in source.view.evidence.names}
            left = dict.fromkeys(further_files(opened[pair.source], coming, strays))
            self.problems |= left
            done = Moved(
                pair.source,
                pair.target,
                tuple(sorted(coming)),
                merged.stays,
                written=bool(files),
                archives=self._options.archive and not merged.stays and not left,
            )
            if self._options.dry_run:
                self.diffs += [
                    diff_of(pair.target, change) for change in files if change.name == INDEX and change.before
                ]
                return done
            if files:
                self._journal.make()
                _make_room(pair.target, opened[pair.source])
                with open_directory(pair.target) as directory:
                    self._carry_out(pair.target, directory, files)
            if done.archives:
                return done._replace(archived=self._archive(opened[pair.source], goes))
            return done

    def _carry_out(self, workspace: Path, directory: Directory, files: Iterable[FileChange]) -> None:
        plan = Plan(_place(workspace), (), tuple(files))
        if not carry_out(plan, directory, self._run, _nobody, self._world.stop, []):
            raise Refused("stopped before it was whole; run it again, or undo it")

    def _view(self, directory: Directory) -> _Seen:
        result = self._auditor.examine(_place(directory.path), directory, None, frozenset())
        return _Seen(View(result.evidence, first_draft(result.evidence), Settings(), violations), result.findings)

    def _plan(
        self, pair: Pair, seen: _Seen, there: _Seen | None, directory: Directory
    ) -> tuple[Merged, list[FileChange]]:
        """What to write into the target. Raises ``Refused``."""
        known = {job.id for job in seen.view.jobs}
        why = obstacle(seen.view, seen.findings, str(pair.source))
        if why is None and there is not None:
            why = obstacle(there.view, there.findings, str(pair.target), known)
        why = why or _mixed(pair, seen.view, there.view if there is not None else None, directory)
        if why is not None:
            raise Refused(why)
        source, target = seen.view, there.view if there is not None else None
        options = self._options
        names = (str(pair.source), str(pair.target))
        conflict = gate_conflict(source.draft.index, target.draft.index if target else None, options.gate, names)
        if conflict is not None:
            raise Refused(conflict)
        jobs_dir = str(pair.target / JOBS)
        logs = logs_in(directory)
        request = Request(jobs_dir, logs.ids, options.gate, pair.old_roots, pair.new_root, options.upgrade)
        merged = merge(source, target, request)
        self.problems |= {logs.others[ident]: None for ident in merged.records if ident in logs.others}
        return merged, list(files_of(merged, source, target, directory))

    def _upgrade(self, pair: Pair, seen: _Seen, directory: Directory) -> Moved:
        """Records of an older shape, in place."""
        why = obstacle(seen.view, seen.findings, str(pair.source))
        if why is not None:
            raise Refused(why)
        view = seen.view
        entries = list(entries_of(view.draft.index))
        files: list[FileChange] = []
        jobs: list[str] = []
        for job, entry, record in upgrades(view):
            jobs.append(job.id)
            if entry and job.position is not None:
                entries[job.position] = patched(entries[job.position], entry)
            if record:
                snapshot = view.evidence.records[job.id]
                files.append(change_of(job_file(job.id), snapshot, {**snapshot.value, **record}))
        index = view.evidence.index
        if index is not None and entries != entries_of(index.value):
            files.append(change_of(INDEX, index, {**index.value, "jobs": entries}))
        if self._options.dry_run:
            self.diffs += [diff_of(pair.source, change) for change in files]
        elif files:
            self._carry_out(pair.source, directory, files)
        return Moved(pair.source, pair.source, tuple(jobs), written=bool(files))

    def _archive(self, directory: Directory, goes: list[FileChange]) -> str:
        """Pack the source beside the journal's runs, then remove it as a heal removes a file: undo brings it back."""
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(self._run.now))
        source = directory.path
        packed = pack_for_good(self._journal, f"{source.name}-{stamp}", lambda tar: tar.add(source, source.name))
        self._carry_out(directory.path, directory, goes)
        remove_emptied(directory, self._journal)
        return str(packed)


def _place(workspace: Path) -> Place:
    """As every other command sees it: whose tree it is, is told by the plugin's name too."""
    return Place(workspace.parent, workspace, plugin_of(workspace.parent.resolve()))


def _mixed(pair: Pair, source: View, target: View | None, directory: Directory) -> str | None:
    """Why the target's companion is not the source's: what one keeps the other may not be able to read."""
    ours = source.dialect
    if target is not None and target.jobs and target.dialect != ours:
        return f"{pair.target}: {target.dialect.name} keeps it, and {ours.name} keeps {pair.source}"
    there = recognised(_place(pair.target), directory, source.evidence.index)
    if there is None or there.dialect != ours:
        other = "what no companion is known to keep" if there is None else f"{there.dialect.name}'s"
        return f"{pair.target}: what {ours.name} keeps would be taken there for {other}"
    return None


def _nobody(owners: object) -> str | None:
    """No verdict stands behind a move: what may live was refused."""
    return None


def _existing_parent(path: Path) -> Path:
    return next(parent for parent in path.parents if parent.exists())


def _ensure_own(path: Path) -> None:
    info = path.lstat()
    if hasattr(os, "geteuid") and info.st_uid != os.geteuid():
        raise Refused(f"{path} belongs to another user")


def _make_room(target: Path, source: Directory) -> None:
    """The target's directories, no wider open than the source's."""
    target.parent.mkdir(parents=True, exist_ok=True)
    mode = stat.S_IMODE(os.stat(source.path).st_mode) | 0o700
    for path in (target, target / JOBS):
        with suppress(FileExistsError):
            path.mkdir(mode)


def _ids(index: Json) -> set[str]:
    return {str(entry.get("id")) for entry in entries_of(index) if isinstance(entry, dict)}
