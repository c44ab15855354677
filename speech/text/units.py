"""Units of measure and money, as written and as spoken."""

from __future__ import annotations

import re

# Written exactly like this or all in one case; a unit must follow a number and no letter may follow it.
UNITS = {
    "km/h": "公里每小时", "m/s": "米每秒", "m/s²": "米每二次方秒", "km/s": "公里每秒", "mph": "英里每小时",
    "km²": "平方公里",
    "km2": "平方公里", "m²": "平方米", "m2": "平方米", "cm²": "平方厘米", "cm2": "平方厘米",
    "mm²": "平方毫米",
    "m³": "立方米", "m3": "立方米", "cm³": "立方厘米", "cm3": "立方厘米", "km³": "立方公里", "hm²": "公顷",
    "ha": "公顷",
    "km": "公里", "m": "米", "dm": "分米", "cm": "厘米", "mm": "毫米", "μm": "微米", "um": "微米",
    "nm": "纳米",
    "kg": "公斤", "g": "克", "mg": "毫克", "μg": "微克", "t": "吨", "lb": "磅", "lbs": "磅", "oz": "盎司",
    "L": "升", "l": "升", "ml": "毫升", "mL": "毫升", "dl": "分升",
    "h": "小时", "hr": "小时", "hrs": "小时", "min": "分钟", "mins": "分钟", "s": "秒", "sec": "秒",
    "ms": "毫秒", "ns": "纳秒",
    "Hz": "赫兹", "kHz": "千赫兹", "MHz": "兆赫兹", "GHz": "吉赫兹", "KB": "千字节", "MB": "兆",
    "GB": "吉字节",
    "TB": "太字节", "Mbps": "兆比特每秒", "Gbps": "吉比特每秒", "Kbps": "千比特每秒", "bps": "比特每秒",
    "V": "伏", "kV": "千伏", "mV": "毫伏", "mA": "毫安", "mAh": "毫安时", "W": "瓦", "kW": "千瓦",
    "MW": "兆瓦", "GW": "吉瓦",
    "kWh": "千瓦时", "kwh": "千瓦时", "Wh": "瓦时", "J": "焦耳", "kJ": "千焦", "cal": "卡路里",
    "kcal": "千卡",
    "Pa": "帕", "kPa": "千帕", "hPa": "百帕", "MPa": "兆帕", "N": "牛", "dB": "分贝", "px": "像素",
    "dpi": "每英寸点数",
    "rpm": "转每分钟", "fps": "帧每秒", "ppm": "百万分之一", "mmHg": "毫米汞柱", "mol": "摩尔",
    "mmol": "毫摩尔", "μmol": "微摩尔", "kN": "千牛", "GPa": "吉帕",
    "kΩ": "千欧", "Ω": "欧姆",
    "ft": "英尺", "inch": "英寸", "in": "英寸", "sqft": "平方英尺", "℃": "摄氏度", "°C": "摄氏度",
    "℉": "华氏度", "°F": "华氏度",
    "㎡": "平方米", "㎏": "公斤", "㎝": "厘米", "㎜": "毫米", "㎞": "公里", "°": "度",
}  # fmt: skip
_ANY_CASE = {
    name.upper(): name for name in ("km", "cm", "mm", "kg", "mg", "ml", "kwh", "db", "khz", "mhz", "ghz", "min")
}
_BY_LENGTH = sorted([*UNITS, *_ANY_CASE, "Km", "Kg", "Ml", "mb", "gb", "tb", "Kwh", "hz", "HZ"], key=len, reverse=True)
UNIT = "(?:" + "|".join(map(re.escape, _BY_LENGTH)) + r")(?![A-Za-z0-9²³])"
# Units after which -5 is 零下五.
DEGREES = frozenset(("℃", "°C", "℉", "°F"))
# Currency signs and codes, before or after the amount.
MONEY = {
    "US$": "美元", "HK$": "港元", "NT$": "新台币", "AU$": "澳元", "CA$": "加元", "$": "美元", "¥": "元",
    "€": "欧元", "£": "英镑",
    "₩": "韩元", "₽": "卢布", "RMB": "元", "CNY": "元", "USD": "美元", "HKD": "港元", "EUR": "欧元",
    "GBP": "英镑", "JPY": "日元",
}  # fmt: skip
MONEY_SIGN = "(?:" + "|".join(map(re.escape, MONEY)) + ")"
MONEY_CODE = r"(?:RMB|CNY|USD|HKD|EUR|GBP|JPY)(?![A-Za-z])"
# The amount names its money itself: ￥100元 is not 一百元元.
MONEY_NAMED = re.compile(r"\s?(?:元|块|圆|人民币|美元|美金|欧元|英镑|日元|港元|港币)")


def unit_name(written: str) -> str:
    """Return the spoken unit: ``km`` → 公里."""
    for name in (written, _ANY_CASE.get(written, ""), written.upper(), written.lower(), written.capitalize()):
        if name in UNITS:
            return UNITS[name]
    raise KeyError(written)
