"""Voices that share a recording must fit together."""

import pytest

from workers.catalogue import Chosen, VoiceEntry
from workers.sentences import check_rate
from workers.session import JobFailed


def voice(name, rate):
    return Chosen(VoiceEntry(name, (), (), rate), "")


def test_voices_of_one_rate_may_share_a_recording():
    check_rate(voice("a", 16000), voice("b", 16000))


def test_voices_of_two_rates_are_refused_with_both():
    """Joined as they are, one of them would speak at the wrong pitch."""
    with pytest.raises(JobFailed) as caught:
        check_rate(voice("a", 24000), voice("b", 16000))
    assert caught.value.problem.type == "voices_differ"
    assert "b has 16000 Hz and a 24000 Hz" in caught.value.problem.detail
