"""Whether a project directory that is not there has vanished, or may only be elsewhere.

Elsewhere: in a container or on another system (field guide section 4, "foreign", however long ago it was), outside the
sandbox that we are in, or on a file system that is not mounted now. Whoever removes a name from a directory changes the
directory's own time: where it is older than the project's last job, the project has not gone from there.
"""

from __future__ import annotations

from collections.abc import Iterator

from stateheal.diagnosis.foreign import inside, of_another_system, on_shared_kind
from stateheal.diagnosis.job import Job
from stateheal.diagnosis.logs import is_inside_jobs
from stateheal.diagnosis.over import case_of, every_job
from stateheal.diagnosis.view import View
from stateheal.formats.times import MINUTE, describe_age
from stateheal.model.claims import hostname_of
from stateheal.model.evidence import Absence
from stateheal.model.records import text_of, time_of
from stateheal.values import replace

_MOUNTS = ("/media", "/run/media", "/mnt", "/Volumes", "/net", "/run/user", "/misc")
"""Where systems mount what comes and goes."""
_TOLERANCE = MINUTE
_HINT = "; --assume-local if it is gone for good"


def why_not_vanished(view: View) -> str | None:
    """Why an absent project directory may be somewhere; ``None`` where it is gone from this very machine."""
    absence = view.evidence.absence
    if view.settings.assume_local or absence is None:
        return None
    view = replace(view, clean=frozenset(), spared=frozenset(), touched=None)  # those that are in order tell of it, too
    jobs = list(every_job(view))
    reason = _of_another_system(view, jobs) or _not_here(absence, str(view.evidence.home))
    reason = reason or _unchanged(absence, _last_begun(view, jobs), view.now)
    return reason + _HINT if reason else None


def _of_another_system(view: View, jobs: list[Job]) -> str | None:
    for job in jobs:
        for side in job.sides:
            host, log = hostname_of(side), text_of(side, "logFile")
            if host is not None and host != view.evidence.host.hostname:
                return f"{job.id} was another host's, {host!r}"
            if log is not None and not is_inside_jobs(view, log):
                return "its logs are recorded elsewhere: it may be a container's, or another machine's"
        case = case_of(view, job)
        reason = of_another_system(case) or inside(case) or on_shared_kind(case)
        if reason is not None:
            return reason
    return None


def _not_here(absence: Absence, home: str) -> str | None:
    if absence.planned is not None:
        return f"nothing is mounted on {absence.planned} now"
    if absence.nearest is None:
        return "not even its drive or share is here"
    place = next((place for place in _MOUNTS if home.startswith(place + "/")), None)
    if place is not None and not (absence.mounted or "").startswith(place + "/"):
        return f"it was on something mounted below {place}, and that is not there now"
    if absence.is_root:
        return "nothing of its path is on this machine: it may be a container's, or not mounted now"
    return None


def _last_begun(view: View, jobs: list[Job]) -> float | None:
    """When the newest job began: the project was there then."""
    return max(_beginnings(view, jobs), default=None)


def _beginnings(view: View, jobs: list[Job]) -> Iterator[float]:
    for job in jobs:
        for side in job.sides:
            times = (time_of(side, key, view.now) for key in ("createdAt", "startedAt"))
            yield from (moment for moment in times if moment is not None)


def _unchanged(absence: Absence, begun: float | None, now: float) -> str | None:
    if absence.changed is None or begun is None or absence.changed >= begun - _TOLERANCE:
        return None
    since = describe_age(absence.changed, now)
    return f"{absence.nearest} last changed {since}, before its last job: it may be on something not mounted now"
