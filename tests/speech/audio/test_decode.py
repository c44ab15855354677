"""Any container in, honest about what is broken, deaf to what is no media."""

import tracemalloc

import numpy as np
import pytest
import soundfile

from speech.audio import FORMATS, decode, encode, probe
from speech.errors import AudioError
from tests.speech.audio.conftest import RATE, blocks, tone


def whole(path, **options):
    return np.concatenate(list(decode(path, **options)), axis=-1)


@pytest.mark.parametrize("kind", [each for each in FORMATS if each != "pcm"])
@pytest.mark.parametrize("rate", [16000, 44100])
def test_every_format_we_write_is_decoded_at_sixteen_kilohertz(tmp_path, kind, rate):
    encode(tmp_path / "a", blocks(tone(2.0, rate=rate)), rate=rate, format=kind)
    heard = whole(tmp_path / "a")
    assert heard.dtype == np.float32
    assert abs(heard.size / RATE - 2.0) < 0.15
    assert np.abs(np.fft.rfft(heard)).argmax() * RATE / heard.size == pytest.approx(440, abs=2)


def test_equal_channels_mix_to_themselves_without_clipping(tmp_path):
    sound = tone(1.0, level=0.9)
    soundfile.write(tmp_path / "a.wav", np.stack([sound, sound], axis=1), RATE, subtype="FLOAT")
    np.testing.assert_allclose(whole(tmp_path / "a.wav"), sound, atol=1e-6)


@pytest.mark.parametrize("channels", [1, 2, 6, 9])
def test_split_keeps_the_channels_apart(tmp_path, channels):
    sounds = np.stack([tone(1.0, hertz=300 + 100 * each) for each in range(channels)], axis=1)
    soundfile.write(tmp_path / "a.wav", sounds, RATE, subtype="FLOAT")
    np.testing.assert_allclose(whole(tmp_path / "a.wav", channels="split"), sounds.T, atol=1e-6)
    assert whole(tmp_path / "a.wav").shape == (RATE,)


def test_the_sound_of_a_film_is_decoded_in_step_with_the_picture(video):
    path = video("late.mkv", tone(2.0), late=1.5)
    heard = whole(path)
    onset = int(np.argmax(np.abs(heard) > 0.1)) / RATE
    assert probe(path).has_video
    assert onset == pytest.approx(1.5, abs=0.06)
    assert heard.size / RATE == pytest.approx(3.5, abs=0.1)


def test_a_film_without_sound_is_a_clear_error(video):
    with pytest.raises(AudioError, match=r"no audio stream.*video") as caught:
        probe(video("mute.mp4", None))
    assert caught.value.code == "no_audio_stream"


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("notes.txt", "这是一段文字。\n".encode() * 200),
        ("notes.mp3", b"hello, this is no music\n" * 500),
        ("page.html", b"<!DOCTYPE html><html><body>hi</body></html>" * 50),
        ("subtitles.srt", b"1\n00:00:01,000 --> 00:00:02,000\nhi\n"),
        ("picture.png", b"\x89PNG\r\n\x1a\n" + bytes(100)),
    ],
)
def test_what_is_no_media_says_so(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(AudioError, match=name) as caught:
        decode(tmp_path / name)
    assert caught.value.code == "not_media"


@pytest.mark.parametrize("name", ["list.m3u8", "list.txt", "list.mp3", "concat:secret.wav", "list.sdp", "list.mpd"])
def test_a_playlist_never_makes_us_open_another_file(tmp_path, name):
    soundfile.write(tmp_path / "secret.wav", tone(1.0), RATE)
    playlists = {
        "list.m3u8": f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{tmp_path}/secret.wav\n#EXT-X-ENDLIST\n",
        "list.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n",
        "list.mpd": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" profiles="urn:mpeg:dash"/>',
    }
    text = playlists.get(name, f"ffconcat version 1.0\nfile '{tmp_path}/secret.wav'\n")
    (tmp_path / name).write_text(text)
    with pytest.raises(AudioError) as caught:
        probe(tmp_path / name)
    assert caught.value.code == "not_media"


def test_an_empty_file_and_random_bytes_are_clear_errors(tmp_path):
    (tmp_path / "empty.wav").write_bytes(b"")
    (tmp_path / "noise.mp3").write_bytes(np.random.default_rng(0).bytes(100_000))
    with pytest.raises(AudioError, match="0 bytes") as caught:
        decode(tmp_path / "empty.wav")
    assert caught.value.code == "empty_media"
    with pytest.raises(AudioError) as caught:
        list(decode(tmp_path / "noise.mp3"))
    assert caught.value.code in {"undecodable", "not_media"}


def test_a_recording_of_no_samples_is_no_error(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(0), RATE)
    assert list(decode(tmp_path / "a.wav")) == []


@pytest.mark.parametrize("kind", ["wav", "flac", "mp3", "m4a"])
def test_a_truncated_file_gives_what_it_holds_and_says_where_it_breaks(tmp_path, kind):
    encode(tmp_path / "a", blocks(tone(6.0)), rate=RATE, format=kind)
    data = (tmp_path / "a").read_bytes()
    (tmp_path / "half").write_bytes(data[: len(data) // 2])
    decoding = decode(tmp_path / "half")
    heard = np.concatenate(list(decoding))
    assert 2.0 < heard.size / RATE < 4.0
    assert decoding.broken_at == pytest.approx(heard.size / RATE, abs=0.3)
    assert decoding.seconds == heard.size / RATE


@pytest.mark.parametrize("kind", ["mp3", "m4a", "aac"])
def test_a_hole_in_the_middle_leaves_the_rest_and_is_noted(tmp_path, kind):
    encode(tmp_path / "a", blocks(tone(6.0)), rate=RATE, format=kind)
    data = bytearray((tmp_path / "a").read_bytes())
    data[len(data) // 2 : len(data) // 2 + 600] = bytes(600)
    (tmp_path / "a").write_bytes(data)
    decoding = decode(tmp_path / "a")
    heard = np.concatenate(list(decoding))
    assert heard.size / RATE > 5.0
    assert decoding.broken_at == pytest.approx(3.0, abs=0.4)
    assert [each.at for each in decoding.warnings] == [decoding.broken_at]


def test_an_undamaged_file_has_no_warnings(tmp_path):
    encode(tmp_path / "a", blocks(tone(2.0)), rate=RATE, format="flac")
    decoding = decode(tmp_path / "a")
    list(decoding)
    assert (decoding.broken_at, decoding.warnings) == (None, [])


def test_a_recording_over_the_limit_is_refused_while_it_is_decoded(tmp_path):
    encode(tmp_path / "a.flac", blocks(tone(8.0)), rate=RATE, format="flac")
    taken = []
    with pytest.raises(AudioError, match="limit of 3 s") as caught:
        taken.extend(decode(tmp_path / "a.flac", max_seconds=3))
    assert caught.value.code == "too_long"
    assert sum(block.size for block in taken) <= 4 * RATE
    assert len(list(decode(tmp_path / "a.flac", max_seconds=8))) > 0


def test_a_long_file_is_never_held_in_memory(tmp_path):
    second = tone(1.0)
    encode(tmp_path / "a.flac", (second for _ in range(600)), rate=RATE, format="flac")
    tracemalloc.start()
    samples = sum(block.size for block in decode(tmp_path / "a.flac"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert samples == 600 * RATE
    assert peak < 4_000_000  # ten minutes as floats are 38 MB


def test_closing_early_releases_the_file(tmp_path):
    encode(tmp_path / "a.wav", blocks(tone(5.0)), rate=RATE, format="wav")
    with decode(tmp_path / "a.wav") as decoding:
        next(decoding)
    assert list(decoding) == []
