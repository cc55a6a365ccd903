"""The headline spectrum: which of a network's spectra says what the network is."""

from collections.abc import Iterable

PREFERRED = ("closed loop", "driven")


def headline_map(maps: Iterable[str]) -> str | None:
    """Choose the map whose spectrum stands for a network.

    The network running freely comes first, then the network driven by its inputs, then whatever was measured first.

    Args:
        maps: Names of the maps that spectra were measured of, such as `Record.spectra` or `Table.spectra`.

    Returns:
        One of the names; None if there are none.

    Example:
        >>> headline_map(["forced", "driven", "closed loop"]), headline_map(["forced"]), headline_map([])
        ('closed loop', 'forced', None)
    """
    names = list(maps)
    return next((name for name in (*PREFERRED, *names) if name in names), None)
