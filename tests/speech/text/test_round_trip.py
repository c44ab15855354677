"""What the bundled voice says of the front end's lines, the bundled recogniser writes down again."""

from __future__ import annotations

from pathlib import Path

import pytest

from speech.text import FrontEnd

MODELS = Path(__file__).parents[3] / "models" / "demo"
SENTENCES = 30
MOST_WRONG = 0.02  # measured: 0.5 to 0.7 % of characters over all 200 sentences


def edits(said: str, heard: str) -> int:
    """Levenshtein distance."""
    row = list(range(len(heard) + 1))
    for i, one in enumerate(said, 1):
        corner, row[0] = row[0], i
        for j, other in enumerate(heard, 1):
            corner, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, corner + (one != other))
    return row[-1]


@pytest.mark.slow
def test_domain_sentences_are_understood(front_end: FrontEnd):
    from faster_whisper import WhisperModel

    from speech.tts import Voice

    lines = (MODELS / "domain-sentences.txt").read_text(encoding="utf-8").split()[:SENTENCES]
    voice = Voice.load(MODELS / "tts" / "voices" / "demo", device="cpu")
    recogniser = WhisperModel(str(MODELS / "stt"), device="cpu", compute_type="int8", cpu_threads=2)
    spoken = voice.render([front_end.plain(line)[0].symbols for line in lines])
    wrong = total = 0
    for line, utterance in zip(lines, spoken, strict=True):
        segments, _ = recogniser.transcribe(utterance.audio, language="zh", condition_on_previous_text=False)
        heard = "".join(char for segment in segments for char in segment.text if char.isalnum())
        said = "".join(char for char in line if char.isalnum())
        wrong += edits(said, heard)
        total += len(said)
    assert wrong / total <= MOST_WRONG
