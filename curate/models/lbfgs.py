"""Minimise a smooth function: L-BFGS with a backtracking line search, the same steps on any number of cores.

Source: Liu and Nocedal 1989, "On the limited memory BFGS method for large scale optimization", Mathematical
Programming 45; two loops over the last ten steps, Armijo's condition. Sums are NumPy's own: a BLAS would share them
among threads, and add up in another order on another machine.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]
Objective = Callable[[Vector], tuple[float, Vector]]

_MEMORY = 10
_ARMIJO = 1e-4
_HALVINGS = 30


def minimise(objective: Objective, start: Vector, steps: int = 100, tolerance: float = 1e-5) -> Vector:
    """Where `objective`, which gives value and gradient, is small.

    Ends after so many steps, or with the first that lowers the value by less than its `tolerance`-th part.
    """
    point = start
    value, gradient = objective(point)
    history: deque[tuple[Vector, Vector, float]] = deque(maxlen=_MEMORY)
    for _ in range(steps):
        direction = -_scaled(gradient, history)
        slope = _dot(direction, gradient)
        if slope >= 0:
            break
        size = 1.0 if history else min(1.0, 1.0 / float(np.abs(gradient).sum()))
        for _ in range(_HALVINGS):
            moved = point + size * direction
            lower, slanted = objective(moved)
            if lower <= value + _ARMIJO * size * slope:
                break
            size /= 2
        else:
            break
        step, change = moved - point, slanted - gradient
        curvature = _dot(step, change)
        if curvature > 1e-10 * _dot(change, change):
            history.append((step, change, 1.0 / curvature))
        gained, point, value, gradient = value - lower, moved, lower, slanted
        if gained <= tolerance * abs(value) and len(history) > 1:
            break
    return point


def _scaled(gradient: Vector, history: deque[tuple[Vector, Vector, float]]) -> Vector:
    """The gradient times an estimate of the inverse Hessian."""
    result = gradient.copy()
    parts = []
    for step, change, inverse in reversed(history):
        part = inverse * _dot(step, result)
        result -= part * change
        parts.append(part)
    if history:
        step, change, _ = history[-1]
        result *= _dot(step, change) / _dot(change, change)
    for (step, change, inverse), part in zip(history, reversed(parts), strict=True):
        result += (part - inverse * _dot(change, result)) * step
    return result


def _dot(first: Vector, second: Vector) -> float:
    return float((first * second).sum())
