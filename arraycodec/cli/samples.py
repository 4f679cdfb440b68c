"""Data for the demo, made from nothing in a second each: a simulated flow and trained network weights."""

from __future__ import annotations

import numpy as np


def vorticity(size: int = 128, frames: int = 64, steps: int = 6, seed: int = 1) -> np.ndarray:
    """Decaying two-dimensional turbulence: frames of the vorticity, float32.

    Pseudo-spectral, dealiased, with the midpoint rule; random large eddies at the start.
    """
    rng = np.random.default_rng(seed)
    k = np.fft.fftfreq(size, 1 / size)
    kx, ky = k[:, None], k[None, : size // 2 + 1]
    kx, ky = np.broadcast_arrays(kx, np.abs(ky))
    k2 = kx**2 + ky**2
    inverse = np.divide(1, k2, out=np.zeros_like(k2), where=k2 > 0)
    keep = (np.abs(kx) < size / 3) & (ky < size / 3)
    viscosity, dt = 30 / size**2, 0.6 / size

    def tendency(w: np.ndarray) -> np.ndarray:
        psi = w * inverse
        u, v, wx, wy = (np.fft.irfft2(1j * f) for f in (ky * psi, -kx * psi, kx * w, ky * w))
        return -np.fft.rfft2(u * wx + v * wy) * keep

    spectrum = np.sqrt(k2) * np.exp(-k2 / 50)
    w = np.fft.rfft2(rng.standard_normal((size, size))) * spectrum
    w *= 4 / np.abs(np.fft.irfft2(w)).std()
    decay = np.exp(-viscosity * k2 * dt)
    out = np.empty((frames, size, size), np.float32)
    for frame in range(frames):
        for _ in range(steps):
            half = w + 0.5 * dt * tendency(w)
            w = (w + dt * tendency(half)) * decay
        out[frame] = np.fft.irfft2(w)
    return out


def trained_weights(width: int = 512, steps: int = 60, batch: int = 128, seed: int = 2) -> np.ndarray:
    """The hidden layer of a small network trained with Adam on a synthetic regression, float32."""
    return _train(width, steps, batch, seed)[0]


def gradient(width: int = 512, steps: int = 60, batch: int = 128, seed: int = 2) -> np.ndarray:
    """The gradient of that layer in the last step."""
    return _train(width, steps, batch, seed)[1]


def _train(width: int, steps: int, batch: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    inputs, outputs = 32, 8
    shapes = [(inputs, width), (width, width), (width, outputs)]
    weights = [(rng.standard_normal(s) * np.sqrt(2 / s[0])).astype("f4") for s in shapes]
    moments = [(np.zeros_like(p), np.zeros_like(p)) for p in weights]
    teacher = rng.standard_normal((inputs, outputs)).astype("f4")
    for step in range(1, steps + 1):
        x = rng.standard_normal((batch, inputs)).astype("f4")
        a = np.maximum(x @ weights[0], 0)
        b = np.maximum(a @ weights[1], 0)
        error = (b @ weights[2] - np.sin(x @ teacher)) / batch
        back_b = (error @ weights[2].T) * (b > 0)
        back_a = (back_b @ weights[1].T) * (a > 0)
        gradients = (x.T @ back_a, a.T @ back_b, b.T @ error)
        for p, (m, s), g in zip(weights, moments, gradients, strict=True):
            m += 0.1 * (g - m)
            s += 0.01 * (g * g - s)
            p -= 2e-3 * (m / (1 - 0.9**step)) / (np.sqrt(s / (1 - 0.99**step)) + 1e-8)
    return weights[1], gradients[1]
