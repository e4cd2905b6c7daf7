"""Placeholders for texts that must not leave this machine: equal texts get equal ones, and none can be turned back.

Each is made with a salt that is drawn for one export and thrown away, so that guesses cannot be tried. They consist of
consonants: no placeholder is ever a word that means something in a record.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from collections.abc import Mapping

from stateheal.dialects.table import DIALECTS
from stateheal.fs.own_names import parse_own_name
from stateheal.model.records import is_plain_id
from stateheal.patterns import pattern
from stateheal.values import dataclass, field


def words(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


_LETTERS = "bcdfghjklmnpqrstvwxz"
_MARK = 12
"""Letters that tell texts apart (52 bits); what is longer is filled up."""
_SHORTEST = 10
"""Of a name: two must never become one."""
_HARMLESS_NAMES = words(
    "~ home Users tmp var private folders opt srv mnt usr Library Caches AppData Local Roaming Temp pipe .claude .codex"
    " plugins data state jobs cache sessions codex-companion codex-openai-codex codex-inline broker.sock broker.pid"
    " broker.log"
)
"""Parts of a path that are the same on everybody's machine."""
_HARMLESS_FORM = pattern(r"[A-Za-z]:|cxc-[A-Za-z0-9]{6}")
"""A drive; the broker's directory of chance."""
_KNOWN_ENDS = words("json jsonl log lock done request events crashed tmp temp old bak swp d sock pid")
_SIMPLE_ID = pattern(r"[A-Za-z0-9_-]{1,80}")
OF_A_JOB = ("job.json", "log.log")
"""What stands in the directory of a job, where a companion keeps one for each (field guide section 11)."""
_OWN_STEMS = frozenset(["", "state", "jobs"]) | {(each.broker or "").partition(".")[0] for each in DIALECTS}
"""Of the names of companions' own files in a workspace."""
_LONE_SURROGATE = pattern("[\ud800-\udfff]")
_DAMAGE = pattern("[\x00-\x1f\ufeff\udc80-\udcff]")


def is_simple_id(text: str) -> bool:
    """Whether an id, or the stem of a job's file, is of the form that an export shows."""
    return _SIMPLE_ID.fullmatch(text) is not None


@dataclass(frozen=True)
class Pseudonyms:
    """See the module."""

    salt: bytes
    known: frozenset[str] = frozenset()
    """Ids of the workspace's jobs that are shown as they are."""
    directories: Mapping[str, str] = field(default_factory=dict)
    """Names of workspace directories, and what the archive calls them."""
    jobs: Mapping[str, str] = field(default_factory=dict)
    """Spellings of this workspace's own jobs directory, and where it is to be unpacked."""

    def digest(self, text: str) -> bytes:
        """32 bytes that belong to this text in this export."""
        return hmac.digest(self.salt, text.encode("utf-8", "surrogatepass"), hashlib.sha256)

    def text(self, text: str) -> str:
        """A placeholder of the same length in characters; half a surrogate pair stays half a pair."""
        return _put_back(self.letters(text, len(text)), text, _LONE_SURROGATE, "\ud800")

    def raw(self, text: str) -> str:
        """The same for raw text: control characters and the byte order mark stay, as do bytes that are no UTF-8.

        These stand in ``text`` as ``surrogateescape`` leaves them, and all become 0xFF.
        """
        return _put_back(self.letters(text, len(text)), text, _DAMAGE, "\udcff")

    def key(self, text: str) -> str:
        """What stands for a key; its length is not shown."""
        return self.letters(text, _MARK)

    def name(self, text: str) -> str:
        """What stands for a file's or a directory's name."""
        return self.letters(text, max(len(text), _SHORTEST))

    def ident(self, ident: str) -> str:
        """A job's id: as it is where it is known, else a name of the same danger.

        One that leads to another directory still does, one that is no plain name is still none.
        """
        if ident in self.known or ident in ("", ".", ".."):
            return ident
        if re.search(r"[/\\\0]", ident):
            return "".join(self._step(part) for part in re.split(r"([/\\\0])", ident))
        return ("" if is_plain_id(ident) else "~") + self.name(ident)

    def _step(self, part: str) -> str:
        return part if part in ("", ".", "..", "/", "\\", "\0") else self.name(part)

    def path(self, path: str) -> str:
        """A path with every part of it replaced that is not the same on everybody's machine."""
        own = self.jobs.get(os.path.dirname(path))
        if own is not None:
            return f"{own}/{self.file(os.path.basename(path))}"
        parent, base = os.path.split(path)
        own = self.jobs.get(os.path.dirname(parent)) if base in OF_A_JOB else None
        if own is not None:
            return f"{own}/{self.ident(os.path.basename(parent))}/{base}"
        *parents, last = re.split(r"([/\\])", path)
        return "".join([*map(self._part, parents), self.file(last)])

    def _part(self, part: str) -> str:
        if part in self.directories:
            return self.directories[part]
        harmless = part in _HARMLESS_NAMES or _HARMLESS_FORM.fullmatch(part)
        return part if harmless else self._step(part)

    def file(self, name: str) -> str:
        """A job's file or log: its id and its ending; of any other file the name."""
        for end in (".json", ".log"):
            if name.endswith(end) and name not in _HARMLESS_NAMES and name != end:
                return self.ident(name[: -len(end)]) + end
        return self._part(name)

    def other_file(self, name: str) -> str:
        """The name of a file that is only listed: the job it belongs to and known endings stay."""
        ours = parse_own_name(name)
        head = name.removesuffix(ours.name + ours.suffix) if ours else ""
        stem, *ends = name[len(head) :].split(".")
        known = stem in self.known or stem in _OWN_STEMS
        return ".".join([head + (stem if known else self.name(stem)), *map(self._end, ends)])

    def _end(self, end: str) -> str:
        return end if end in _KNOWN_ENDS or re.fullmatch(r"(?:tmp[-_])?[0-9]{0,7}", end) else self.name(end)

    def letters(self, text: str, length: int) -> str:
        """So many letters that belong to this text in this export."""
        mark = "".join(_LETTERS[byte % len(_LETTERS)] for byte in self.digest(text)[: min(length, _MARK)])
        return mark + "x" * (length - _MARK)


def _put_back(mask: str, text: str, kept: re.Pattern[str], foreign: str) -> str:
    """The mask with what must stay of the text in its place: surrogates as ``foreign``, all else as it is."""
    found = list(kept.finditer(text))
    if not found:
        return mask
    chars = list(mask)
    for match in found:
        chars[match.start()] = foreign if match[0] >= "\ud800" and match[0] != "\ufeff" else match[0]
    return "".join(chars)
