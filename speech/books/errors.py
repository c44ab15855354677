"""What is wrong with a book."""

from __future__ import annotations

from speech.errors import SpeechError


class BookError(SpeechError):
    """A book cannot be read or made.

    Codes: ``not_a_book`` (no format we read), ``encrypted_book``, ``book_too_big`` (a limit, zip bombs included),
    ``empty_book``, ``bad_selection``, ``bad_cover``.
    """

    default_code = "bad_book"
