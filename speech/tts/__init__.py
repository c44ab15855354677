"""Sambert-HifiGan voices: symbol lines to speech, exact in any batch.

The networks follow the specification in docs/sambert-hifigan.md. Start with :class:`Voice`.
"""

from speech.tts.voice import Line, Utterance, Voice

__all__ = ["Line", "Utterance", "Voice"]
