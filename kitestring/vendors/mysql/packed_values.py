"""Decimals, dates and times as MySQL packs them in its log, each as text."""

from __future__ import annotations

from kitestring.vendors.mysql.binlog_rows import DIGIT_BYTES


def decimal_text(data: bytes, precision: int, scale: int) -> str:
    """A decimal: groups of nine digits in four bytes, the sign in the first bit, negative ones inverted
    (https://dev.mysql.com/doc/refman/8.4/en/precision-math-decimal-characteristics.html)."""
    is_negative = not data[0] & 0x80
    plain = bytes([data[0] ^ 0x80, *data[1:]])
    if is_negative:
        plain = bytes(byte ^ 0xFF for byte in plain)
    whole = precision - scale
    sizes = [whole % 9, *[9] * (whole // 9), *[9] * (scale // 9), scale % 9]
    texts, place = [], 0
    for digits in sizes:
        width = DIGIT_BYTES[digits]
        texts.append(str(int.from_bytes(plain[place : place + width], "big")).zfill(digits) if digits else "")
        place += width
    digits_text = "".join(texts)
    integral, fraction = digits_text[:whole].lstrip("0") or "0", digits_text[whole:]
    number = f"{integral}.{fraction}" if fraction else integral
    return f"-{number}" if is_negative and number.strip("0.") else number


def time_text(packed: int) -> str:
    """A time within a JSON document."""
    sign, packed = ("-", -packed) if packed < 0 else ("", packed)
    whole, micros = packed >> 24, packed & 0xFFFFFF
    return f"{sign}{whole >> 12 & 0x3FF:02}:{whole >> 6 & 0x3F:02}:{whole & 0x3F:02}.{micros:06}"


def date_time_text(packed: int) -> str:
    """A date with a time within a JSON document."""
    whole, micros = packed >> 24, packed & 0xFFFFFF
    day, clock = whole >> 17, whole & 0x1FFFF
    months = day >> 5
    date = f"{months // 13:04}-{months % 13:02}-{day & 0x1F:02}"
    return f"{date} {clock >> 12:02}:{clock >> 6 & 0x3F:02}:{clock & 0x3F:02}.{micros:06}"
