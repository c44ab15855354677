"""Mandarin text front end: sentences, words, pinyin, prosody and the symbol lines of Sambert-HifiGan voices."""

from speech.text.frontend import FrontEnd
from speech.text.model import Sentence, Style, Word

__all__ = ["FrontEnd", "Sentence", "Style", "Word"]
