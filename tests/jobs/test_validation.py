"""What a refused field is told: in words, with the limit and the cure."""

import pytest
from pydantic import ValidationError

from jobs.specs import AudiobookSpec, BatchLine, STTSpec, TTSSpec
from jobs.validation import explain


def told(model, value):
    with pytest.raises(ValidationError) as refused:
        model.model_validate(value)
    [error] = explain(refused.value, model)
    return f"{error.field}: {error.detail}"


@pytest.mark.parametrize(
    ("model", "value", "words"),
    [
        (TTSSpec, {"text": "x", "vocie": "d"}, "vocie: is not a field of this request; did you mean voice?"),
        (BatchLine, {"custom_id": "a", "text": "x", "vocie": "d"}, "tts.vocie: * did you mean voice?"),
        (AudiobookSpec, {"chapters": [{"titel": "a", "text": "b"}]}, "chapters[0].titel: * did you mean title?"),
        (TTSSpec, {"text": "x", "webhook": {"url": "http://a", "qq": 1}}, "webhook.qq: * known are url"),
        (STTSpec, {"prompt": "x" * 3000}, "prompt: has 3000 characters; at most 2000 are allowed"),
        (STTSpec, {"formats": ["txt"] * 9}, "formats: has 9 entries; at most 6 are allowed"),
        (STTSpec, {"formats": []}, "formats: must not be empty"),
        (STTSpec, {"language": "Chinese"}, "language: must be an ISO 639 code such as zh or en"),
        (STTSpec, {"url": "a.wav"}, "url: must be an address such as * without a base"),
        (STTSpec, {"url": "ftp://a/b.wav"}, "url: must begin with http:// or https://"),
    ],
)
def test_what_is_wrong_is_told_in_words(model, value, words):
    first, _, last = words.partition("*")
    found = told(model, value)
    assert found.startswith(first)
    assert found.endswith(last)
    assert last or found == words
