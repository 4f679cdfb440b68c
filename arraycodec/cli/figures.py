"""What all pictures that matplotlib draws have in common."""

from __future__ import annotations

from pathlib import Path

from .model import CommandError

SUFFIXES = (".png", ".svg", ".pdf")


def require_matplotlib(what: str, extra: str) -> None:
    """Raise CommandError, which says how to get it, if matplotlib is not installed."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise CommandError(f'{what} needs matplotlib: pip install "arraycodec[{extra}]"') from None


def check_picture(path: Path, option: str, what: str, extra: str) -> None:
    """Raise CommandError if a picture could not be drawn; before anything is measured.

    Parameters
    ----------
    path : Path
        Where it goes.
    option : str
        That named it, for messages.
    what : str
        Who draws it.
    extra : str
        Of this package, that brings matplotlib.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise CommandError(f"{option} {path}: write .png, .svg or .pdf, not {path.suffix!r}")
    require_matplotlib(what, extra)
