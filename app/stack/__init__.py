"""One stack on one machine: web, workers, Flower and an embedded Valkey, under a supervisor.

`Stack` is what `make run`, `make demo`, the benchmarks and the end-to-end tests start. It needs no Redis, no Docker
and no root: the server comes in a wheel, the supervisor is PyPI's, the list of processes is the `Procfile`.
"""

from app.stack.errors import StackError
from app.stack.stack import Stack

__all__ = ["Stack", "StackError"]
