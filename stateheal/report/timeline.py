"""When jobs ran, drawn in CSS and SVG: a strip per workspace on one common line of time, and a bar per job.

Every bar stands beside its own words, so nothing is told by a picture or a colour alone.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from stateheal.formats.times import HOUR, describe_duration
from stateheal.model.disk import ACTIVE, FINISHED
from stateheal.model.findings import Severity
from stateheal.model.page import JobSpan, PageData
from stateheal.report.markup import folded, listed, moment, tag, text, untrusted
from stateheal.text import count_of

ROWS = 3000
"""Bars of a whole page that are not there for damage."""
STRIPS = 300
"""Workspaces without damage that are drawn."""
DAMAGED = 250
"""Workspaces with damage that are drawn: the worst come first."""
_STATUSES = (*sorted(FINISHED), *sorted(ACTIVE), "other")
DETAILED = 80
"""Workspaces whose jobs are told one by one; of the others there is the strip."""
_OPEN = 3
"""Workspaces that are unfolded to begin with."""
_FAR = 4
"""A stretch without an event is cut short if it is so many times longer than all shorter ones together…"""
_CUT_SHARE = 0.3
"""…and all that are cut share so much of what the others take."""
_STRIP_WIDTH, _STRIP_HEIGHT, _THINNEST = 1000.0, 14, 3.0


class Axis:
    """A line of time from the first to the last of some moments; long stretches without an event are cut short."""

    def __init__(self, moments: Iterable[float]) -> None:
        self.moments = sorted(set(moments))
        gaps = [after - before for before, after in pairwise(self.moments)]
        longest, kept = _longest(gaps)
        far = [gap > longest for gap in gaps]
        short = kept * _CUT_SHARE / max(1, sum(far))
        self.places = [0.0]
        for gap, is_far in zip(gaps, far, strict=True):
            self.places.append(self.places[-1] + (short if is_far else gap))
        self.cuts = [pair for pair, is_far in zip(pairwise(self.moments), far, strict=True) if is_far]

    def at(self, moment: float) -> float:
        """Where one of the moments lies, from 0 to 1."""
        whole = self.places[-1]
        return self.places[max(0, bisect_right(self.moments, moment) - 1)] / whole if whole else 0.0


def _longest(gaps: Iterable[float]) -> tuple[float, float]:
    """The longest gap that is drawn to scale, and the sum of all that are."""
    longest = total = 0.0
    for gap in sorted(gaps):
        if total and gap > max(HOUR, _FAR * total):
            break
        longest, total = gap, total + gap
    return longest, total


def timeline(pages: Sequence[PageData], names: Sequence[str], now: float) -> Iterator[str]:
    """The section's lines, a workspace after the other in the order given; ``names`` are its headings, as markup."""
    drawn = drawn_pages(pages)
    room = max(1, ROWS // max(1, min(len(drawn), DETAILED)))
    axis = Axis(_moments((span for number in drawn for span in pages[number].spans), now))
    yield listed("ul", _legend(), "legend")
    if axis.moments:
        yield tag("p", "The strips have one common line of time. " + _reach(axis, now), "soft small")
    for place, number in enumerate(drawn):
        page = pages[number]
        strip = _strip(page.spans, axis, now)
        tally = tag("span", text(_tally(page)), "tally")
        inside = _rows(page, room, now) if place < DETAILED else tag("p", "Its jobs are in the strip alone.", "ends")
        is_open = place < _OPEN and _is_damaged(page)
        yield tag("div", folded(f"{names[number]} {tally}{strip}", inside, "ws", is_open=is_open), id=f"t{number}")
    left = [pages[number] for number in sorted(set(range(len(pages))) - set(drawn))]
    if left:
        jobs = count_of(sum(page.jobs for page in left), "job")
        damage = "" if any(map(_is_damaged, left)) else " and no damage"
        yield tag("p", f"Not drawn: {count_of(len(left), 'more workspace')} with {jobs}{damage}.", "soft")


def drawn_pages(pages: Sequence[PageData]) -> list[int]:
    """Which are drawn: of those with damage, and of the others with jobs, the first so many."""
    chosen, healthy, damaged = [], 0, 0
    for number, page in enumerate(pages):
        is_damaged = _is_damaged(page)
        healthy, damaged = healthy + (not is_damaged), damaged + is_damaged
        if page.spans and (damaged <= DAMAGED if is_damaged else healthy <= STRIPS):
            chosen.append(number)
    return chosen


def _is_damaged(page: PageData) -> bool:
    return any(span.worst is Severity.DAMAGE for span in page.spans)


def _moments(spans: Iterable[JobSpan], now: float) -> Iterator[float]:
    for span in spans:
        if span.began is not None:
            yield span.began
            yield _end(span, now)


def _end(span: JobSpan, now: float) -> float:
    return max(now if span.ended is None else span.ended, span.began or 0.0)


def _legend() -> Iterator[str]:
    named = {"queued": "queued or running", "other": "any other status"}
    for status in _STATUSES:
        if status != "running":
            yield tag("li", tag("i", "", status) + text(named.get(status, status)))
    yield tag("li", tag("i", "", "bad") + "damaged (striped; red in a strip)")
    yield tag("li", tag("i", "", "cut") + "a stretch in which nothing began or ended, cut short")


def _reach(axis: Axis, now: float) -> str:
    first, last = axis.moments[0], axis.moments[-1]
    ends = f"It reaches from {moment(first)} to {_name(last, now)}, UTC"
    return f"{ends}; {_cut_short(axis)}." if axis.cuts else f"{ends}."


def _cut_short(axis: Axis) -> str:
    longest = describe_duration(max(after - before for before, after in axis.cuts))
    return f"{count_of(len(axis.cuts), 'quiet time')} of up to {longest} cut short"


def _name(seconds: float, now: float) -> str:
    return f"now, {moment(now)}" if seconds >= now else moment(seconds)


def _tally(page: PageData) -> str:
    known = [status for status in _STATUSES if page.statuses.get(status)]
    return f"{count_of(page.jobs, 'job')}: " + ", ".join(f"{page.statuses[each]:,} {each}" for each in known)


def _strip(spans: Sequence[JobSpan], axis: Axis, now: float) -> str:
    """All bars of a workspace on one line; those of one colour are one path."""
    shapes: dict[str, set[tuple[int, int]]] = {kind: set() for kind in (*_STATUSES, "bad")}
    for span in spans:
        if span.began is not None:
            left, right = (axis.at(each) * _STRIP_WIDTH for each in (span.began, _end(span, now)))
            left = min(left, _STRIP_WIDTH - _THINNEST)
            kind = "bad" if span.worst is Severity.DAMAGE else span.kind
            shapes[kind].add((round(left), round(max(right - left, _THINNEST))))
    # Damage is drawn first: a record that says running for ever must not hide the jobs that came after it.
    order = ("bad", *_STATUSES)
    paths = "".join(
        tag("path", "", kind, d="".join(_box(*shape, kind == "bad") for shape in sorted(shapes[kind])))
        for kind in order
        if shapes[kind]
    )
    frame = f"0 0 {_STRIP_WIDTH:.0f} {_STRIP_HEIGHT}"
    return tag("svg", paths, "strip", viewBox=frame, preserveAspectRatio="none", aria_hidden="true")


def _box(left: int, width: int, is_damaged: bool) -> str:
    """Damage lies along the foot, the other jobs stand above it."""
    top, bottom = (8, _STRIP_HEIGHT - 1) if is_damaged else (1, 7)
    return f"M{left} {top}h{width}v{bottom - top}h-{width}z"


def _rows(page: PageData, room: int, now: float) -> str:
    """A bar for each of the newest jobs and for every damaged one."""
    shown = [span for number, span in enumerate(page.spans) if number < room or span.worst]
    axis = Axis(_moments(shown, now))
    rows = listed("ol", (_row(span, axis, now) for span in shown), "jobs", style=_bands(axis))
    left = page.jobs - len(shown)
    more = f"{count_of(left, 'more job')} without damage left out."
    return _ends(axis, now) + rows + (tag("p", more, "ends") if left else "")


def _ends(axis: Axis, now: float) -> str:
    if not axis.moments:
        return ""
    middle = tag("span", text(_cut_short(axis))) if axis.cuts else ""
    first, last = (tag("span", text(_name(each, now))) for each in (axis.moments[0], axis.moments[-1]))
    return listed("p", (first, middle, last), "ends wide")


def _bands(axis: Axis) -> str:
    """The cuts as a background, the same behind every bar."""
    bands = []
    for before, after in axis.cuts:
        left, width = axis.at(before) * 100, (axis.at(after) - axis.at(before)) * 100
        hatch = "repeating-linear-gradient(135deg, var(--cut) 0 2px, transparent 2px 5px)"
        # Where a background lies in per cent of the room that its own size leaves.
        place = left / (100 - width) * 100 if width < 100 else 0
        bands.append(f"{hatch} {place:.1f}% 0 / {width:.1f}% 100% no-repeat")
    return f"--cuts: {', '.join(bands)}" if bands else ""


def _row(span: JobSpan, axis: Axis, now: float) -> str:
    bad = " bad" if span.worst is Severity.DAMAGE else ""
    mark = tag("span", text(span.worst.value), f"mark {span.worst.value}") + " " if span.worst else ""
    says = tag("span", f"{mark}{text(_says(span, now))}")
    name = untrusted(span.job) + (f" {tag('span', text(span.title), 'soft')}" if span.title else "")
    return tag("li", f"{tag('span', name)} {says}{_track(span, axis, now)}", f"job-row {span.kind}{bad}")


def _track(span: JobSpan, axis: Axis, now: float) -> str:
    if span.began is None:
        return tag("span", "", "track")
    left, right = (axis.at(each) * 100 for each in (span.began, _end(span, now)))
    where = f"left: min({left:.2f}%, 100% - 4px); width: {right - left:.2f}%"
    return tag("span", tag("i", "", style=where), "track")


def _says(span: JobSpan, now: float) -> str:
    if span.began is None:
        return f"{span.status}, no time recorded"
    length = describe_duration(_end(span, now) - span.began)
    if span.ended is None:
        return f"{span.status} since {moment(span.began)}, for {length}"
    return f"{span.status}, {moment(span.began)}, {length}"
