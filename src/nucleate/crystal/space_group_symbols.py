"""Space groups by number or Hermann-Mauguin symbol."""

from __future__ import annotations

from functools import lru_cache

from nucleate.errors import UserError

N_GROUPS = 230


def space_group_number(text: str, where: str = "space group") -> int:
    """The number of a space group from a number or a Hermann-Mauguin symbol, short or full, such as ``Fd-3m``.

    Raises:
        UserError: It is neither.
    """
    number = int(text) if text.strip().isdecimal() else _symbols().get(_plain(text), 0)
    if not 1 <= number <= N_GROUPS:
        raise UserError(where, repr(text), "a number from 1 to 230, or a symbol such as Fm-3m")
    return number


@lru_cache(maxsize=1)
def _symbols() -> dict[str, int]:
    import moyopy  # here, so that requests can be read where only torch is

    groups = ((number, moyopy.SpaceGroupType(number)) for number in range(1, N_GROUPS + 1))
    return {_plain(name): number for number, group in groups for name in (group.hm_full, group.hm_short)}


def _plain(symbol: str) -> str:
    return symbol.replace(" ", "").replace("_", "")
