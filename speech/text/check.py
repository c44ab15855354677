"""Check a symbol line against the list of specification section 5.5, and read it back as pinyin."""

from __future__ import annotations

from functools import cache
from itertools import groupby

from speech.errors import TextError
from speech.text.symbols import BREAKS, tables

Symbol = tuple[str, str, str, str, str, str]


def parse_line(line: str) -> list[Symbol]:
    """Return the six fields of every symbol; raises TextError that names the symbol that has not six."""
    symbols: list[Symbol] = []
    for place, text in enumerate(line.split(" "), 1):
        fields = text[1:-1].split("$")
        if not (text.startswith("{") and text.endswith("}") and len(fields) == 6):
            raise _wrong(place, text, "a symbol is {phone$tone$syllable_flag$word_segment$emotion$speaker}")
        phone, tone, flag, segment, emotion, speaker = fields
        symbols.append((phone, tone, flag, segment, emotion, speaker))
    return symbols


def check_line(line: str) -> None:
    """Raise TextError, naming the symbol, unless the line is one that the Mandarin voices can speak."""
    symbols = parse_line(line)
    for place, symbol in enumerate(symbols, 1):
        _check_fields(place, symbol)
    if symbols[-1][0] != "#4":
        raise _wrong(len(symbols), symbols[-1][0], "a line ends with #4")
    place = 0
    for is_break, run in groupby(symbols, key=lambda symbol: symbol[0] in BREAKS):
        members = list(run)
        if is_break and (len(members) > 1 or place == 0):
            raise _wrong(place + 1, members[0][0], "a break follows a word")
        if not is_break:
            _check_run(place, members)
        place += len(members)


def _check_fields(place: int, symbol: Symbol) -> None:
    phone, tone, flag, segment, emotion, speaker = symbol
    known = tables()
    if phone not in known.phones and phone not in BREAKS:
        raise _wrong(place, phone, "no such phone")
    if (tone not in known.tones) or (flag not in known.syllable_flags) or (segment not in known.word_segments):
        raise _wrong(place, f"{tone}, {flag}, {segment}", "no such tone or flag")
    if emotion.removeprefix("emotion_") not in known.emotions or not emotion.startswith("emotion_") or not speaker:
        raise _wrong(place, f"{emotion}, {speaker}", "no such emotion, or no speaker")
    if (phone in BREAKS) != ((tone, flag, segment) == ("tone_none", "s_none", "word_none")):
        raise _wrong(place, phone, "breaks and only breaks have tone_none, s_none and word_none")


def _check_run(before: int, symbols: list[Symbol]) -> None:
    """Check the flags of the words between two breaks."""
    for column, prefix in ((2, "s"), (3, "word")):
        inside = False
        for place, symbol in enumerate(symbols, before + 1):
            flag = symbol[column].removeprefix(f"{prefix}_")
            if inside != (flag in ("middle", "end")):
                raise _wrong(place, symbol[column], "flags run begin, middle, end, or both alone")
            inside = flag in ("begin", "middle")
        if inside:
            raise _wrong(before + len(symbols), symbols[-1][column], "a syllable or word is not ended")


def _wrong(place: int, what: str, why: str) -> TextError:
    return TextError(f"symbol {place} ({what}): {why}", code="bad_symbols")


@cache
def _syllable_of() -> dict[tuple[str, ...], str]:
    return {phones: syllable for syllable, phones in tables().syllables.items()}


def spoken_form(line: str, *, breaks: bool = False) -> str:
    """Return a line as people read it: pinyin with tones, English syllables as ARPAbet joined by ``-``.

    With ``breaks`` the breaks from #2 on are shown too.
    """
    found: list[str] = []
    syllable: list[str] = []
    for phone, tone, flag, *_ in parse_line(line):
        if phone in BREAKS:
            if breaks and phone != "#1":
                found.append(phone)
            continue
        syllable.append(phone)
        if flag in ("s_end", "s_both"):
            pinyin = _syllable_of().get(tuple(syllable))
            digit = tone.removeprefix("tone")
            found.append(f"{_with_u(pinyin)}{digit}" if pinyin else f"{'-'.join(syllable).upper()}{digit}")
            syllable = []
    return " ".join(found)


def _with_u(pinyin: str) -> str:
    """Write ü as u where pinyin does: ``jve`` → jue."""
    return f"{pinyin[0]}u{pinyin[2:]}" if pinyin[0] in "jqxy" and pinyin[1:2] == "v" else pinyin
