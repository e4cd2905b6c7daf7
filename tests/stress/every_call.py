"""Every system call that changes a file, made to fail or to be the last, in every command that writes.

``strace`` counts the calls of one undisturbed run; then the command runs once for each of them and each error (and once
killed there), and what is left is looked at:

* nothing but one-line messages was said;
* each record is its old self or its new self, each log its old self, or that and the beginning of one line;
* the commands that end its work (the same again, and a heal) end as if nothing had been, and leave nothing lying about;
* repeated undo returns every byte.

With ``--reads`` it is the calls that read a file of the box that fail: what can be read is then healed, the rest told.

By hand, for all commands; the suite runs a few positions:

    python -m tests.stress.every_call
    python -m tests.stress.every_call --reads
"""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import shutil
import sys
import tarfile
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from stateheal.commit.journal import Journal
from stateheal.engine.commands import undo
from stateheal.fs.own_names import TEMP_PREFIX
from tests.stress.boxes import CASES, Box, Case

CALLS = (
    *("openat", "write", "rename", "renameat", "renameat2", "link", "linkat", "unlink", "unlinkat", "fsync"),
    *("fdatasync", "ftruncate", "fchmod", "fchmodat", "fchown", "utimensat", "mkdir", "mkdirat", "rmdir"),
    *("setxattr", "fsetxattr", "fremovexattr", "sendfile", "copy_file_range"),
)
READS = (
    "openat",
    "read",
    "pread64",
    "getdents64",
    "newfstatat",
    "fstat",
    "statx",
    "lseek",
    "readlink",
    "readlinkat",
    "flock",
)
ARCHIVE = ".tar.gz"
FAULTS = ("EIO", "ENOSPC", "EACCES", "KILL")
_CALL = re.compile(r"^(?:\d+ +)?(\w+)\((.*)")
_WRITING = re.compile(r"O_CREAT|O_WRONLY|O_RDWR")
_STARTING_POINT = re.compile(r"AT_FDCWD<[^>]*>")
"""As ``strace -y`` shows the directory that a path is not relative to, mostly."""
_TO_A_FILE = re.compile(r"\d+</(?!dev/)")
"""As ``strace -y`` shows a descriptor: pipes and sockets are no files."""


class Point(NamedTuple):
    """One call of one run: its name, and the how-manieth of that name it is."""

    call: str
    number: int


# --- one point -----------------------------------------------------------------------------------------------------


def points_of(case: Case, pristine: Box, work: Path, reads: bool = False) -> list[Point]:
    """Every call of an undisturbed run that changes a file, or that reads one of the box, told from its trace."""
    box = copy_of(pristine, work)
    log = work.with_suffix(".trace")
    tracing = ("strace", "-y", "-o", str(log), "-e", "trace=" + ",".join(READS if reads else CALLS))
    with case.beside(box):
        box.command(*case.arguments, stdin=case.stdin, tracing=tracing)
    counts: Counter[str] = Counter()
    found = []
    for line in log.read_text(errors="replace").splitlines():
        match = _CALL.match(line)
        if match is None:
            continue
        call, rest = match.groups()
        counts[call] += 1
        if reads:
            if f"{work}/" in _STARTING_POINT.sub("", rest) and not (call == "openat" and _WRITING.search(rest)):
                found.append(Point(call, counts[call]))
        elif not (call == "openat" and not _WRITING.search(rest)) and not (
            call == "write" and not _TO_A_FILE.match(rest)
        ):
            found.append(Point(call, counts[call]))
    return found


def copy_of(pristine: Box, work: Path) -> Box:
    """The box as it was built, in another place of the same name: records name their logs by path."""
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(pristine.path, work, symlinks=True)
    return Box(work)


class Ends(NamedTuple):
    """What the files are before a command, after it, and further on."""

    old: Mapping[str, bytes]
    new: Mapping[str, bytes]
    finished: Mapping[str, bytes]
    """After the commands that end its work."""
    first: Mapping[str, bytes]
    """Before everything: what repeated undo leads back to."""


def ends_of(case: Case, pristine: Box, work: Path) -> Ends:
    """Told by an undisturbed run."""
    box = copy_of(pristine, work)
    old = box.files()
    with case.beside(box):
        box.command(*case.arguments, stdin=case.stdin)
    new = box.files()
    for command in case.finishing:
        box.command(*command)
    finished = box.files()
    if case.undone:
        undo_all(box)
    return Ends(old, new, finished, box.files())


def undo_all(box: Box) -> None:
    """Repeated undo, to the very beginning, in this process."""
    journal = Journal(box.journal)
    while True:
        report = undo(journal=journal)
        if report.run is None:
            return
        assert report.exit_status == 0, [each.refusal for each in report.restored] + [str(e) for e in report.errors]


def one_point(case: Case, pristine: Box, work: Path, ends: Ends, point: Point, fault: str, reads: bool = False) -> None:
    """Fail, or die, there; raises ``AssertionError`` where a promise was broken.

    Of what cannot be read the rest is done, and it is told: then a file may be neither old nor new, and a log that
    cannot be read gets no line.
    """
    box = copy_of(pristine, work)
    how = "signal=KILL" if fault == "KILL" else f"error={fault}"
    where = ("-e", f"trace={point.call}", "-e", f"inject={point.call}:{how}:when={point.number}")
    tracing = ("strace", "-o", "/dev/null", *where)
    with case.beside(box):
        said = box.command(*case.arguments, stdin=case.stdin, tracing=tracing)
    assert "Traceback" not in said.text and "internal error" not in said.text, said.text
    now = box.files()
    if case.same_end and not reads:
        check_old_or_new(now, ends)
    else:
        check_readable(now)
    box.let_time_pass()
    for command in case.finishing:
        again = box.command(*command)
        assert again.status in (0, 1, 2), f"the next run: {again.text}"
    finished = box.files()
    if case.same_end:
        differ = [name for name in finished.keys() | ends.finished.keys() if not _alike(name, finished, ends.finished)]
        told = said.text + box.hook_log
        differ = [name for name in differ if not (reads and f"{name.rpartition('/')[2]} cannot be read" in told)]
        assert not differ, f"the next run ends otherwise: {differ}; {again.text}"
    kept = "" if case.undone else ".old"  # what is in no journal may hold a writer's last update
    ours = [name for name in finished if TEMP_PREFIX in name and not (kept and name.endswith(kept))]
    assert not ours, f"left lying about: {ours}"
    if case.undone:
        undo_all(box)
        now = box.files()
        differ = [name for name in now.keys() | ends.first.keys() if not _same(name, now, ends.first)]
        assert not differ, f"undo does not return {differ}"


def _alike(name: str, one: Mapping[str, bytes], other: Mapping[str, bytes]) -> bool:
    """As ``_same``; of logs, the same number of lines: they tell the time."""
    if name.endswith(".log"):
        return one.get(name, b"").count(b"\n") == other.get(name, b"").count(b"\n")
    return _same(name, one, other)


def _same(name: str, one: Mapping[str, bytes], other: Mapping[str, bytes]) -> bool:
    """Equal; of archives, which tell the time, each whole or not there."""
    if name.endswith(ARCHIVE):
        return all(_is_whole_archive(each[name]) for each in (one, other) if name in each)
    return one.get(name) == other.get(name)


def _is_whole_archive(data: bytes) -> bool:
    try:
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            return all(archive.extractfile(member) is not None for member in archive.getmembers() if member.isfile())
    except (OSError, EOFError, tarfile.TarError):
        return False


def check_old_or_new(now: Mapping[str, bytes], ends: Ends) -> None:
    """Each file by itself."""
    for name in ends.old.keys() | ends.new.keys() | now.keys():
        if TEMP_PREFIX in name:
            continue
        if name.endswith(".log") and name in now:
            told = [end[name] for end in ends if name in end]
            assert any(now[name].startswith(each) for each in told), f"{name} was cut"
            continue
        if name in now and name.endswith(ARCHIVE):
            assert _is_whole_archive(now[name]), f"{name} is not whole"
            continue
        assert now.get(name) in (ends.old.get(name), ends.new.get(name)), f"{name} is neither old nor new"


def check_readable(now: Mapping[str, bytes]) -> None:
    """Whatever stands there is whole."""
    for name, data in now.items():
        if name.endswith(".json") and TEMP_PREFIX not in name:
            json.loads(data)


def every_point(
    case: Case, folder: Path, chosen: slice, faults: tuple[str, ...] = FAULTS, reads: bool = False
) -> Iterator[tuple[Point, str, str]]:
    """Each point with each fault, and what is bad about what came of it; an empty text for nothing."""
    place = folder / case.name
    place.mkdir(parents=True)
    pristine = Box(place / "box")
    case.build(pristine)
    kept = place / "kept"
    shutil.copytree(pristine.path, kept, symlinks=True)
    # Records name paths: the copy that is worked on must stand where the box was built.
    shutil.rmtree(pristine.path)
    origin, work = Box(kept), place / "box"
    ends = ends_of(case, origin, work)
    for point in points_of(case, origin, work, reads)[chosen]:
        for fault in faults:
            try:
                one_point(case, origin, work, ends, point, fault, reads)
            except AssertionError as error:
                yield point, fault, str(error)
            else:
                yield point, fault, ""


def main() -> None:
    """All of it, and a table of how many there were."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", help="commands; all by default")
    parser.add_argument("--step", type=int, default=1, help="every N-th call only")
    parser.add_argument("--faults", help=f"default: {','.join(FAULTS)}; EIO where calls that read are made to fail")
    parser.add_argument("--reads", action="store_true", help="the calls that read in place of those that change")
    given = parser.parse_args()
    faults = tuple(given.faults.split(",")) if given.faults else ("EIO",) if given.reads else FAULTS
    bad = 0
    for case in CASES:
        if given.cases and case.name not in given.cases:
            continue
        begun, counts = time.monotonic(), Counter[str]()
        with tempfile.TemporaryDirectory() as folder:
            os.environ["STATEHEAL_STATE_DIR"] = folder
            for point, fault, why in every_point(
                case, Path(folder), slice(None, None, given.step), faults, given.reads
            ):
                counts[point.call] += 1
                if why:
                    bad += 1
                    print(f"BAD {case.name} {point.call} {point.number} {fault}: {why[:600]}", flush=True)
        told = ", ".join(f"{call} {number}" for call, number in sorted(counts.items()))
        print(f"{case.name}: {sum(counts.values())} faults ({told}) in {time.monotonic() - begun:.0f} s", flush=True)
    print(f"bad states: {bad}")
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
