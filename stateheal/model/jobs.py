"""What the job list says of one job: what it is, whether it lives, since when it is silent, how to go on with it."""

from __future__ import annotations

from collections.abc import Mapping

from stateheal.formats.jsontext import Json
from stateheal.model.dialect import Dialect
from stateheal.model.disk import Place
from stateheal.model.findings import Finding
from stateheal.model.liveness import HostFacts, Liveness, Trial
from stateheal.model.recognition import Recognition
from stateheal.model.records import text_of
from stateheal.text import WORD, consists_of
from stateheal.values import NamedTuple


def resume_of(*sides: Mapping[str, Json], dialect: Dialect) -> str | None:
    """What goes on with a task, of which these are the records, in its companion's words; ``None`` where none is known.

    A review's conversation ends with its process. A thread that is no plain id is named in no command: it would be
    typed into a shell.
    """
    tasks = (side for side in sides if (text_of(side, "jobClass") or text_of(side, "kind")) == "task")
    threads = (text_of(side, "threadId") for side in tasks)
    thread = next((each for each in threads if each is not None and _is_plain(each)), None)
    return dialect.drives.resume.format(thread=thread) or None if thread else None


def _is_plain(thread: str) -> bool:
    return 0 < len(thread) <= 80 and thread[0] != "-" and consists_of(thread, WORD + b"-")


class JobRow(NamedTuple):
    """One job, as a list of jobs shows it. Texts are as they stand in a record: escape them."""

    place: Place
    job: str
    status: str
    """As the index has it, whose word the plugin takes; else the job file's. Of several fields the one that counts."""
    project: str | None = None
    kind: str | None = None
    """``task``, ``review`` …: its jobClass."""
    title: str | None = None
    summary: str | None = None
    phase: str | None = None
    session: str | None = None
    verdict: Liveness | None = None
    """``None`` where no side of the job is active: then nothing is judged."""
    reason: str = ""
    """Of the verdict, in words."""
    pid: int | None = None
    began: float | None = None
    ended: float | None = None
    last_activity: float | None = None
    """The newest time that its records hold."""
    log_written: float | None = None
    """When its log was last written, which a copy or a backup may have done."""
    last_sign: float | None = None
    """The later of both: what the verdict goes by."""
    blocks: bool = False
    """Whether the plugin refuses to resume a task of its session because of this one."""
    thread: str | None = None
    resume: str | None = None
    """What goes on with it; a review's thread is gone with its process."""
    needs: str | None = None
    """The command of stateheal's that would help; ``None`` where none is called for."""
    notices: tuple[str, ...] = ()
    """What hangs, leaks or contradicts the record although it lives."""

    @property
    def active(self) -> bool:
        """Whether the list is about it first of all: recorded as active on whichever side."""
        return self.verdict is not None

    @property
    def stands_out(self) -> bool:
        """Whether a list of what runs and hangs has it: recorded as active, or something of it lives on."""
        return self.active or bool(self.notices)


class JobAnswer(NamedTuple):
    """What is left of a job's answer, and where; or why there is none."""

    place: Place
    job: str
    status: str
    title: str | None
    resume: str | None
    """What goes on with it."""
    text: str | None = None
    source: str | None = None
    """``job file``, ``index entry``, ``rollout`` or ``log``; ``None`` where there is no answer."""
    where: str = ""
    """The path of that file."""
    note: str = ""
    """Without an answer, why there is none; with one, what is to be known about it."""


class Explanation(NamedTuple):
    """Every fact that was gathered about one job in one workspace."""

    place: Place
    job: str
    entry: Mapping[str, Json] | None
    record: Mapping[str, Json] | None
    host: HostFacts
    last_sign: float | None
    log_written: float | None
    """When the job's log was last written: it counts as a sign of life."""
    trials: tuple[Trial, ...]
    """Empty where no side of the job is active: then nothing is judged."""
    findings: tuple[Finding, ...]
    recognition: Recognition | None = None
    """Whose tree it is, and what says so."""
    left: str | None = None
    """Why neither a heal nor a person's word would close its record."""
