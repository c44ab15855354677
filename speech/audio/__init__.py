"""Audio in and out: look into any container, decode it as a stream, resample, and write what clients ask for."""

from speech.audio.decoding import Decoding, decode
from speech.audio.encoding import FORMATS, MEDIA_TYPES, AudioWriter, encode
from speech.audio.filtering import FilterChain, Leveller
from speech.audio.media import Damage, MediaInfo, probe
from speech.audio.pcm import to_float, to_int16
from speech.audio.resampling import Resampler, resample

__all__ = [
    "FORMATS",
    "MEDIA_TYPES",
    "AudioWriter",
    "Damage",
    "Decoding",
    "FilterChain",
    "Leveller",
    "MediaInfo",
    "Resampler",
    "decode",
    "encode",
    "probe",
    "resample",
    "to_float",
    "to_int16",
]
