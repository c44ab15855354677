"""Which kind of parent plans and assembles how."""

from __future__ import annotations

from typing import Protocol

from jobs.files import Store
from jobs.record import Output
from jobs.settings import Settings
from jobs.states import Kind
from workers.audiobooks import Audiobooks
from workers.batches import Batches
from workers.parents import Family
from workers.runner import Handler
from workers.session import Session
from workers.transcripts import Transcripts


class Parent(Protocol):
    """A kind of job whose work is done by children."""

    def plan(self, session: Session) -> Output | None:
        """Submit the children; an output if there is nothing to wait for."""
        ...

    def assemble(self, session: Session) -> Output:
        """Make the result of the children's results."""
        ...


def parent_handlers(family: Family, store: Store, settings: Settings) -> dict[str, Handler]:
    """Return the handlers of the tasks `plan` and `assemble`."""
    parents: dict[Kind, Parent] = {
        Kind.AUDIOBOOK: Audiobooks(family, store, settings),
        Kind.TRANSCRIPTS: Transcripts(family, store, settings),
        Kind.BATCH: Batches(family, store, settings),
    }
    return {
        "plan": lambda session: parents[session.job.kind].plan(session),
        "assemble": lambda session: parents[session.job.kind].assemble(session),
    }
