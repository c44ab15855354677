"""What can go wrong with a stack, in words that say what to do."""


class StackError(Exception):
    """A stack cannot start, did not become ready, or lost its supervisor. The message says why and what to do."""
