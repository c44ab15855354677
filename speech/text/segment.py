"""Chinese words out of running characters: jieba behind a lock, with numerals and measure words cut by our own rules.

jieba alone cuts 三百六十九块 into 三百六十 | 九块 and 五本书 into 五 | 本书; what follows a numeral decides here.
"""

from __future__ import annotations

import logging
import re
import threading
import warnings
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from speech.text.characters import word_set
from speech.text.pinyin import own_phrases, phrase

if TYPE_CHECKING:
    from collections.abc import Iterator

NUMERALS = "零〇一二三四五六七八九十百千万亿两"
MEASURES = (
    "次方|号楼|号线|平方公里|立方厘米|平方厘米|平方米|立方米|公里|公斤|公分|公顷|分钟|小时|星期|年级|年代|世纪|厘米|毫米|千米|毫升|千克|"
    "个|位|名|只|条|件|本|张|把|块|元|角|岁|天|年|月|日|号|点|分|秒|度|斤|克|米|里|升|吨|层|楼|间|家|所|座|栋|次|遍|回|"
    "趟|杯|瓶|碗|盘|份|双|对|套|支|枝|根|颗|粒|朵|棵|头|匹|辆|台|架|艘|节|页|章|课|句|字|口|种|样|周|刻|倍|人|届|期|组|批"
)
_NUMERAL_RUN = re.compile(f"(?:第?[{NUMERALS}]{{2,}}|第[{NUMERALS}几]|(?<=[{NUMERALS}]点)[零〇一二三四五六七八九]+)")
_RUN_AND_MEASURE = re.compile(f"({_NUMERAL_RUN.pattern})({MEASURES})?")
# After a written number: the measure word, unless it only begins a longer word.
_MEASURE = re.compile(f"(?:多|几)?(?:{MEASURES})(?!代)")
_NUMERAL_WORD = re.compile(f"第?[{NUMERALS}几数]+")
# Two-character words that jieba prefers but that are measure word + noun after a numeral.
_MEASURE_NOUNS = word_set("本书 个人 家人 条路 口人 句话 件事 封信 间房 位置 头牛 只手 个月 天地")
_KEEP_AFTER_NUMERAL = word_set("位置 天地")
# 一只, 三行, 两种: what is counted is read by its own rules.
_COUNTS = frozenset(f"{NUMERALS}几这那每")
_COUNTED = frozenset("只行种重")
# A dictionary word seen so often is a word by itself wherever it stands.
_COMMON = 2000
_SIDES = frozenset("上下里外前后")
_LONG_NUMERAL = 5
_LARGE_UNITS = frozenset("十百千万亿")
_AFTER_UNIT = re.compile("[^千万亿]*[千万亿]+|[^千万亿]+")
# 征得同意: got. Of other verbs 得 says how: 冻得发抖.
_OBTAINED = frozenset(
    "征挣捧摘录竞募测求博觅拾喜偷易既已可未安焉始休必亦暂兼互实独渐窃缺耐立净换购夺探赚取获赢习查抢彼乍泰宾奥努得"
)
# 说得出: able to say; 他得出结论: came to.
_UTTERED = frozenset("说做拿看叫讲写想干认猜分听算画唱使")
# 蒙着眼, 牵着手: no 着眼 and 着手.
_HOLDING = {"眼": frozenset("蒙眯闭瞪睁红眨捂盯"), "手": frozenset("牵拉握挥举背搓摆招垂捧插甩拍抄空叉缩")}
_lock = threading.Lock()


class _Jieba:
    """One read-only jieba tokenizer, built without its cache file in the shared temporary folder."""

    def __init__(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the package has old-style escapes in its patterns
            import jieba
        jieba.setLogLevel(logging.WARNING)
        self.tokenizer: Any = jieba.Tokenizer()
        self.tokenizer.FREQ, self.tokenizer.total = self.tokenizer.gen_pfdict(self.tokenizer.get_dict_file())
        self.tokenizer.initialized = True
        for word in own_phrases():
            if len(word) > 1 and not self.tokenizer.FREQ.get(word):
                self.tokenizer.add_word(word)


@cache
def _build() -> _Jieba:
    return _Jieba()


def _jieba() -> _Jieba:
    with _lock:
        return _build()


def frequency(word: str) -> int:
    """Return how often the dictionary has seen the word, 0 for an unknown one."""
    return int(_jieba().tokenizer.FREQ.get(word) or 0)


def segment(text: str, *, after_numeral: bool = False) -> Iterator[str]:
    """Yield the words of a run of Chinese characters; joined they are the text again."""
    at = 0
    if after_numeral and (measure := _MEASURE.match(text)):
        yield measure[0]
        at = measure.end()
    for match in _RUN_AND_MEASURE.finditer(text, at):
        yield from _plain(text[at : match.start()], after_numeral=False)
        yield from numeral_words(match[1])
        if match[2]:
            yield match[2]
        at = match.end()
    yield from _plain(text[at:], after_numeral=False)


def numeral_words(run: str) -> list[str]:
    """Cut a long number into words: 八千|二百六十六 after its large units, 四一四五|五五七零 in fours."""
    if len(run) <= _LONG_NUMERAL:
        return [run]
    if not _LARGE_UNITS.intersection(run):
        return [run[at : at + 4] for at in range(0, len(run), 4)]
    return _AFTER_UNIT.findall(run)


def _words(text: str) -> Iterator[str]:
    """Yield jieba's words, with 床上|面 put right: the side (上面) is the word."""
    held = ""
    for word in _mended(list(_jieba().tokenizer.cut(text, HMM=False))):
        if word == "面" and len(held) == 2 and held[1] in _SIDES:
            yield held[0]
            held = held[1] + word
            continue
        if held:
            yield held
        held = word
    if held:
        yield held


def _mended(words: list[str]) -> Iterator[str]:
    """Yield the words, with what jieba joins across 得, 着 and 数 parted."""
    for at, word in enumerate(words):
        before, after = words[at - 1] if at else "", words[at + 1] if at + 1 < len(words) else ""
        if len(word) == 1 and _is_counting(after, words[at + 2 : at + 3]):
            continue
        if len(before) == 1 and _is_counting(word, words[at + 1 : at + 2]):
            # 老人|数着, not 老|人数|着.
            yield before + "人"
            yield "数"
        elif _is_joined_wrongly(word, before):
            yield from word
        else:
            yield word


def _is_counting(word: str, following: list[str]) -> bool:
    return word == "人数" and bool(following) and following[0][0] in "着了"


def _is_joined_wrongly(word: str, before: str) -> bool:
    """Tell 冻得, 说|得出, 越长越 and 牵|着手, which are words in jieba's dictionary, from words."""
    if len(word) == 2 and word[1] == "得":
        return word[0] not in _OBTAINED and phrase(word) is None
    if len(word) == 2 and word[0] == "着":
        return len(before) == 1 and before in _HOLDING.get(word[1], ())
    return (word == "得出" and before in _UTTERED) or (len(word) == 3 and word[0] == word[2] == "越")


def _plain(text: str, *, after_numeral: bool) -> Iterator[str]:
    for word in _words(text):
        if len(word) == 4 and _is_two_words(word):
            yield word[:2]
            yield word[2:]
        elif len(word) == 2 and word[0] in _COUNTS and word[1] in _COUNTED and word != "五行":
            yield word[0]
            yield word[1]
        elif after_numeral and word in _MEASURE_NOUNS and word not in _KEEP_AFTER_NUMERAL:
            yield word[0]
            yield word[1:]
        else:
            yield word
        after_numeral = _NUMERAL_WORD.fullmatch(word) is not None


@lru_cache(maxsize=16384)
def _is_two_words(word: str) -> bool:
    """Tell 今天天气 (two words that the dictionary happens to have together) from idioms and names."""
    return phrase(word) is None and min(frequency(word[:2]), frequency(word[2:])) >= _COMMON
