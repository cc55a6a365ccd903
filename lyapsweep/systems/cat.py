"""Arnold's cat map: the torus automorphism whose exponents are the same at every point."""

import math

import torch

from lyapsweep.maps import Inputs, States, Tangents
from lyapsweep.systems.system import AbstractSystem, KnownExponents

MATRIX = ((2.0, 1.0), (1.0, 1.0))
LARGEST = math.log((3 + math.sqrt(5)) / 2)


class Cat(AbstractSystem):
    """Arnold's cat map (x, y) -> (2 x + y, x + y) modulo 1; exponents +-log((3 + sqrt 5) / 2), area-preserving.

    Source: Arnold and Avez 1968, Ergodic Problems of Classical Mechanics.

    Example:
        >>> Cat().known.exponents[0]
        0.9624236501192069
    """

    state = 2
    names = ("x", "y")

    def __init__(self):
        self.matrix = torch.tensor(MATRIX, dtype=torch.float64)
        self.known = KnownExponents((LARGEST, -LARGEST), {}, "exact: Arnold and Avez 1968")
        self.total = 0.0

    def start(self, batch: int, generator: torch.Generator) -> States:
        return torch.rand(1, batch, 2, dtype=torch.float64, generator=generator)

    def step(self, z: States, x: Inputs | None = None) -> States:
        moved = z @ self.matrix.mT
        return moved - moved.floor()

    def push(self, z: States, x: Inputs | None, V: Tangents) -> tuple[States, Tangents]:
        return self.step(z), V @ self.matrix.mT
