"""What this machine says of itself: its name, boot, pid namespace, and whose storage a directory lies on."""

from __future__ import annotations

import os
import re
import sys
import time
from pathlib import Path

from stateheal.model.liveness import HostFacts
from stateheal.patterns import pattern
from stateheal.values import NamedTuple

_INITIAL_PID_NAMESPACE = "pid:[4026531836]"  # PROC_PID_INIT_INO, the same on every Linux
_PROC = Path("/proc")
_KTHREAD = 0x00200000
"""PF_KTHREAD. The parent is no sign of its own: in a container process 2 may be anybody's."""
_ROOM = 1 << 16
_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
"""Clock ticks in a second."""
_SHARED = pattern(
    "nfs4?|cifs|smb3|smbfs|afs|ceph|lustre|gpfs|beegfs|glusterfs|gfs2|ocfs2|orangefs|pvfs2|panfs|9p|virtiofs|vboxsf|prl_fs|"
    r"fuse\.(?:sshfs|ceph|glusterfs|vmhgfs-fuse|rclone|s3fs|gcsfuse|juicefs|davfs|beegfs|moosefs|mfs|lizardfs|smbnetfs)"
)
"""File systems that several machines share, or a virtual machine with its host."""
_OVERLAYS = ("overlay", "aufs", "fuse.fuse-overlayfs")


def read_text(path: Path) -> str | None:
    """A small pseudo file's text, or ``None`` where the system has none or will not say."""
    if sys.platform == "win32":  # a C:\\proc that somebody made is no word of the system's
        return None
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return None


def read_bytes(path: str) -> bytes:
    """The bytes of one of a process's files; nothing where it is gone or will not be read.

    The kernel gives such a file whole, or as much of it as was asked for: behind a shorter answer there is no more.
    """
    try:
        fd = os.open(path, os.O_RDONLY)
    except OSError:
        return b""
    data = b""
    try:
        while True:
            chunk = os.read(fd, _ROOM)
            data += chunk
            if len(chunk) < _ROOM:
                return data
    except OSError:  # it ended meanwhile
        return data
    finally:
        os.close(fd)


def hostname() -> str:
    """This machine's name."""
    if hasattr(os, "uname"):
        return os.uname().nodename
    import socket

    return socket.gethostname()


def pid_namespace() -> str | None:
    """This process's pid namespace (Linux)."""
    try:
        return os.readlink(_PROC / "self" / "ns" / "pid")
    except OSError:
        return None


def boot_id() -> str | None:
    """The kernel's random id of this boot (Linux)."""
    text = read_text(_PROC / "sys" / "kernel" / "random" / "boot_id")
    return text.strip() if text else None


class Stat(NamedTuple):
    """What ``/proc/<pid>/stat`` says of a process (proc_pid_stat(5))."""

    zombie: bool = False
    kernel: bool = False
    ticks: int | None = None
    """When it began, in clock ticks since boot."""


def stat_of(pid: int) -> Stat:
    """What can be read of it; the name in it may itself hold anything."""
    fields = read_bytes(f"/proc/{pid}/stat").rpartition(b")")[2].split(None, 20)
    if len(fields) < 20 or not fields[19].isdigit() or not fields[6].isdigit():
        return Stat()
    return Stat(fields[0] in (b"Z", b"X"), bool(int(fields[6]) & _KTHREAD), int(fields[19]))


def status_of(pid: int) -> bytes:
    """What ``/proc/<pid>/status`` says of a process; nothing where it is gone or will not be read."""
    return b"" if sys.platform == "win32" else read_bytes(f"/proc/{pid}/status")


def number_in(status: bytes, field: bytes) -> int | None:
    """The last number of a field; ``None`` where there is none."""
    words = status.partition(b"\n%s:" % field)[2].partition(b"\n")[0].split()
    return int(words[-1]) if words and words[-1].isdigit() else None


def has_live_threads(pid: int) -> bool:
    """Whether more of a process lives than its first thread: where that has ended, the process is called a zombie."""
    return (number_in(status_of(pid), b"Threads") or 0) > 1


def created_at(ticks: int | None, boot: float | None) -> float | None:
    """When what began so many clock ticks after boot began, seconds since the epoch (Linux)."""
    return None if ticks is None or boot is None else boot + ticks / _TICKS


def start_ticks(pid: int) -> int | None:
    """When a process began, in clock ticks since boot (Linux)."""
    return stat_of(pid).ticks


def boot_time() -> float | None:
    """When this machine was booted, by the clock that processes' starts are counted on (Linux).

    The ``btime`` of /proc/stat may be a container's own start (lxcfs shows that), with which every process seems to
    begin in the future.
    """
    if sys.platform == "linux":
        return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    return None


def pid_max() -> int | None:
    """The highest pid the kernel gives out, plus one (Linux)."""
    text = read_text(_PROC / "sys" / "kernel" / "pid_max")
    return int(text) if text and text.strip().isdigit() else None


def _mount_of(path: Path) -> str | None:
    try:
        fd = os.open(path, os.O_RDONLY | getattr(os, "O_PATH", 0))
    except OSError:
        return None
    try:
        match = re.search(r"^mnt_id:\s*(\d+)", read_text(_PROC / "self" / "fdinfo" / str(fd)) or "", re.MULTILINE)
        return match[1] if match else None
    finally:
        os.close(fd)


def init_created(boot: float | None) -> float | None:
    """When process 1 of our pid namespace began; ``None`` where /proc is another namespace's (Linux)."""
    created = created_at(stat_of(1).ticks, boot)
    try:
        ours = os.readlink(_PROC / "self") == str(os.getpid())
    except OSError:
        return None
    return created if ours else None


def has_own_root() -> bool:
    """Whether the root is a container's own: an overlay, and not one in which somebody has mounted /proc once more,
    as ``unshare --mount-proc`` does (Linux)."""
    mounts = [line.split() for line in (read_text(_PROC / "self" / "mountinfo") or "").splitlines()]
    kinds = {at: [m[m.index("-") + 1] for m in mounts if m[4] == at and "-" in m] for at in ("/", "/proc")}
    return bool(kinds["/"]) and kinds["/"][-1] in _OVERLAYS and len(kinds["/proc"]) == 1


def on_shared_storage(directory: Path) -> bool:
    """Whether the directory lies on another mount than the root file system (field guide section 4, "foreign").

    Where the system does not tell, the answer is no: the question matters inside a Linux container only.
    """
    here, root = _mount_of(directory), _mount_of(Path("/"))
    return here is not None and root is not None and here != root


def shared_kind(directory: Path) -> str | None:
    """The kind of file system that a directory lies on, where that is one which other machines write to as well: their
    pids are not this one's (field guide section 4). What the root itself lies on counts as this machine's own.
    """
    if sys.platform != "linux":
        return None
    try:
        device, root = os.stat(directory).st_dev, os.stat("/").st_dev
    except OSError:
        return None
    if device == root or os.major(device):  # what has a number of its own is a disk
        return None
    kind = kind_of(device, read_text(_PROC / "self" / "mountinfo") or "")
    return kind if kind is not None and _SHARED.fullmatch(kind) else None


def kind_of(device: int, mounts: str) -> str | None:
    """The kind of a file system by its device, from the text of a mountinfo (proc_pid_mountinfo(5))."""
    number = f"{os.major(device)}:{os.minor(device)}"
    lines = (line.split() for line in mounts.splitlines())
    return next((m[m.index("-") + 1] for m in lines if len(m) > 2 and m[2] == number and "-" in m[:-1]), None)


def read_host(boot_time: float | None, now: float | None = None) -> HostFacts:
    """The facts about this machine; ``boot_time`` comes from the process table."""
    namespace = pid_namespace()
    initial = namespace in (None, _INITIAL_PID_NAMESPACE)
    return HostFacts(
        now=time.time() if now is None else now,
        hostname=hostname(),
        windows=sys.platform == "win32",
        boot_time=boot_time,
        boot_id=boot_id(),
        pid_namespace=namespace,
        initial_namespace=initial,
        pid_max=pid_max(),
        init_created=None if initial else init_created(boot_time),
        own_root=not initial and has_own_root(),
    )
