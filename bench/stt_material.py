"""What the recognisers hear in `bench.stt`: clips and long recordings by the demo voice, and what is said in them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

DEMO = Path(__file__).parents[1] / "models" / "demo"
RATE = 16_000


@dataclass(frozen=True)
class Clip:
    path: Path
    text: str
    seconds: float


def speak(folder: Path, count: int, seed: int) -> list[Clip]:
    """Clips of 2 to 10 s: one to three sentences of the demo voice's domain each."""
    from speech.tts import Voice

    rng = np.random.default_rng(seed)
    sentences = (DEMO / "domain-sentences.txt").read_text("utf-8").split()
    rng.shuffle(sentences)
    wanted = sentences[: min(len(sentences), count * 2)]
    voice = Voice.load(DEMO / "tts" / "voices" / "demo")
    spoken = [(text, audio) for text, audio in zip(wanted, voice.synthesize(wanted), strict=True)]
    clips: list[Clip] = []
    while len(clips) < count:
        parts: list[tuple[str, np.ndarray]] = []
        for _ in range(rng.integers(1, 4)):
            part = spoken[rng.integers(0, len(spoken))]
            if sum(len(audio) for _, audio in [*parts, part]) < 9.3 * RATE:
                parts.append(part)
        audio = np.concatenate([np.pad(audio, (1600, 3200)) for _, audio in parts])
        if len(audio) >= 2 * RATE:
            clips.append(_write(folder / f"clip{len(clips):03d}.wav", audio, "".join(text for text, _ in parts)))
    return clips


def joined(folder: Path, clips: list[Clip], seconds: float, seed: int) -> Clip:
    """One long recording: the clips one after the other, with pauses of up to 1.5 s."""
    rng = np.random.default_rng(seed)
    parts, text, length = [], "", 0
    while length < seconds * RATE:
        clip = clips[rng.integers(0, len(clips))]
        audio = np.pad(soundfile.read(clip.path, dtype="float32")[0], (0, int(rng.uniform(0.2, 1.5) * RATE)))
        parts.append(audio)
        text += clip.text
        length += len(audio)
    return _write(folder / f"long{int(seconds)}.wav", np.concatenate(parts), text)


def repeated(path: Path, clip: Clip, seconds: float) -> Clip:
    """A recording of hours: one clip again and again, never held in memory."""
    audio, rate = soundfile.read(clip.path, dtype="int16")
    times = max(1, int(seconds / clip.seconds))
    with soundfile.SoundFile(path, "w", rate, 1, format="FLAC") as file:
        for _ in range(times):
            file.write(audio)
    return Clip(path, clip.text * times, times * clip.seconds)


def _write(path: Path, audio: np.ndarray, text: str) -> Clip:
    soundfile.write(path, audio, RATE)
    return Clip(path, text, len(audio) / RATE)
