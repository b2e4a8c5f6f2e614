"""Kubernetes resource quantities (`500m`, `16Gi`, `1e3`) as exact numbers.

The grammar is that of k8s.io/apimachinery's resource.Quantity. As in Kubernetes, a plain number of a manifest
(`cpu: 0.5`) means its decimal digits. All arithmetic is exact.
"""

import re
from fractions import Fraction

_SUFFIXES: dict[str, Fraction] = {
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 1000),
    "": Fraction(1),
    **{suffix: Fraction(10 ** (3 * power)) for power, suffix in enumerate("kMGTPE", start=1)},
    **{f"{suffix}i": Fraction(1024**power) for power, suffix in enumerate("KMGTPE", start=1)},
}
# Exponents are bounded; otherwise "1e999999999" would fill the memory before any limit is checked.
_QUANTITY = re.compile(
    r"\+?(\d{1,30})(?:\.(\d{0,30}))?(?:[eE]([+-]?\d{1,2})|([numkMGTPE]|[KMGTPE]i)?)", re.ASCII
)


def parse_quantity(value: object) -> Fraction:
    """The number of a quantity, zero or more; ValueError, with a text for people, if it is not one."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError('must be a quantity such as "4", "500m" or "16Gi"')
    match = _QUANTITY.fullmatch(str(value))
    if match is None:
        raise ValueError(f'{str(value)[:40]!r} is not a quantity such as "4", "500m" or "16Gi"')
    whole, decimals, exponent, suffix = match.groups()
    number = Fraction(int(whole + (decimals or "")), 10 ** len(decimals or ""))
    if exponent:
        return number * Fraction(10) ** int(exponent)
    return number * _SUFFIXES[suffix or ""]


def ceiling(value: Fraction) -> int:
    """The smallest whole number that is not below value."""
    return -(-value.numerator // value.denominator)
