"""One run of the engine over a batch: which units have their results, which are left, and what went wrong."""

from collections.abc import Iterator, Sequence
from typing import Any, Generic, TypeVar

from workers.clock import Clock
from workers.engine import Engine
from workers.waiting import Unit

P = TypeVar("P")
R = TypeVar("R")


class Attempt(Generic[P, R]):
    """Iterate over it to run the engine: it yields each unit with its result as soon as the engine has that.

    ``left`` are the units without a result; after the iteration there are some only if the engine failed (``error``)
    or the iteration was given up. ``streams``: whether the engine hands out rows one by one, so that others can be let
    pass between them; ``aside`` is what that took, in seconds.
    """

    def __init__(self, engine: Engine[P, R], units: Sequence[Unit[P, R]], clock: Clock) -> None:
        self._engine = engine
        self._clock = clock
        self._left = dict(enumerate(units))
        self.units = units
        self.began = clock.now()
        self.aside = 0.0
        self.failed = 0
        self.error: BaseException | None = None
        self.streams = False

    @property
    def left(self) -> list[Unit[P, R]]:
        """The units that have no result yet."""
        return list(self._left.values())

    @property
    def done(self) -> list[Unit[P, R]]:
        """The units that have theirs."""
        return [unit for place, unit in enumerate(self.units) if place not in self._left]

    @property
    def seconds(self) -> float:
        """How long the engine has worked on it."""
        return self._clock.now() - self.began - self.aside

    def __iter__(self) -> "Iterator[tuple[Unit[P, R], R | Exception]]":
        found = self._found([unit.payload for unit in self.units])
        while True:
            try:
                place, result = next(found)
                unit = self._left.pop(place)
            except StopIteration:
                if self._left:
                    self.error = self._miscounted(len(self.units) - len(self._left))
                return
            except BaseException as error:  # noqa: BLE001 - whoever iterates decides which ones go further
                self.error = error
                return
            self.failed += isinstance(result, Exception)
            yield unit, result

    def _found(self, payloads: Sequence[P]) -> Iterator[tuple[int, Any]]:
        results = self._engine.run(payloads)
        if isinstance(results, Iterator):
            self.streams = True
            yield from results
        elif len(results) == len(payloads):
            yield from enumerate(results)
        else:
            raise self._miscounted(len(results))

    def _miscounted(self, count: int) -> RuntimeError:
        return RuntimeError(f"the engine gave {count} results for {len(self.units)} units")


def padded_cost(units: Sequence[Unit[Any, Any]]) -> int:
    """Return what a batch of these costs: its longest row times its rows."""
    return max(unit.cost for unit in units) * len(units)
