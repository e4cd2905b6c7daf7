"""Whose tree a workspace's state is, and what says so."""

from __future__ import annotations

from stateheal.model.dialect import CODEX, Dialect
from stateheal.values import NamedTuple


class Recognition(NamedTuple):
    """Whose tree it is, and what says so."""

    dialect: Dialect
    why: str


TAKEN_FOR_GRANTED = Recognition(CODEX, "taken for granted")
