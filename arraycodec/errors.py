"""The exceptions and the warning of arraycodec; importable without the compiled part.

Everything that is wrong with a chunk is a `DecodeError`, everything wrong with an argument a
`ParameterError`; both are `ValueError`.  Unsupported dtypes raise the built-in `TypeError`.
"""


class ArraycodecError(ValueError):
    """Base class of the errors below."""


class ParameterError(ArraycodecError):
    """An argument (tolerance, shape, option) is out of range; its value is in the message."""


class NotFiniteError(ParameterError):
    """NaN, an infinity, or a norm that overflows, where a codec has no way to store one."""


class DecodeError(ArraycodecError):
    """The bytes are not a chunk that this version can decode."""


class FormatError(DecodeError):
    """Not an arraycodec chunk, or its structure is invalid."""


class TruncatedError(DecodeError):
    """The chunk ends before its last block does."""


class ChecksumError(DecodeError):
    """A CRC32C does not match: the bytes changed after they were written."""


class VersionError(DecodeError):
    """A chunk of a format version or codec that this build does not know."""


class SizeError(DecodeError):
    """The chunk does not hold what its host expects, or more than `max_output` allows."""


class ChunkSizeWarning(UserWarning):
    """An array is cut into chunks so small that what its host does for each costs more than the codec.

    ``warnings.simplefilter("ignore", arraycodec.ChunkSizeWarning)`` silences it.
    """
