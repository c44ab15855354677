"""Speech recognition with Whisper: chunks of different recordings in one batch, and honest transcripts.

recognizer = Recognizer.load("models/demo/stt")
[transcript] = recognizer.transcribe(["talk.mp3"], language="zh")
"""

from speech.stt.chunks import Chunk, ChunkResult, Word
from speech.stt.options import DecodeOptions, OptionError
from speech.stt.outputs import outputs
from speech.stt.pool import ModelPool
from speech.stt.prepare import Notice, Preparation
from speech.stt.recognizer import Recognizer
from speech.stt.transcript import Segment, Transcript

__all__ = [
    "Chunk",
    "ChunkResult",
    "DecodeOptions",
    "ModelPool",
    "Notice",
    "OptionError",
    "Preparation",
    "Recognizer",
    "Segment",
    "Transcript",
    "Word",
    "outputs",
]
