"""The whole process table as one look shows it: where a job lives that its recorded pid does not show.

Field guide section 4, "Signs of life that no pid shows".
"""

from __future__ import annotations

from itertools import pairwise

from stateheal.values import NamedTuple, cached_property, dataclass


class Seen(NamedTuple):
    """One process as a look at the whole table shows it."""

    pid: int
    argv: tuple[str, ...] = ()
    """Empty where it has none or will not say."""
    inner_pid: int | None = None
    """Its pid in its own pid namespace, where that is another than ours (Linux: the last of ``NSpid``)."""
    created: float | None = None
    kernel: bool = False
    zombie: bool = False


@dataclass(frozen=True)
class Look:
    """The whole process table at one moment, this process left out. It may prove life, never death."""

    processes: tuple[Seen, ...] = ()
    trouble: str = ""
    """Why it could not be taken."""

    @cached_property
    def by_pid(self) -> dict[int, Seen]:
        return {each.pid: each for each in self.processes}

    @cached_property
    def by_inner_pid(self) -> dict[int, list[Seen]]:
        """Processes of other pid namespaces, by the pid that they have there."""
        found: dict[int, list[Seen]] = {}
        for each in self.processes:
            if each.inner_pid is not None:
                found.setdefault(each.inner_pid, []).append(each)
        return found

    @cached_property
    def workers(self) -> tuple[tuple[Seen, str], ...]:
        """Every process that says for which job it works, with that job: ``--job-id X``, ``--job-id=X``, or the id
        right behind a worker's subcommand."""
        found: list[tuple[Seen, str]] = []
        for seen in self.processes:
            for word, following in pairwise(() if seen.zombie else (*seen.argv, "")):
                if word.startswith("--job-id="):
                    found.append((seen, word.partition("=")[2]))
                elif word == "--job-id" or (word.endswith("-worker") and following[:1] != "-"):
                    found.append((seen, following))
        return tuple(dict.fromkeys(each for each in found if each[1]))

    @cached_property
    def by_word(self) -> dict[str, list[Seen]]:
        """Processes by every element of their command lines."""
        found: dict[str, list[Seen]] = {}
        for each in self.processes:
            for word in set(each.argv):
                found.setdefault(word, []).append(each)
        return found

    @cached_property
    def text(self) -> str:
        """All command lines in one: most names stand in none."""
        return "\0".join(word for each in self.processes for word in each.argv)
