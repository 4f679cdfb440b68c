"""The codecs that `arraycodec bench` measures, one adapter each; `BUILT_IN` is the table of them.

Nothing is imported here: an adapter is loaded in a process of its own (`..worker`), by its path
``module:Class``, since some of these packages crash.  An adapter of the user's is named the same way.
"""

_HERE = __name__
MEMCPY = f"{_HERE}.own:Memcpy"
OURS = f"{_HERE}.own:Arraycodec"

#: Names for ``--peers``, in the order of the tables.
BUILT_IN = {
    "sz3": f"{_HERE}.bounded:Sz3",
    "sz3-lorenzo": f"{_HERE}.bounded:Sz3Lorenzo",
    "sz3-interp": f"{_HERE}.bounded:Sz3Interpolation",
    "sz3-nopred": f"{_HERE}.bounded:Sz3NoPrediction",
    "sperr": f"{_HERE}.bounded:Sperr",
    "zfp": f"{_HERE}.bounded:Zfp",
    "lerc": f"{_HERE}.bounded:Lerc",
    "pcodec": f"{_HERE}.pipelines:Pcodec",
    "blosc2-lz4": f"{_HERE}.pipelines:Blosc2Lz4",
    "blosc2-zstd": f"{_HERE}.pipelines:Blosc2Zstd",
    "fixedscaleoffset": f"{_HERE}.pipelines:FixedScaleOffset",
    "bitround": f"{_HERE}.pipelines:BitRound",
    "varint-bz2": f"{_HERE}.pipelines:VarintBz2",
    "pcodec-lossless": f"{_HERE}.lossless:PcodecLossless",
    "zstd": f"{_HERE}.lossless:Zstd",
    "zstd-shuffle": f"{_HERE}.lossless:ShuffledZstd",
}
#: The same for ``--lossless``, which are measured otherwise only if they are named.
LOSSLESS = {
    "pcodec-lossless": BUILT_IN["pcodec-lossless"],
    "fpzip": f"{_HERE}.lossless:Fpzip",
    "blosc2-shuffle": f"{_HERE}.lossless:Blosc2Shuffle",
    "blosc2-bitshuffle": f"{_HERE}.lossless:Blosc2Bitshuffle",
    "zstd-shuffle": BUILT_IN["zstd-shuffle"],
    "zstd-19": f"{_HERE}.lossless:Zstd19",
    "xz": f"{_HERE}.lossless:Xz",
}
#: All of them, by name.
NAMED = BUILT_IN | LOSSLESS
