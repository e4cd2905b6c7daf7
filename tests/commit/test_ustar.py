"""Archives that are written without ``tarfile``."""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stateheal.commit.ustar import _by_tarfile, packed

NAMES = st.one_of(
    st.from_regex(r"(jobs/|kept/jobs/|)[A-Za-z0-9._-]{1,110}", fullmatch=True),
    st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), min_size=1, max_size=120),
)


def read(data: bytes) -> list[tuple[object, ...]]:
    """What ``tarfile`` finds in an archive."""
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
        return [
            (each.name, each.mode, each.uid, each.gid, each.uname, each.mtime, each.type, bytes_of(archive, each))
            for each in archive
        ]


def bytes_of(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member)
    assert file is not None
    return file.read()


@given(st.lists(st.tuples(NAMES, st.binary(max_size=1500)), max_size=30))
def test_they_are_what_tarfile_would_write(members: list[tuple[str, bytes]]) -> None:
    data = packed(members)
    assert len(data) == len(_by_tarfile(members)) and read(data) == read(_by_tarfile(members))


@pytest.mark.parametrize("size", [0, 1, 511, 512, 513, 10239, 10240, 70_000])
def test_every_length_is_filled_up(size: int) -> None:
    members = [("manifest.json", b"{}"), ("jobs/task-1.json", b"x" * size)]
    data = packed(members)
    assert len(data) == len(_by_tarfile(members)) and len(data) % tarfile.RECORDSIZE == 0
    assert [(name, content) for name, *_, content in read(data)] == members


@pytest.mark.processes
def test_a_heal_does_without_tarfile_and_what_it_brings() -> None:
    program = (
        "import sys, stateheal.commit.apply, stateheal.commit.archive as archive\n"
        "archive.pack({}, [])\n"
        "print(sorted({'tarfile', 'shutil', 'bz2', 'lzma'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
