"""The decoder of reference.py against what random chunks mean; tables of relative tolerances against their promise."""

from fractions import Fraction

import numpy as np
import pytest
import reference
from random_chunks import EMAX, TYPES, random_chunk, random_delta, random_rtol, same


@pytest.mark.parametrize("code", TYPES)
def test_random_chunks(code):
    for seed in range(25):
        chunk, expected = random_chunk([seed, code, 7], code)
        assert same(reference.decode(chunk), expected), seed


def value(bits, m):
    """A float from its bits, as a fraction."""
    E, significand = bits >> m, bits & (1 << m) - 1
    return Fraction(significand + (1 << m if E else 0)) * Fraction(2) ** (max(E, 1) - EMAX[m] // 2 - m)


@pytest.mark.parametrize("m", EMAX)
def test_some_index_is_near_enough(m):
    """Every normal number has an index whose value is within the larger of delta / 2 and rtol of it.

    Not those between U * delta and the octaves, if U is at its limit of 2^53; and what uniform values lose to rounding
    is for the encoder to refuse: here they are the exact multiples.
    """
    for seed in range(100):
        rng = np.random.default_rng([seed, m])
        rtol = random_rtol(rng, m)
        delta = random_delta(rng, m, rtol)
        B, centre = reference.relative_table(rtol, m)
        U, E0 = reference.first_octave(delta, rtol, m)
        assert [c >= 2**m for c in (centre(0), centre(B - 1))] == [True, True] and centre(B - 1) < 2 ** (m + 1)
        A, t = reference.relative_tolerance(rtol)
        if delta:  # the octaves begin where they are no finer than the lattice
            wanted = [Fraction(2) ** (E - EMAX[m] // 2) * A / 2**t >= Fraction(delta) / 2 for E in (E0 - 1, E0)]
            assert wanted[1] and (not wanted[0] or E0 == 1)
        if delta and E0 <= EMAX[m] and U < 2**53:
            assert (U + Fraction(1, 2)) * Fraction(delta) >= value(E0 << m, m)
        for _ in range(50):
            bits = int(rng.integers(1 << m, EMAX[m] + 1 << m))
            if rng.random() < 0.5:  # near a centre
                i = int(rng.integers(B))
                bits = bits >> m << m | max(0, centre(i) - 2**m + int(rng.integers(-3, 4))) % 2**m
            E, x = bits >> m, value(bits, m)
            if E < E0:
                continue  # a multiple of delta is within delta / 2
            low, high = 0, B - 1  # the last bin with a centre up to x, and the next one
            while low < high:
                middle = (low + high + 1) // 2
                low, high = (middle, high) if centre(middle) <= 2**m + bits % 2**m else (low, middle - 1)
            near = [abs(x - value((E << m) + centre(i) - 2**m, m)) for i in {low, min(low + 1, B - 1)}]
            assert min(near) <= Fraction(rtol) * x, (rtol, bits)
