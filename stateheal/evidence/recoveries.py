"""What Codex rollouts tell of jobs that ended without a result, or may have (field guide section 7)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from stateheal.evidence.rollouts import Rollouts
from stateheal.formats.jsontext import Json
from stateheal.fs.directory import Directory
from stateheal.model.beats import own_times
from stateheal.model.dialect import Dialect
from stateheal.model.disk import LogFacts, Snapshot
from stateheal.model.layout import log_name
from stateheal.model.records import is_active, is_lost, lacks_answer, text_of, time_of
from stateheal.model.turns import LostJob, Recovery, RolloutTurn, TurnFacts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stateheal.formats.jsonsalvage import Salvage

Record = Mapping[str, Json]
ChooseTurn = Callable[[LostJob, Callable[[], Sequence[RolloutTurn]]], "RolloutTurn | str"]
"""Which turn of a thread is a job's own; or why none is. Decided by ``diagnosis.turns``."""


def turns_of(sides: Sequence[Record], rollouts: Rollouts, dialect: Dialect) -> dict[tuple[str, str], TurnFacts]:
    """What rollouts say about the turns of task jobs that are active or ended without a result."""
    found: dict[tuple[str, str], TurnFacts] = {}
    for side in sides if dialect.drives.rollouts else ():
        thread, turn = text_of(side, "threadId"), text_of(side, "turnId")
        if (
            thread
            and turn
            and (is_active(side, dialect) or is_lost(side, dialect))
            and side.get("jobClass") == "task"
            and (thread, turn) not in found
        ):
            facts = rollouts.turn(thread, turn)
            if facts is not None:
                found[thread, turn] = facts
    return found


def recoveries_of(
    entries: Sequence[Record],
    records: Mapping[str, Snapshot],
    logs: Mapping[str, LogFacts],
    now: float,
    rollouts: Rollouts,
    choose_turn: ChooseTurn,
    dialect: Dialect,
) -> dict[str, Recovery]:
    """What the rollouts come to for every job that is active, or was closed without a result."""
    whole = whole_records(entries, records) if dialect.drives.rollouts else {}
    found: dict[str, Recovery] = {}
    for ident, record in whole.items():
        if text_of(record, "threadId") is not None and (
            is_active(record, dialect) or is_lost(record, dialect) or lacks_answer(record, dialect)
        ):
            found[ident] = recovery_of(record, whole.values(), logs.get(ident), now, rollouts, choose_turn, dialect)
    return found


def answers_of(
    directory: Directory,
    entries: Sequence[Record],
    records: Mapping[str, Snapshot],
    salvaged: Mapping[str, Salvage],
    logs: Mapping[str, LogFacts],
    now: float,
    rollouts: Rollouts,
    choose_turn: ChooseTurn,
    dialect: Dialect,
) -> dict[str, Recovery]:
    """For every job whose file does not parse, its answer from elsewhere: from the rollout, else from its log."""
    torn = {stem: salvaged[each.name] for stem, each in records.items() if each.name in salvaged}
    by_id = {ident: entry for entry in entries if (ident := text_of(entry, "id"))} if torn else {}
    found: dict[str, Recovery] = {}
    for ident, salvage in torn.items():
        record = {**by_id.get(ident, {}), **salvage.members, **(salvage.objects[0] if salvage.objects else {})}
        record.pop("result", None)  # half of one must not pass for an answer
        others = _of_thread(text_of(record, "threadId"), by_id, records)
        found[ident] = recovery_of(record, others, logs.get(ident), now, rollouts, choose_turn, dialect)
        log = log_name(ident, dialect)
        if found[ident].message is None and (text := _logged_answer(directory, log)):
            found[ident] = Recovery("", text, text_of(record, "turnId"), log, of_log=True)
    return found


def _logged_answer(directory: Directory, name: str) -> str | None:
    from stateheal.evidence.listing import read_bytes  # few answers have to be looked for in a log
    from stateheal.formats.joblog import last_answer

    data = read_bytes(directory, name)
    said = last_answer(data.decode("utf-8", "replace")) if isinstance(data, bytes) else None
    return said.text if said else None


def _of_thread(thread: str | None, by_id: Mapping[str, Record], records: Mapping[str, Snapshot]) -> Iterator[Record]:
    """Both sides in one, as ``whole_records`` gives them, of each job that may have worked in a thread."""
    files = {stem: each.value for stem, each in records.items() if isinstance(each.value, dict)}
    for ident in {*by_id, *files} if thread is not None else ():
        sides = (by_id.get(ident, {}), files.get(ident, {}))
        if any(side.get("threadId") == thread for side in sides):
            yield {**sides[0], **sides[1]}


def whole_records(entries: Sequence[Record], records: Mapping[str, Snapshot]) -> dict[str, Record]:
    """By job id: both sides of each job in one, the job file's word first."""
    by_id = {ident: entry for entry in entries if (ident := text_of(entry, "id"))}
    files = {stem: each.value for stem, each in records.items() if isinstance(each.value, dict)}
    return {ident: {**by_id.get(ident, {}), **files.get(ident, {})} for ident in {*by_id, *files}}


def recovery_of(
    record: Record,
    others: Iterable[Record],
    log: LogFacts | None,
    now: float,
    rollouts: Rollouts,
    choose_turn: ChooseTurn,
    dialect: Dialect,
) -> Recovery:
    """What the rollouts come to for one job; ``others``: all jobs of its workspace, whose turns are not its own."""
    if not dialect.drives.rollouts:
        return Recovery(f"{dialect.drives.name} keeps none")
    thread = text_of(record, "threadId")
    if thread is None:
        return Recovery("its record names no Codex thread")
    started = time_of(record, "startedAt", now) or time_of(record, "createdAt", now)
    later = (time_of(other, "startedAt", now) for other in others if other.get("threadId") == thread)
    job = LostJob(
        record,
        started,
        max([*own_times(record, now), *([log.mtime] if log else [])], default=None),
        min(
            (moment for moment in later if moment is not None and started is not None and moment > started),
            default=None,
        ),
    )
    chosen = choose_turn(job, lambda: rollouts.turns(thread))
    if isinstance(chosen, str):
        return Recovery(chosen)
    message = rollouts.answer(chosen)
    if message is None:
        return Recovery("its rollout has changed while it was read")
    return Recovery("", message, chosen.turn_id, chosen.path, chosen.ended_at)
