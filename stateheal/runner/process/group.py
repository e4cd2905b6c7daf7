"""Leading a process group of one's own, without being lost to the group one was started in.

The plugin's ``cancel`` signals the group of a recorded pid and silently does nothing where there is no such group
(measured), so the runner leads one. A shell makes it a leader only at the start of an interactive pipeline. Otherwise
it leaves the group it was started in, and whoever means to end that group (Ctrl-C, ``timeout``, a session that ends)
would miss it: a sentinel stays behind in the old group and passes on what it gets.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

from stateheal.runner.process.system import await_end, die_with_parent
from stateheal.runner.process.terminal import foreground, give_foreground, is_terminal

_STOPPED = 0.05
"""Seconds between two looks at whether the terminal is still there."""
_STOPPING = 0.5
"""Seconds in which a stop must show."""
_PASSED_ON = ("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGWINCH")


class Leadership:
    """The runner's own process group, from ``__init__`` to ``resign``."""

    def __init__(self) -> None:
        self.old = os.getpgrp()
        """The group it was started in."""
        self.sentinel: int | None = None
        self._took_foreground = False
        self._at_terminal = foreground(0) is not None
        if self.old == os.getpid():
            return
        parent = os.getpid()
        self.sentinel = os.fork()
        if self.sentinel == 0:
            _stay_behind(parent)
        os.setpgid(0, 0)
        # Whoever reads the keyboard must be in the foreground; the rest of a pipeline may need it more than we do.
        if is_terminal(0) and foreground(0) == self.old:
            give_foreground(0, os.getpgrp())
            self._took_foreground = True

    def stop(self, sentinel_stopped: bool, asked_to_end: Callable[[], object]) -> None:
        """Stop as the terminal would have stopped it, with the group it was started in. Returns when continued.

        Under a script, which stops in its stead, it only waits: were both stopped, neither group would count as
        orphaned when the terminal goes, and nobody would ever continue them. ``asked_to_end`` ends that wait.

        Where nobody is there to continue a stopped group, the kernel does not stop it, and this returns at once.
        """
        if self._took_foreground:
            give_foreground(0, self.old)
        if self.sentinel is None:
            before = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
            os.killpg(0, signal.SIGTSTP)
            signal.signal(signal.SIGTSTP, before)
        elif sentinel_stopped or self._stop_old_group():
            if self._is_under_a_script():
                self._wait_for_continuation(asked_to_end)
            else:
                os.kill(os.getpid(), signal.SIGSTOP)
        if self._took_foreground and foreground(0) == self.old:
            give_foreground(0, os.getpgrp())

    def _is_under_a_script(self) -> bool:
        try:
            return os.getpgid(os.getppid()) == self.old
        except OSError:
            return False

    def _wait_for_continuation(self, asked_to_end: Callable[[], object]) -> None:
        """Until the sentinel passes on that it was continued. A terminal or a parent that goes hangs up on us."""
        continued: list[int] = []
        before = signal.signal(signal.SIGCONT, lambda signum, frame: continued.append(signum))
        parent = os.getppid()
        while not continued and not asked_to_end():
            if os.getppid() != parent or (self._at_terminal and foreground(0) is None):
                os.kill(os.getpid(), signal.SIGHUP)
                break
            time.sleep(_STOPPED)
        signal.signal(signal.SIGCONT, before)

    def _stop_old_group(self) -> bool:
        """Whether the group it was started in can be stopped, as its sentinel shows."""
        assert self.sentinel is not None
        os.killpg(self.old, signal.SIGTSTP)
        deadline = time.monotonic() + _STOPPING
        while time.monotonic() < deadline:
            pid, status = os.waitpid(self.sentinel, os.WNOHANG | os.WUNTRACED)
            if pid:
                return os.WIFSTOPPED(status)
            time.sleep(0.005)
        return False

    def resign(self) -> None:
        """Give back what was taken."""
        if self._took_foreground and foreground(0) == os.getpgrp():
            give_foreground(0, self.old)
        if self.sentinel is not None:
            with suppress(OSError):
                os.kill(self.sentinel, signal.SIGKILL)
                os.waitpid(self.sentinel, 0)


def _stay_behind(parent: int) -> None:
    """The sentinel's whole life: pass signals on until the runner ends."""
    try:
        die_with_parent(parent)
        null = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(null, fd)

        def pass_on(signum: int, frame: FrameType | None) -> None:
            with suppress(ProcessLookupError):
                os.kill(parent, signum)

        for name in _PASSED_ON:
            signum = getattr(signal, name)
            if signal.getsignal(signum) is not signal.SIG_IGN:
                signal.signal(signum, pass_on)

        def go_on(signum: int, frame: FrameType | None) -> None:
            for _ in range(5):  # the runner may be only about to stop
                pass_on(signal.SIGCONT, frame)
                time.sleep(0.1)

        signal.signal(signal.SIGTSTP, signal.SIG_DFL)  # the runner sees it stop
        signal.signal(signal.SIGCONT, go_on)
        await_end(parent)
    finally:
        os._exit(0)
