"""One front end for all tests of this room: it is immutable, and its dictionaries take a second to load."""

from __future__ import annotations

import pytest

from speech.text import FrontEnd


@pytest.fixture(scope="session")
def front_end() -> FrontEnd:
    return FrontEnd()
