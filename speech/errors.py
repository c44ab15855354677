"""What can go wrong in the speech library, each with a short code that the layers above pass on unchanged."""

from __future__ import annotations


class SpeechError(Exception):
    """Base of every error raised on purpose by :mod:`speech`.

    ``code`` is snake_case and stable (programs compare it), ``detail`` is one English sentence for people: what is
    wrong, where, the limit, and what to do. ``str(error)`` is the detail.
    """

    default_code = "speech_error"

    def __init__(self, detail: str, *, code: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code or self.default_code

    def __reduce__(self) -> tuple[object, ...]:
        """Keep the code when the error crosses a process boundary."""
        return (_rebuild, (type(self), self.detail, self.code))


def _rebuild(kind: type[SpeechError], detail: str, code: str) -> SpeechError:
    return kind(detail, code=code)


class ModelError(SpeechError):
    """A model is missing, damaged or made for something else; the detail names the file and, if any, the key."""

    default_code = "bad_model"


class DeviceError(SpeechError):
    """The wanted device, precision or library is not there; the detail says what to install or set."""

    default_code = "device_unavailable"


class TextError(SpeechError):
    """A text cannot be spoken or its markup is wrong; the detail names the position."""

    default_code = "bad_text"


class AudioError(SpeechError):
    """A media file cannot be read; codes are ``no_audio_stream``, ``not_media``, ``empty_media`` and the like."""

    default_code = "bad_audio"
