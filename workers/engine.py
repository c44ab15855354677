"""What the batch scheduler asks of an engine."""

from collections.abc import Hashable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

P_contra = TypeVar("P_contra", contravariant=True)
R_co = TypeVar("R_co", covariant=True)


class Engine(Protocol[P_contra, R_co]):
    """What runs the batches. ``run`` is called on the engine thread only, the other two on any thread.

    Three optional methods, called on the engine thread: ``load()`` before the first batch and after an unload,
    ``unload()`` when idle for long and at the end, ``trim()`` after running out of memory (empty a cache there).
    """

    def cost(self, payload: P_contra) -> int:
        """Price one row: its unpadded length, at least 1; a batch costs its longest row times its rows."""

    def bucket(self, payload: P_contra) -> Hashable:
        """Say what rows must have in common to share a batch; there should be few different ones."""

    def run(
        self, payloads: Sequence[P_contra]
    ) -> "Sequence[R_co | Exception] | Iterator[tuple[int, R_co | Exception]]":
        """Return one result for each payload, in order. An exception raised splits the batch.

        Where rows are done one after the other, an iterator of the places of payloads and their results instead. Each
        result is handed on at once, and between two of them units that are more urgent than what is left get a run of
        their own, which the engine must bear. The most urgent payloads come first.
        """


class EngineLife:
    """Calls the optional methods of an engine where it has them and where they apply."""

    def __init__(self, engine: Engine[Any, Any]) -> None:
        self._engine = engine
        self.loaded = False

    def load(self) -> None:
        """Load the model."""
        self._call("load")
        self.loaded = True

    def unload(self) -> None:
        """Unload the model if it is loaded."""
        if self.loaded:
            self._call("unload")
        self.loaded = False

    def trim(self) -> None:
        """Give back memory that is not in use."""
        self._call("trim")

    def _call(self, name: str) -> None:
        method = getattr(self._engine, name, None)
        if method is not None:
            method()
