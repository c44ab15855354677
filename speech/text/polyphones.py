"""Characters whose reading hangs on the words around them: 得 地 着 了 还 长 行 为 只 种 数.

The rules look at the neighbouring words of the same clause only. They are for single-character words; inside longer
words the dictionaries know better.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from speech.text.characters import word_set

Rule = Callable[[list[str], int], str | None]

_NUMERAL = re.compile("第?[零〇一二三四五六七八九十百千万亿两几半数]+")
_WHO = word_set("我 你 您 他 她 它 我们 你们 他们 她们 它们 咱们 咱 大家 自己 人家 谁 妈妈 爸爸 老师 孩子 人")
_ADVERBS = word_set("都 也 还 就 总 必 非 先 只 可 又 得 肯定 必须 真 一定 总是 恐怕 至少 最少 起码 现在 今天 明天")
# 得 before these is must: 得把…, 得先….
_DO_FIRST = word_set("把 给 让 被 跟 向 从 先 用 靠 赶紧 赶快 马上 尽快 想办法")
_DEGREES = word_set("很 太 非常 真 更 最 不 多 好 特别 十分 比较 挺 那么 这么 越来越 极 有点 格外 相当")
_GROUND_BEFORE = word_set(
    "这 那 块 片 亩 扫 拖 下 倒 落 在 于 本 各 满 遍 翻 耕 占 征 买 卖 租 荒 的 有 没有 是 和 离 落 着 了 旱 水 种"
)
_PLANTED = word_set("了 着 过 在 上 满 出 玉米 水稻 小麦 蔬菜 庄稼 树 花 粮食 豆子 西瓜 葡萄 草莓")
# 过 after these says that something has happened: 去过, 看过.
_EXPERIENCED = frozenset("去看吃见来听有做说学想用写读住爱当试玩喝买坐问到")
_GROWN = frozenset("得了着出满高大在成胖痘虫草毛叶牙个肉")
_GROWN_UP = word_set("高 大 胖 壮 瘦 漂亮 好看 像 快 帅 美 丑 结实")
_GROUND_AFTER = word_set("里 上 下 的 方 面 价 处 理 势 名 皮 板 铁 产 质 震 主 很 是 有 在 都 也 和 被 又 了")


def _at(words: list[str], index: int) -> str:
    return words[index] if 0 <= index < len(words) else ""


def _de(words: list[str], at: int) -> str | None:
    before, after = _at(words, at - 1), _at(words, at + 1)
    if not after:
        return None
    if after[0] in "了到过" and (not before or before in _WHO or before in ("已", "已经", "刚", "又", "也", "没")):
        return "de2"
    if (_NUMERAL.match(after) or after[0] in "奖第冠病") and before not in ("打", "跑", "长", "高"):
        return "de2"
    if before == after == "什么":
        return "de2"
    if not before or after in _DO_FIRST or ((before in _WHO or before in _ADVERBS) and after not in _DEGREES):
        return "dei3"
    return None


def _hard(words: list[str], at: int) -> str | None:
    """难得很 is very hard, 难得 hard to come by."""
    return "nan2 de5" if _at(words, at + 1) in ("很", "多", "要命", "厉害") else None


def _di(words: list[str], at: int) -> str | None:
    before, after = _at(words, at - 1), _at(words, at + 1)
    if (
        not before
        or not after
        or before in _GROUND_BEFORE
        or before[-1] in "块片亩层处遍满"
        or after in _GROUND_AFTER
        or _NUMERAL.fullmatch(before)
    ):
        return "di4"
    return None


def _zhe(words: list[str], at: int) -> str | None:
    before, after = _at(words, at - 1), _at(words, at + 1)
    if (before == "不" and at > 1) or after in ("着", "着呢"):
        return "zhao2"
    if after == "了" and _at(words, at + 2) in ("魔", "火", "凉", "迷", "急", "慌"):
        return "zhao2"
    if before in _WHO and after:
        return "zhuo2"
    if before in ("睡", "找", "点", "猜", "够", "逮") and after in ("了", ""):
        return "zhao2"
    return "zhao2" if before in ("火", "大火") and after in ("了", "起来", "得") else None


def _guo(words: list[str], at: int) -> str | None:
    return "guo5" if _at(words, at - 1)[-1:] in _EXPERIENCED else None


def _na(words: list[str], at: int) -> str | None:
    return "na5" if _at(words, at - 1) in ("您", "天", "人") and not _at(words, at + 1) else None


def _liao(words: list[str], at: int) -> str | None:
    before, verb = _at(words, at - 1), _at(words, at - 2)
    if before in ("不", "得") and verb and verb not in _WHO:
        return "liao3"
    return None


def _hai(words: list[str], at: int) -> str | None:
    after = _at(words, at + 1)
    if after in ("钱", "书", "债", "你", "我", "他", "她", "给", "清", "车", "人情") and _at(words, at + 2) not in (
        "是", "在", "会", "能", "要", "没", "没有", "不", "有", "好", "小", "以为",
    ):  # fmt: skip
        return "huan2"
    returned = _at(words, at - 1) in ("要", "来", "去", "先", "快", "得")
    return "huan2" if returned and after in ("了", "吗", "的", "上", "清") else None


def _zhang(words: list[str], at: int) -> str | None:
    before, after = _at(words, at - 1), _at(words, at + 1)
    if before in _DEGREES or _NUMERAL.fullmatch(before):
        return None
    if before == after == "越":
        return "zhang3" if _at(words, at + 2) in _GROWN_UP else None
    grows = after[:1] in _GROWN or before in ("刚", "会", "能", "快", "里", "地上", "上", "正在")
    return "zhang3" if grows else None


def _grown_long(words: list[str], at: int) -> str | None:
    return "zhang3 chang2" if _at(words, at + 1) in ("了", "得", "以后", "之后") else None


def _hang(words: list[str], at: int) -> str | None:
    before, after = _at(words, at - 1), _at(words, at + 1)
    counted = _NUMERAL.fullmatch(before) or before in ("这", "那", "每", "哪", "首", "末", "整", "多")
    return "hang2" if counted and not after.startswith("人") else None


def _wei(words: list[str], at: int) -> str | None:
    before, after = _at(words, at - 1), _at(words, at + 1)
    if "以" in words[max(0, at - 6) : at] or "被" in words[max(0, at - 6) : at]:
        return "wei2"
    if _NUMERAL.match(after) or before in (
        "约",
        "均",
        "仅",
        "共",
        "各",
        "皆",
        "则",
        "称之",
        "分",
        "名",
        "改",
        "译",
        "升",
        "不",
        "命名",
    ):
        return "wei2"
    return None


def _zhi(words: list[str], at: int) -> str | None:
    before = _at(words, at - 1)
    if before == "只" and _NUMERAL.fullmatch(_at(words, at - 2)):
        return "zhi1"
    return "zhi1" if _NUMERAL.fullmatch(before) or before in ("这", "那", "每", "哪", "多少", "好几", "另") else None


def _zhong(words: list[str], at: int) -> str | None:
    before, after = _at(words, at - 1), _at(words, at + 1)
    if _NUMERAL.fullmatch(before) or before in ("这", "那", "每", "哪", "各", "某", "多", "此", "另"):
        return "zhong3"
    return "zhong4" if after in _PLANTED or after == "什么" or _NUMERAL.match(after) else None


def _shu(words: list[str], at: int) -> str | None:
    before, after = _at(words, at - 1), _at(words, at + 1)
    if after in ("一", "了", "着", "到", "出", "清", "星星", "钱", "羊", "起", "起来", "给") or after.startswith(
        "一数"
    ):
        return "shu3"
    return "shu3" if before in ("去", "来", "会", "慢慢", "细细", "开始") else None


def _jue(words: list[str], at: int) -> str | None:
    before = _at(words, at - 1)
    return "jiao4" if before in ("一", "睡", "大", "个", "了", "睡了一", "午", "懒", "好") else None


def _jia(words: list[str], at: int) -> str | None:
    return "jia4" if re.search("[天周月年日个请放休了]$", _at(words, at - 1)) and _at(words, at - 1) != "个个" else None


def _kong(words: list[str], at: int) -> str | None:
    return "kong4" if _at(words, at - 1) in ("有", "没", "没有", "得", "抽", "什么时候") else None


def _liang(words: list[str], at: int) -> str | None:
    return (
        "liang2" if _at(words, at + 1) in ("了", "一", "一下", "体温", "身高", "血压", "尺寸", "过", "一量") else None
    )


def _dao(words: list[str], at: int) -> str | None:
    before, after = _at(words, at - 1), _at(words, at + 1)
    if before in ("吹", "推", "病", "跌", "摔", "滑", "绊", "撞", "放", "压", "打", "累", "晕", "昏"):
        return "dao3"
    return "dao3" if after in ("了", "在") and before not in ("水", "茶", "酒", "车") else None


def _jiao(words: list[str], at: int) -> str | None:
    return "jiao4" if _at(words, at - 1) in ("受", "佛", "信", "管") else None


def _chong(words: list[str], at: int) -> str | None:
    return "chong2" if _NUMERAL.fullmatch(_at(words, at - 1)) and _at(words, at - 1)[0] != "半" else None


def _chang(words: list[str], at: int) -> str | None:
    after = _at(words, at + 1)
    return (
        "chang2"
        if _NUMERAL.fullmatch(_at(words, at - 1)) and after in ("雨", "大雨", "雪", "大雪", "病", "大病", "梦", "空")
        else None
    )


def _xie(words: list[str], at: int) -> str | None:
    return "xie3" if _at(words, at - 1) in ("流", "流了", "吐", "出", "滴") or _at(words, at + 1) == "淋淋" else None


# A family name is read its own way after 姓.
_SURNAMES = {
    "曾": "zeng1", "单": "shan4", "任": "ren2", "解": "xie4", "仇": "qiu2", "区": "ou1", "查": "zha1", "盖": "ge3",
    "朴": "piao2", "华": "hua4", "翟": "zhai2", "乐": "yve4", "燕": "yan1", "冼": "xian3", "纪": "ji3", "葛": "ge3",
}  # fmt: skip


# A family name stands before a title, too; those that are as well a common word only after one of these or nothing.
_TITLES = word_set("老师 先生 女士 小姐 教授 总 医生 大夫 博士 师傅 同志 同学 太太 经理 局长 校长 院长 老板 家")
_WORDS_TOO = frozenset("任查区解盖燕纪")
_BEFORE_NAMES = word_set("和 跟 与 找 请 给 叫 问 是 的 让 对 像 被 由 见")


def _is_surname(words: list[str], at: int) -> bool:
    before = _at(words, at - 1)
    if before == "姓":
        return True
    titled = _at(words, at + 1) in _TITLES
    return titled and (words[at] not in _WORDS_TOO or not before or before in _BEFORE_NAMES)


def _de_liao(words: list[str], at: int) -> str | None:
    able = _at(words, at - 1) and _at(words, at - 1) not in _WHO and _at(words, at + 1) in ("", "吗", "么", "呢", "的")
    return "de5 liao3" if able else None


RULES: dict[str, Rule] = {
    "得": _de, "地": _di, "着": _zhe, "了": _liao, "还": _hai, "长": _zhang, "行": _hang, "为": _wei,
    "只": _zhi, "种": _zhong,
    "数": _shu, "觉": _jue, "假": _jia, "空": _kong, "量": _liang, "倒": _dao, "教": _jiao, "重": _chong,
    "场": _chang, "血": _xie,
    "得了": _de_liao, "难得": _hard, "长长": _grown_long, "哪": _na, "过": _guo,
}  # fmt: skip


CANDIDATES = frozenset((*RULES, *_SURNAMES))


def in_context(words: list[str], at: int) -> str | None:
    """Return the reading of ``words[at]``, syllables between blanks, if its neighbours decide it, else None."""
    if words[at] in _SURNAMES and _is_surname(words, at):
        return _SURNAMES[words[at]]
    rule = RULES.get(words[at])
    return rule(words, at) if rule is not None else None
