"""Grey pictures with captions as PNG files, without an imaging library."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

_WIDTH, _HEIGHT = 6, 9  # of a character with the space around it
# Five columns for each character, one bit for each row, the lowest is the top one.
_FONT = {
    " ": "0000000000", "%": "2313086462", "(": "001c224100", ")": "0041221c00", ",": "0050300000", "-": "0808080808",
    ".": "0060600000", "/": "2010080402", "0": "3e5149453e", "1": "00427f4000", "2": "4261514946", "3": "2141454b31",
    "4": "1814127f10", "5": "2745454539", "6": "3c4a494930", "7": "0171090503", "8": "3649494936", "9": "064949291e",
    ":": "0036360000", "A": "7e1111117e", "D": "7f4141221c", "L": "7f40404040", "N": "7f0408107f", "P": "7f09090906",
    "Q": "3e4151215e", "R": "7f09192946", "S": "4649494931", "V": "1f2040201f", "a": "2054545478", "b": "7f48444438",
    "c": "3844444420", "d": "384444487f", "e": "3854545418", "f": "087e090102", "g": "18a4a4a47c", "h": "7f08040478",
    "i": "00447d4000", "j": "4080847d00", "k": "7f10284400", "l": "00417f4000", "m": "7c04180478", "n": "7c08040478",
    "o": "3844444438", "p": "fc24242418", "q": "18242424fc", "r": "7c08040408", "s": "4854545420", "t": "043f444020",
    "u": "3c4040207c", "v": "1c2040201c", "w": "3c4030403c", "x": "4428102844", "y": "1ca0a0a07c", "z": "4464544c44",
}  # fmt: skip


def lettering(text: str, zoom: int = 1) -> np.ndarray:
    """Black text on white, uint8; characters that the font lacks are blank."""
    image = np.full((_HEIGHT, _WIDTH * len(text)), 255, np.uint8)
    for i, character in enumerate(text):
        columns = np.frombuffer(bytes.fromhex(_FONT.get(character, _FONT[" "])), np.uint8)
        ink = np.unpackbits(columns[:, None], axis=1, bitorder="little").T
        image[1:, _WIDTH * i : _WIDTH * i + 5] -= 255 * ink
    return image.repeat(zoom, 0).repeat(zoom, 1)


def sheet(panels: Sequence[tuple[np.ndarray, Sequence[str]]], across: int, zoom: int = 2) -> np.ndarray:
    """Pictures of one size beside and below each other, each with its lines of text below it.

    Parameters
    ----------
    panels : sequence of (numpy.ndarray, sequence of str)
        uint8 pictures, and as many lines for each.
    across : int
        Pictures in a row.
    zoom : int
        Pixels of a dot of the text.

    Returns
    -------
    numpy.ndarray
        uint8.
    """
    height, width = panels[0][0].shape
    margin = 4 * zoom
    line = (_HEIGHT + 1) * zoom
    cell = (height + line * len(panels[0][1]) + 3 * margin, width + 2 * margin)
    image = np.full((cell[0] * -(-len(panels) // across), cell[1] * across), 255, np.uint8)
    for i, (picture, lines) in enumerate(panels):
        top, left = cell[0] * (i // across) + margin, cell[1] * (i % across) + margin
        image[top : top + height, left : left + width] = picture
        top += height + margin
        for text in lines:
            letters = lettering(text, zoom)[:, :width]
            image[top : top + len(letters), left : left + letters.shape[1]] = letters
            top += line
    return image


def write_png(path: Path, image: np.ndarray) -> None:
    """Write a uint8 picture, 8 bits of grey."""

    def part(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    height, width = image.shape
    rows = np.pad(image, ((0, 0), (1, 0)))  # each begins with its filter: none
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + part(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
        + part(b"IDAT", zlib.compress(rows.tobytes(), 9))
        + part(b"IEND", b"")
    )
