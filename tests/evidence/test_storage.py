"""Which file systems other machines write to as well (field guide section 4: pids are one machine's)."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from stateheal.evidence import host
from stateheal.evidence.host import kind_of, shared_kind

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="mountinfo is Linux's")
MOUNTS = """\
22 1 254:0 / / rw,relatime - ext4 /dev/root rw
90 22 0:51 / /home rw,relatime shared:9 master:2 - nfs4 nas:/home rw,vers=4.2
91 22 0:52 / /mnt/a\\040b rw - fuse.sshfs dev@box:/ rw
92 22 0:53 /
"""


@pytest.mark.parametrize(
    ("minor", "kind"), [(51, "nfs4"), (52, "fuse.sshfs"), (53, None), (54, None)], ids=["nfs", "sshfs", "cut", "none"]
)
def test_a_device_tells_its_file_system(minor: int, kind: str | None) -> None:
    assert kind_of(os.makedev(0, minor), MOUNTS) == kind


def test_a_disk_and_a_file_system_in_memory_are_this_machines_own(tmp_path: Path) -> None:
    assert shared_kind(tmp_path) is None
    assert shared_kind(Path("/dev")) is None
    assert shared_kind(tmp_path / "absent") is None


@pytest.mark.skipif(sys.platform != "linux", reason="mountinfo is Linux's")
@pytest.mark.parametrize(("kind", "shared"), [("nfs4", "nfs4"), ("9p", "9p"), ("tmpfs", None), ("fuse.portal", None)])
def test_what_lies_on_such_a_one_is_shared(kind: str, shared: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    device = os.stat("/proc").st_dev
    text = f"22 1 {os.major(device)}:{os.minor(device)} / /proc rw - {kind} x rw\n"
    monkeypatch.setattr(host, "read_text", lambda path: text)
    assert shared_kind(Path("/proc")) == shared
    assert shared_kind(Path("/")) is None
