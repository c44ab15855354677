"""Subtitles of synthesised speech: exact times from the model's durations."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech.text import Sentence, Word
from speech.timing import Timeline, cues_of

HOP, RATE = 200, 16000


@dataclass(frozen=True)
class Spoken:
    audio: np.ndarray
    durations: np.ndarray
    hop_length: int = HOP
    sample_rate: int = RATE


def spoken(*durations):
    return Spoken(np.zeros(sum(durations) * HOP, np.float32), np.array(durations, np.int32))


def sentence(text, *words):
    return Sentence(text=text, symbols="{…}", words=tuple(Word(*word) for word in words))


def test_words_begin_and_end_where_their_symbols_do():
    cues = cues_of([sentence("今天好。", ("今天", 1, 3), ("好", 4, 5))], [spoken(8, 16, 8, 4, 24, 20)])
    (cue,) = cues
    assert [(w.text, w.start, w.end) for w in cue.words] == [("今天", 0.1, 0.4), ("好", 0.45, 0.75)]
    assert (cue.start, cue.end, cue.text) == (0.1, 0.75, "今天好。")


def test_the_next_sentence_starts_after_the_audio_and_the_gap():
    two = [sentence("一。", ("一", 0, 1)), sentence("二。", ("二", 0, 1))]
    cues = cues_of(two, [spoken(80), spoken(40)], [0.3, 9.0])
    assert [(c.start, c.end) for c in cues] == [(0.0, 1.0), (1.3, 1.8)]


def test_a_skipped_sentence_has_no_cue_and_takes_no_time_but_its_pause():
    three = [sentence("☃"), sentence("一。", ("一", 0, 1)), sentence("☂"), sentence("二。", ("二", 0, 1))][:4]
    cues = cues_of(three, [None, spoken(80), None, spoken(80)], [0.5, 0.0, 0.25, 0.0])
    assert [(c.text, c.start, c.end) for c in cues] == [("一。", 0.5, 1.5), ("二。", 1.75, 2.75)]


def test_a_sentence_without_words_is_shown_as_long_as_it_sounds():
    assert cues_of([sentence("嗯")], [spoken(80)])[0].end == 1.0


def test_different_sample_rates_in_one_file_are_refused():
    with pytest.raises(ValueError, match="16000 and 8000"):
        cues_of([sentence("一"), sentence("二")], [spoken(8), Spoken(np.zeros(8), np.array([1]), HOP, 8000)])


@given(st.lists(st.tuples(st.lists(st.integers(0, 50), min_size=1, max_size=8), st.floats(0, 2)), max_size=12))
def test_times_are_the_samples_that_were_written(parts):
    """The cues of a whole book fit the joined audio to the sample: gaps are rounded once, nothing drifts."""
    sentences = [sentence("字" * len(d), *(("字", i, i + 1) for i in range(len(d)))) for d, _ in parts]
    utterances = [spoken(*d) for d, _ in parts]
    gaps = [gap for _, gap in parts]
    cues = cues_of(sentences, utterances, gaps)
    position = 0
    for cue, utterance, gap in zip(cues, utterances, gaps, strict=True):
        assert round(cue.start * RATE) == position
        assert round(cue.end * RATE) == position + utterance.audio.size
        assert [round(w.start * RATE) for w in cue.words] == [
            position + int(each) for each in np.cumsum(utterance.durations * HOP) - utterance.durations * HOP
        ]
        position += utterance.audio.size + round(gap * RATE)


def test_a_timeline_can_go_on_in_the_middle_of_a_file():
    timeline = Timeline(RATE, samples=RATE * 60)
    cue = timeline.add(sentence("一", ("一", 0, 1)), 800, np.array([4]), HOP)
    assert (cue.start, cue.end, timeline.seconds) == (60.0, 60.05, 60.05)
