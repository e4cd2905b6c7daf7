"""``export``: nothing private gets into the archive, and what an audit finds is found in the unpacked copy too."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import stat
import tarfile
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stateheal import cli
from stateheal.engine import workspace as visits
from stateheal.engine.api import audit, request_of
from stateheal.engine.world import World
from stateheal.errors import UsageError, WriteError
from stateheal.evidence.discover import discover
from stateheal.evidence.schema import violations
from stateheal.export.bundle import MANIFEST, find, pack
from stateheal.export.layout import TOP, UNPACK_IN
from stateheal.export.pseudonyms import Pseudonyms, is_simple_id
from stateheal.export.redact_json import redact_json
from stateheal.formats.jsontext import ParseFailure, parse
from stateheal.fs.output import new_file
from stateheal.model.evidence import Answer
from stateheal.model.report import Report
from tests.support import (
    FakeProcesses,
    Tree,
    at,
    done,
    examples,
    has_mode,
    in_json,
    job,
    journal_in,
    settle,
    stats_in,
    world,
    write_json,
)
from tests.test_cases import NAMES, Bench, FakeRollouts

_EXPECTED_TO_DIFFER = {
    "leftover-temp": "of a temporary file, as of every file that is not the plugin's, only the name is told",
    "stale-lock": "of a lock, too: who holds it stands in what is not packed",
}


def archive_of(*paths: Path, outside: World | None = None, redact: bool = True) -> bytes:
    outside = outside or world()
    out = io.BytesIO()
    pack(find(request_of(paths), world=outside), out, redact=redact, world=outside)
    return out.getvalue()


def members_of(data: bytes) -> dict[str, bytes | None]:
    """Every member, by name; ``None`` for what is no file."""
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        found = {}
        for member in tar.getmembers():
            file = tar.extractfile(member) if member.isreg() else None
            found[member.name] = file.read() if file else None
        return found


def manifest_of(data: bytes) -> dict[str, Any]:
    return json.loads(members_of(data)[MANIFEST] or b"")


def unpack(data: bytes, folder: Path) -> Path:
    """Unpack, and put what the archive calls /tmp at the folder's place. Returns the copied ``plugins/data``."""
    trusted = {"filter": "fully_trusted"} if hasattr(tarfile, "data_filter") else {}
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        tar.extractall(folder, **trusted)
    for path in folder.rglob("*.json"):
        if path.is_file() and not path.is_symlink() and path.name != "MANIFEST.json":
            info = path.stat()
            path.write_bytes(path.read_bytes().replace(f"{UNPACK_IN}/{TOP}".encode(), in_json(folder / TOP).encode()))
            os.utime(path, ns=(info.st_mtime_ns, info.st_mtime_ns))
    return folder / TOP / "plugins" / "data"


# --- the same findings ---------------------------------------------------------------------------------------------


def new_names(bench: Bench) -> dict[str, str]:
    """What each workspace of the case is called in the archive, but for its hash."""
    names = dict.fromkeys(place.name for place in discover([bench.data]).places)
    return {name: f"workspace-{number}" for number, name in enumerate(names, 1)}


def texts(before: Any, after: Any) -> dict[str, str]:
    """Which text stands for which."""
    if isinstance(before, str) and isinstance(after, str):
        return {before: after}
    if isinstance(before, dict):
        pairs = list(zip(before.values(), after.values(), strict=True))
    else:
        pairs = list(zip(before, after, strict=True)) if isinstance(before, list) else []
    return {old: new for pair in pairs for old, new in texts(*pair).items()}


def renamed(bench: Bench, copy: Path) -> dict[str, str]:
    """Which text stands for which in the records that parse."""
    found: dict[str, str] = {}
    names = new_names(bench)
    for path in bench.data.rglob("*.json"):
        parts = path.relative_to(bench.state).parts if path.is_relative_to(bench.state) else ("",)
        twin = next(copy.glob(f"*/state/{names.get(parts[0], '-')}-*/{'/'.join(parts[1:])}"), None)
        if twin is not None and parts[1:]:
            try:
                found |= texts(json.loads(path.read_bytes()), json.loads(twin.read_bytes()))
            except ValueError:
                continue
    return found


def world_of_copy(bench: Bench, copy: Path) -> World:
    """The case's processes, rollouts and brokers under the names that the copy has for them."""
    told, new = bench.told, renamed(bench, copy)
    table: FakeProcesses = bench.world.processes  # type: ignore[assignment]
    for pid, facts in table.table.items():
        argv = tuple(new.get(each, each) for each in facts.argv) if facts.argv else facts.argv
        table.table[pid] = facts._replace(argv=argv)
    turns = {
        "/".join(new.get(part, part) for part in key.split("/")): end for key, end in told.get("turns", {}).items()
    }
    answers = {new.get(each, each) for each in told.get("brokers_that_answer", [])}
    ask = bench.world.ask
    mute = {new.get(each, each) for each in told.get("mute_brokers", [])}
    return World(
        table,
        FakeRollouts(turns),
        lambda endpoint: Answer.YES if endpoint in answers else ask(endpoint),
        greet=lambda endpoint: endpoint not in mute,
    )


def comparable(report: Report, names: dict[str, str] | None = None) -> Counter[tuple[str, ...]]:
    """Workspace without its hash, rule, severity, pointer, pid and, where it is of plain form, job."""

    def short(name: str) -> str:
        return names[name] if names else name[:-17]

    return Counter(
        (
            short(f.workspace),
            f.rule,
            f.severity.value,
            str(f.pointer),
            str(f.pid),
            f.job if f.job is None or is_simple_id(f.job) else "?",
        )
        for f in report.findings
        if f.rule not in _EXPECTED_TO_DIFFER
    )


@pytest.mark.parametrize("name", NAMES)
def test_the_copy_has_the_same_damage(name: str, tmp_path: Path) -> None:
    bench = Bench(name, tmp_path / "tree").lay_out()
    before = stats_in(bench.root)
    data = archive_of(bench.data, outside=bench.world)
    assert stats_in(bench.root) == before
    copy = unpack(data, tmp_path.resolve() / "copy")
    outside = world_of_copy(bench, copy)
    seen = audit([copy], settings=bench.settings, world=outside, journal=journal_in(tmp_path))
    assert comparable(seen) == comparable(bench.audit(), new_names(bench))
    assert not seen.errors
    # What the manifest says is what an audit without any options finds.
    whole = audit([copy], world=outside, journal=journal_in(tmp_path))
    told = [each for each in manifest_of(data)["findings"] if each["rule"] not in _EXPECTED_TO_DIFFER]
    assert Counter((f["workspace"].rpartition("/")[2], f["rule"], f["job"], f["pointer"]) for f in told) == Counter(
        (f.workspace, f.rule, f.job, f.pointer) for f in whole.findings
    )


def test_what_only_a_listing_tells(tmp_path: Path) -> None:
    """The one exception above: the temporary files of that case stand in the manifest, under their endings."""
    bench = Bench("leftover-temp", tmp_path / "tree").lay_out()
    data = archive_of(bench.data, outside=bench.world)
    (workspace,) = manifest_of(data)["workspaces"]
    listed = {each["name"] for each in workspace["files"] if "not packed" in each["note"]}
    assert {"state.json.tmp-123", "jobs/task-done.json.tmp"} <= listed
    assert not [name for name in members_of(data) if name.endswith((".tmp", ".tmp-123"))]


# --- nothing private -----------------------------------------------------------------------------------------------

_PAIRS = [letter + digit for letter in "QJVKWY" for digit in "23456789"]


def _spell(number: int, signs: Sequence[str]) -> str:
    """The number with these signs as its digits."""
    spelled = ""
    while number:
        number, sign = divmod(number, len(signs))
        spelled += signs[sign]
    return spelled


_marks = st.integers(48**4, 48**9 - 1).map(lambda number: _spell(number, _PAIRS))
"""Five to nine times a letter and a digit: nothing else in an archive has six such characters in a row."""
_digit_marks = st.integers(3**12, 3**30 - 1).map(lambda number: _spell(number, "789"))


def pieces_of(mark: str) -> set[bytes]:
    length = 10 if mark.isdigit() else 6  # a shorter run of digits may stand in a random hash, or in a time
    return {mark[start : start + length].encode() for start in range(len(mark) - length + 1)}


def pieces_in(data: bytes) -> set[bytes]:
    """Whatever in the data might be a piece of a mark."""
    runs = re.findall(rb"[QJVKWY2-9]{6,}", data)
    return {run[start : start + length] for run in runs for length in (6, 10) for start in range(len(run))}


@st.composite
def _private(draw: st.DrawFn, marks: list[str], depth: int = 0) -> Any:
    """A value that is full of marks."""

    def mark() -> str:
        marks.append(draw(_marks))
        return marks[-1]

    def number() -> str:
        marks.append(draw(_digit_marks))
        return marks[-1]

    kind = draw(st.integers(0, 9 if depth < 2 else 5))
    if kind == 0:
        return int(number())
    if kind == 1:
        return float(f"0.{number()[:15]}")
    if kind > 5:
        keys = [draw(st.sampled_from(("id", "status", mark(), f"my {mark()}", "rawOutput", "env"))) for _ in range(2)]
        values = [draw(_private(marks, depth + 1)) for _ in keys]
        return values if kind == 6 else dict(zip(keys, values, strict=True))
    forms = ("{0}", "/home/{0}/{1}", 'say "{0}"\n{{"id": "{1}"}}', "C:\\{0}\\{1}.log", "é{0}\t☕\ud800{1}", "{0}: {1}")
    return draw(st.sampled_from(forms)).format(mark(), mark())


@st.composite
def _record(draw: st.DrawFn, ident: str, marks: list[str]) -> dict[str, Any]:
    fields = (
        "title summary workspaceRoot logFile sessionId threadId turnId errorMessage request result rendered status"
        " phase kind kindLabel jobClass pid createdAt owner config cwd endpoint write hostname"
    )
    record = job(ident) if draw(st.booleans()) else {"id": ident, "status": "running"}
    for key in draw(st.lists(st.sampled_from(fields.split()), max_size=8, unique=True)):
        record[key] = draw(_private(marks))
    if draw(st.booleans()):
        record[draw(_marks.map(lambda mark: marks.append(mark) or mark))] = draw(_private(marks))
    if draw(st.booleans()):
        record["id"] = f"a {draw(_marks.map(lambda mark: marks.append(mark) or mark))}"
    return record


@st.composite
def _text(draw: st.DrawFn, value: Any) -> bytes:
    """The value in some layout, whole or torn in some way."""
    plain = draw(st.booleans()) or "\\ud800" in json.dumps(value)
    text = json.dumps(value, indent=draw(st.sampled_from((None, 2))), ensure_ascii=plain).encode()
    where, other = sorted((draw(st.integers(0, len(text))), draw(st.integers(0, len(text)))))
    junk = draw(st.sampled_from((b'"', b"{", b"}", b'{"id":', b"\\", b"\0", b"\xff", b"null", b',"', b"\xef\xbb\xbf")))
    torn = (
        text[:where],
        text[where:],
        text[where:other],
        text[:where] + junk + text[where:],
        text[:where] + text,
        text + text[where:],
        text[:where] + b"\0" * 5,
        text + b" and so on " + text[where:other],
    )
    return draw(st.sampled_from((text, text, *torn)))


@st.composite
def _log(draw: st.DrawFn, marks: list[str]) -> bytes:
    lines = []
    for _ in range(draw(st.integers(1, 5))):
        marks.append(draw(_marks))
        stamp = draw(st.sampled_from((f"[{at(-100)}] ", f"[{marks[-1]}] ", "")))
        said = (
            "{0}",
            "Codex error: {0}",
            "Turn started ({0}).",
            "Starting {0}.",
            "Running command: {0}\0",
            "é{0} {0}\r",
        )
        lines.append(stamp + draw(st.sampled_from(said)).format(marks[-1]))
    return "\n".join(lines).encode() + draw(st.sampled_from((b"", b"\n", b"\xff\xfe")))


@st.composite
def _trees(draw: st.DrawFn) -> tuple[str, str, dict[str, bytes], list[str]]:
    """Plugin, project, files, and the marks in all of them."""
    marks: list[str] = []
    records = [draw(_record(ident, marks)) for ident in ("task-1", "task-mnyhf4jl-1mnkv1")]
    index: Any = {"version": 1, "config": {"stopReviewGate": False}, "jobs": records}
    if draw(st.integers(0, 4)) == 0:
        index[draw(st.sampled_from(("config", "jobs", "version", "extra")))] = draw(_private(marks))
    files = {"state.json": draw(_text(index))}
    for record, ident in zip(records, ("task-1", "task-mnyhf4jl-1mnkv1"), strict=True):
        files[f"jobs/{ident}.json"] = draw(_text(record))
        files[f"jobs/{ident}.log"] = draw(_log(marks))
    files["broker.json"] = draw(_text(draw(_private(marks))))
    names = ("jobs/{0} x.json", "jobs/{0} x.log", "jobs/task-1.{0}", "jobs/{0}.request.json", "{0}", "jobs/{0}.d/{0}")
    for name in draw(st.lists(st.sampled_from(names), max_size=3, unique=True)):
        marks.append(draw(_marks))
        files[name.format(marks[-1])] = draw(_text(draw(_private(marks))))
    project, plugin = draw(_marks), draw(_marks)
    return f"codex-{plugin}", f"/home/{project}", files, [*marks, project, plugin]


@given(_marks | _digit_marks, st.binary(max_size=9), st.binary(max_size=9))
def test_a_piece_is_found(mark: str, before: bytes, after: bytes) -> None:
    assert pieces_of(mark) <= pieces_in(before + mark.encode() + after)


@given(_trees())
@settings(max_examples=examples(300))
def test_no_piece_of_anything_private_gets_out(made: tuple[str, str, dict[str, bytes], list[str]]) -> None:
    plugin, project, files, marks = made
    with tempfile.TemporaryDirectory() as folder:
        tree = Tree(Path(folder) / "tree", project, plugin)
        for name, content in files.items():
            (tree.path / name).parent.mkdir(parents=True, exist_ok=True)
            (tree.path / name).write_bytes(content)
        settle(tree.root)
        os.symlink(f"/home/{marks[-1]}", tree.path / "jobs" / "task-2.json")
        data = archive_of(tree.root)
        assert not [each for each in manifest_of(data)["audit_errors"] if each["internal_error"]]
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        assert tar.fileobj is not None
        tar.fileobj.seek(0)
        everything = tar.fileobj.read()
    assert everything.count(TOP.encode()) > 3
    inside = pieces_in(everything)
    assert not {piece for mark in marks for piece in pieces_of(mark) if piece in inside}


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(max_size=4) | st.sampled_from(("id", "jobs", "config", "status", "pid")), inner, max_size=4
        )
    ),
    max_leaves=12,
)


def shape(value: Any) -> Any:
    if isinstance(value, dict):
        return [shape(each) for each in value.values()]
    return [shape(each) for each in value] if isinstance(value, list) else (type(value), len(str(value)) > 0)


@given(_json, st.sampled_from(("index", "record", "broker")), st.sampled_from((None, 2)))
def test_what_parses_still_parses_to_the_same_shape(value: Any, kind: str, indent: int | None) -> None:
    text = json.dumps(value, indent=indent)
    redacted = redact_json(text.encode(), Pseudonyms(b"salt"), kind, whole=True)
    assert shape(json.loads(redacted)) == shape(value)
    bare = re.compile(r'"(?:[^"\\]|\\.)*"|[0-9eE.+-]+')
    assert bare.sub("", redacted.decode()) == bare.sub("", text), "layout stays byte for byte"


@given(st.binary(max_size=200))
def test_any_bytes_stay_as_torn_as_they_were(data: bytes) -> None:
    if isinstance(parse(data), ParseFailure):
        redacted = redact_json(data, Pseudonyms(b"salt"), "index", whole=False)
        structure = re.compile(rb"[^{}\[\]\x00]")
        if b'"' not in data:
            assert structure.sub(b"", redacted) == structure.sub(b"", data)


def test_a_record_word_for_word(tmp_path: Path) -> None:
    """What stays of a record, and what stands for the rest."""
    record = {
        "id": "task-1",
        "title": "Codex Task",
        "summary": "sell the house",
        "workspaceRoot": "/home/alice/secret",
        "status": "running",
        "phase": "pondering",
        "pid": 4242,
        "startedAt": "2026-11-23T06:00:00.000Z",
        "logFile": "/elsewhere/jobs/task-1.log",
        "threadId": "thr_1",
        "sessionId": "thr_1",
        "accountNumber": 123456789,
        "exitStatus": 3,
        "ratio": -0.25,
        "errorMessage": "Orphaned: pid 7 no longer alive (before: no money)",
        "request": {"prompt": "sell the house", "env": {"TOKEN": "abc"}, "cwd": "/home/alice/secret"},
    }
    tree = Tree(tmp_path / "tree").index(record).file(record).log("task-1", f"[{at(0)}] Turn started (thr_1).\nhello\n")
    members = members_of(archive_of(tree.root))
    (name,) = [name for name in members if name.endswith("jobs/task-1.json")]
    shown = json.loads(members[name] or b"")
    for key in ("id", "title", "status", "pid", "startedAt", "exitStatus"):
        assert shown[key] == record[key], key
    assert re.fullmatch(r"/home/[a-z]{10}/[a-z]{10}", shown["workspaceRoot"])
    assert shown["request"]["cwd"] == shown["workspaceRoot"]
    assert shown["summary"] == shown["request"]["prompt"] and len(shown["summary"]) == len("sell the house")
    assert shown["threadId"] == shown["sessionId"] != "thr_1"
    assert shown["accountNumber"] == 111111111 and shown["ratio"] == -0.11
    assert shown["errorMessage"].startswith("Orphaned: pid 7 no longer alive") and "money" not in str(shown)
    assert re.fullmatch(r"/[a-z]{10}/jobs/task-1\.log", shown["logFile"])
    assert len(shown["phase"]) == len("pondering") and shown["phase"] != "pondering"
    assert list(shown["request"]) == ["prompt", list(shown["request"])[1], "cwd"] and "env" not in shown["request"]
    log = (members[name.replace(".json", ".log")] or b"").decode()
    assert log.startswith(f"[{at(0)}] Turn started ({shown['threadId']}).\n") and [*map(len, log.split("\n"))][1:] == [
        5,
        0,
    ]


@pytest.mark.parametrize("pid", [789789789789789, "789789789789789"])
def test_a_number_too_long_for_a_pid_is_told_nowhere(tmp_path: Path, pid: object) -> None:
    data = archive_of(Tree(tmp_path / "tree").add(job("task-1", pid=pid)).root)
    assert [each["pid"] for each in manifest_of(data)["findings"] if each["rule"] == "dead-pid"] == [None]
    assert b"789789" not in b"".join(filter(None, members_of(data).values()))


def test_own_logs_stay_in_their_own_jobs_directory(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "tree").add(job("task-1"))
    members = members_of(archive_of(tree.root))
    (name,) = [name for name in members if name.endswith("jobs/task-1.json")]
    assert json.loads(members[name] or b"")["logFile"] == f"{UNPACK_IN}/{name}".replace(".json", ".log")


def test_two_exports_have_nothing_in_common(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "tree").add(done("task-1"))
    roots = [
        json.loads(
            next(data for name, data in members_of(archive_of(tree.root)).items() if name.endswith("e.json")) or b""
        )
        for _ in range(2)
    ]
    homes = [root["jobs"][0]["workspaceRoot"] for root in roots]
    assert homes[0] != homes[1]


# --- what is packed ------------------------------------------------------------------------------------------------


def test_without_redaction_the_bytes_are_as_they_are(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "tree").add(done("task-1"))
    (tree.path / "jobs" / "task-1.request.json").write_text('{"token": "sesame"}')
    data = archive_of(tree.root, redact=False)
    members = members_of(data)
    base = f"{TOP}/plugins/data/codex-openai-codex/state/{tree.path.name}"
    for name in ("state.json", "jobs/task-1.json", "jobs/task-1.log"):
        assert members[f"{base}/{name}"] == (tree.path / name).read_bytes()
    assert b"sesame" not in b"".join(filter(None, members.values())), "forks' secrets are never packed"
    assert manifest_of(data)["redacted"] is False


@pytest.mark.posix("FIFOs and modes")
def test_ages_modes_links_and_what_blocks(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "tree").add(done("task-1"))
    outside = tmp_path / "outside.json"
    outside.write_text('{"token": "sesame"}')
    jobs = tree.path / "jobs"
    (jobs / "task-1.json").chmod(0o640)
    os.symlink(outside, jobs / "task-2.json")
    os.mkfifo(jobs / "task-3.json")
    os.mkfifo(tree.path / "broker.json")
    os.utime(jobs / "task-1.json", ns=(1, 1_600_000_000_123_000_000))
    data = archive_of(tree.root)
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        by_base = {member.name.rpartition("/")[2]: member for member in tar.getmembers()}
    assert by_base["task-1.json"].mode == 0o640 and abs(by_base["task-1.json"].mtime - 1_600_000_000.123) < 1e-3
    (link,) = (member for member in by_base.values() if member.issym())
    assert link.name.endswith(".json") and "task-2" not in link.name and "outside" not in link.linkname
    assert not link.linkname.startswith(("/", "."))
    assert not [member for member in by_base.values() if member.isfifo()] and "broker.json" not in by_base
    (workspace,) = manifest_of(data)["workspaces"]
    kinds = sorted(each["kind"] for each in workspace["files"] if each["kind"] not in ("file", "directory"))
    assert kinds == ["fifo", "fifo", "link"]
    assert [each["kind"] for each in workspace["files"] if each["name"] == "broker.json"] == ["fifo"]
    assert {(member.uid, member.gid, member.uname) for member in by_base.values()} == {(0, 0, "")}


def test_a_directory_of_jobs_that_is_a_link_is_not_entered(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "tree").add(done("task-1"))
    (tree.path / "jobs").rename(tmp_path / "elsewhere")
    os.symlink(tmp_path / "elsewhere", tree.path / "jobs")
    assert not [name for name in members_of(archive_of(tree.root)) if "task-1" in name]


def test_one_job_alone(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "tree").add(done("task-1")).add(done("task-10"))
    other = Tree(tmp_path / "tree", "/home/dev/other").add(done("task-3"))
    out = io.BytesIO()
    exported = pack(find(request_of([tree.root], job="task-1"), world=world()), out, world=world())
    names = {name.rpartition("/")[2] for name in members_of(out.getvalue())}
    assert "task-1.json" in names and not names & {"task-10.json", "task-3.json"}
    assert exported.report.workspaces == 1 and other.path.exists()
    with pytest.raises(UsageError):
        find(request_of([tree.root], job="task-2"), world=world())


def test_two_roots_stay_two(tmp_path: Path) -> None:
    for plugin in ("codex-openai-codex", "acme-internal", "acme-codex"):
        Tree(tmp_path / "tree", plugin=plugin).add(done("task-1"))
    data = archive_of(tmp_path / "tree")
    roots = {name.split("/")[3] for name in members_of(data) if name != MANIFEST}
    assert roots == {"codex-openai-codex", "plugin", "codex-plugin"}
    assert len({each["directory"].rpartition("/")[2] for each in manifest_of(data)["workspaces"]}) == 1, "twins"


def test_an_error_in_the_audit_is_named_without_its_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: Any) -> Any:
        raise ValueError("sesame")

    monkeypatch.setattr(visits, "make_plan", broken)
    data = archive_of(Tree(tmp_path / "tree").add(done("task-1")).root)
    (error,) = manifest_of(data)["audit_errors"]
    assert error["internal_error"] == "ValueError in broken"
    assert b"sesame" not in b"".join(filter(None, members_of(data).values()))


def test_the_archive_depends_on_the_salt_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("secrets.token_bytes", lambda count: b"x" * count)
    tree = Tree(tmp_path / "tree").add(done("task-1"))
    assert archive_of(tree.root) == archive_of(tree.root)


def test_a_name_that_is_taken_meanwhile_is_left(tmp_path: Path) -> None:
    target = tmp_path / "a.tar.gz"
    with pytest.raises(WriteError, match="is there already"), new_file(target) as (file, keep):
        file.write(b"new")
        target.write_bytes(b"theirs")
        keep()
    assert target.read_bytes() == b"theirs"
    assert [path.name for path in tmp_path.glob("*.gz")] == ["a.tar.gz"] and not list(tmp_path.glob(".state*"))


def test_a_file_that_is_not_kept_vanishes(tmp_path: Path) -> None:
    with new_file(tmp_path / "a.tar.gz") as (file, _):
        file.write(b"half")
    assert not list(tmp_path.glob("*.gz")) and not list(tmp_path.glob(".state*"))
    with pytest.raises(WriteError, match="nowhere"), new_file(tmp_path / "nowhere" / "a.tar.gz"):
        pass


@pytest.mark.posix("modes")
def test_modes_of_the_written_file(tmp_path: Path) -> None:
    with new_file(tmp_path / "a.tar.gz") as (_, keep):
        keep()
    assert stat.S_IMODE((tmp_path / "a.tar.gz").stat().st_mode) == 0o600


def test_a_log_that_is_too_long_is_named_and_the_rest_packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stateheal.evidence.snapshot.max_bytes", lambda: 1000)
    tree = Tree(tmp_path / "tree").add(done("task-1")).log("task-1", "x" * 1001)
    write_json(tree.path / "jobs" / "task-2.json", done("task-2"))
    out = io.BytesIO()
    exported = pack(find(request_of([tree.root]), world=world()), out, world=world())
    assert [Path(each.path).name for each in exported.report.errors] == ["task-1.log"]
    assert exported.report.exit_status == 3 and exported.files == 3
    assert "task-2.json" in {name.rpartition("/")[2] for name in members_of(out.getvalue())}


# --- the command ---------------------------------------------------------------------------------------------------


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes], tmp_path: Path) -> Any:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    def call(*args: str | Path) -> tuple[int, bytes, str]:
        status = cli.run(["export", *map(str, args)])
        out, err = capfdbinary.readouterr()
        return status, out, err.decode()

    return call


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path / "tree").add(done("task-1", summary="sesame"))


def test_by_default_it_is_redacted_and_in_the_current_directory(run: Any, tree: Tree) -> None:
    status, out, err = run(tree.root)
    (path,) = Path().iterdir()
    assert (status, err) == (0, "") and re.fullmatch(r"stateheal-export-\d{8}T\d{6}Z\.tar\.gz", path.name)
    first, second = out.decode().splitlines()
    assert first == f"Packed 3 files of 1 workspace into {path.name}, redacted."
    assert second.startswith("Look at it before you send it: tar tzf ")
    assert has_mode(path, 0o600)
    assert b"sesame" not in b"".join(filter(None, members_of(path.read_bytes()).values()))


def test_damage_is_no_failure_of_an_export(run: Any, tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stateheal.engine.sequence.ON_ITS_WAY", 0.02)  # nobody is about to make it whole
    (tree.path / "state.json").write_bytes(b"{")
    assert run(tree.root, "-o", "a.gz")[0] == 0
    assert "torn-index" in {each["rule"] for each in manifest_of(Path("a.gz").read_bytes())["findings"]}


@pytest.mark.links("a link in the way")
def test_nothing_is_overwritten(run: Any, tree: Tree) -> None:
    Path("a.gz").write_text("mine")
    Path("b.gz").symlink_to("nowhere")
    for name in ("a.gz", "b.gz"):
        status, out, err = run(tree.root, "-o", name)
        assert (status, out) == (3, b"") and err.count("\n") == 1 and f"{name}: is there already" in err
    assert Path("a.gz").read_text() == "mine" and sorted(os.listdir()) == ["a.gz", "b.gz"]


def test_to_stdout(run: Any, tree: Tree) -> None:
    status, out, err = run(tree.root, "-o", "-")
    assert status == 0 and MANIFEST in members_of(out) and "into stdout, redacted" in err
    status, out, err = run(tree.root, "-o", "-", "--format", "json")
    assert (status, out) == (2, b"") and "both want stdout" in err
    assert os.listdir() == []


def test_what_is_not_redacted_says_so_loudly(run: Any, tree: Tree) -> None:
    assert b"NOT REDACTED" in run(tree.root, "--no-redact", "-o", "a.gz")[1]
    assert b"sesame" in b"".join(filter(None, members_of(Path("a.gz").read_bytes()).values()))
    assert run(tree.root, "--redact", "-o", "b.gz")[0] == 0
    assert b"PACKS THE SAME FILES AS THEY ARE" in run("-h")[1]


def test_the_report_as_json(run: Any, tree: Tree) -> None:
    status, out, _ = run(tree.root, "--format", "json", "-o", "a.gz")
    report = json.loads(out)
    assert status == 0 and violations("report", report) == ()
    assert report["archive"] == {"path": "a.gz", "redacted": True, "files": 3}
    assert report["summary"]["workspaces"] == 1 and report["errors"] == []


def test_nothing_to_pack(run: Any, tmp_path: Path) -> None:
    (tmp_path / "empty" / "plugins" / "data").mkdir(parents=True)
    for args in ([tmp_path / "empty"], []):
        status, out, err = run(*args)
        assert (status, out) == (2, b"") and "nothing to pack" in err and err.count("\n") == 1
    assert run(tmp_path / "nowhere")[0] == 2
    assert os.listdir() == []


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_what_cannot_be_read_is_said_and_the_rest_packed(run: Any, tree: Tree) -> None:
    (tree.path / "jobs" / "task-1.json").chmod(0)
    status, _, err = run(tree.root, "-o", "a.gz")
    assert status == 3 and err.count("\n") == 1 and "task-1.json: not packed: cannot be read" in err
    assert "state.json" in {name.rpartition("/")[2] for name in members_of(Path("a.gz").read_bytes())}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no full device here")
def test_a_full_disk(tree: Tree) -> None:
    (tree.path / "jobs" / "task-1.log").write_bytes(os.urandom(500_000))
    found = find(request_of([tree.root]), world=world())
    with pytest.raises(OSError, match="No space"), open("/dev/full", "wb") as full:
        pack(found, full, redact=False, world=world())


@pytest.mark.posix("a process signals itself")
def test_an_interrupted_export_leaves_nothing(run: Any, tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*args: Any) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr("stateheal.export.bundle.pack_workspace", interrupted)
    status, out, _ = run(tree.root)
    assert status == 128 + signal.SIGTERM and b"nothing was written" in out
    assert os.listdir() == []


def test_a_record_that_nobody_has_thought_of(run: Any, tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: Any) -> None:
        raise ValueError("of all things")

    monkeypatch.setattr("stateheal.export.workspace.redact_json", broken)
    status, _, err = run(tree.root, "-o", "a.gz")
    assert status == 3 and err.count("\n") == 1 and "internal error, please report it" in err
    assert MANIFEST in members_of(Path("a.gz").read_bytes())
