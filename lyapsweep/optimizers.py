"""torch's optimizers as functions of a gradient: their objects' ceremony is a twentieth of a small network's update."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.optim.adam import adam
from torch.optim.radam import radam

Gradient = Float[Tensor, "population weights"]
BETAS = {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.0, "lr": 1.0}  # torch's own, and unit rate


class Sgd:
    """-g."""

    def __init__(self, like: Gradient):
        self.state: dict[str, Tensor] = {}

    def __call__(self, gradient: Gradient) -> Gradient:
        """What is added to the weights at unit rate."""
        return -gradient


class Adam:
    """-m / (sqrt(v) + eps), m and v the corrected averages of g and of its square (Kingma and Ba 2015)."""

    def __init__(self, like: Gradient):
        self.shift = torch.zeros_like(like)
        self.state = {"step": self.count(like), "exp_avg": torch.zeros_like(like), "exp_avg_sq": torch.zeros_like(like)}

    def count(self, like: Gradient) -> Tensor:
        """Room for the number of updates: a fused optimizer wants it where the weights are."""
        return torch.zeros((), device=like.device)

    def __call__(self, gradient: Gradient) -> Gradient:
        """What is added to the weights at unit rate."""
        self.shift.zero_()
        self.move([self.shift], [gradient], *([self.state[name]] for name in ("exp_avg", "exp_avg_sq", "step")))
        return self.shift

    def move(self, shift: list, gradient: list, mean: list, square: list, step: list) -> None:
        adam(shift, gradient, mean, square, [], step, fused=True, amsgrad=False, maximize=False, **BETAS)


class RAdam(Adam):
    """Adam whose rate is rectified for the variance of its first updates (Liu et al. 2020)."""

    def count(self, like: Gradient) -> Tensor:
        return torch.zeros(())

    def move(self, shift: list, gradient: list, mean: list, square: list, step: list) -> None:
        radam(shift, gradient, mean, square, step, foreach=False, **BETAS)


OPTIMIZERS = {"adam": Adam, "radam": RAdam, "sgd": Sgd}
