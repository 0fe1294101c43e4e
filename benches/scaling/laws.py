"""Fits of measured points. Residuals are relative, so that small sizes count as much as large ones."""

import numpy as np


def weighted(columns: list, y: np.ndarray) -> tuple[np.ndarray, float]:
    """Least squares of y by the columns, and the largest relative residual."""
    matrix = np.stack(columns, axis=1) / y[:, None]
    found, *_ = np.linalg.lstsq(matrix, np.ones_like(y), rcond=None)
    return found, float(np.abs(matrix @ found - 1).max())


def power(x, y) -> dict:
    """y = b x^k: the slope in a plot of two logarithms."""
    x, y = np.asarray(x, float), np.asarray(y, float)
    k, log_b = np.polyfit(np.log(x), np.log(y), 1)
    worst = float(np.abs(np.exp(log_b) * x**k / y - 1).max())
    return {"form": "b x^k", "b": float(np.exp(log_b)), "k": float(k), "worst": worst}


def offset_power(x, y) -> dict:
    """y = a + b x^k with a, b >= 0: the exponent of what grows, beside a part that does not."""
    x, y = np.asarray(x, float), np.asarray(y, float)
    best = None
    for k in np.arange(0.05, 3.0, 0.01):
        (a, b), _ = weighted([np.ones_like(x), x**k], y)
        if a < 0:
            (b,), _ = weighted([x**k], y)
            a = 0.0
        if b < 0:
            continue
        error = float((((a + b * x**k) / y - 1) ** 2).sum())
        if best is None or error < best[0]:
            best = (error, float(a), float(b), float(k))
    _, a, b, k = best
    return {"form": "a + b x^k", "a": a, "b": b, "k": k, "worst": float(np.abs((a + b * x**k) / y - 1).max())}


def polynomial(x, y, degrees: tuple) -> dict:
    """y = a + b x + c x^2, or some of these."""
    x, y = np.asarray(x, float), np.asarray(y, float)
    found, worst = weighted([x**n for n in degrees], y)
    form = " + ".join(("a", "b x", "c x^2")[n] for n in degrees)
    return {"form": form} | {"abc"[n]: float(value) for n, value in zip(degrees, found)} | {"worst": worst}


def value(law: dict, x):
    x = np.asarray(x, float)
    if "k" in law:
        return law.get("a", 0.0) + law["b"] * x ** law["k"]
    return law.get("a", 0.0) + law.get("b", 0.0) * x + law.get("c", 0.0) * x**2
