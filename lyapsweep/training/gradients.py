"""Gradients of a population, and their clipping."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lyapsweep.config import Training
from lyapsweep.rollout import Network


def flatten(network: Network) -> tuple[Tensor, list[nn.Parameter]]:
    """Move all weights into one tensor, of which the parameters become views.

    Args:
        network: The population; its parameters lead with the members.

    Returns:
        The tensor (population, weights), and the parameters in its order.

    Example:
        >>> network = nn.Module()
        >>> network.W = nn.Parameter(torch.ones(2, 3, 3))
        >>> flatten(network)[0].shape
        torch.Size([2, 9])
    """
    weights = [w for w in network.parameters() if w.numel()]
    theta = torch.cat([w.detach().flatten(1) for w in weights], dim=1)
    for w, part in zip(weights, theta.split([w[0].numel() for w in weights], dim=1)):
        w.data = part.unflatten(1, w.shape[1:])
    return theta, weights


def collect(loss: Float[Tensor, " population"], weights: list[nn.Parameter]) -> Float[Tensor, "population weights"]:
    """Compute d loss_p / d theta_p of every member; members share no weight, so one backward pass serves all.

    Args:
        loss: The loss of each member, shape (population,).
        weights: Parameters, in the order of `flatten`.

    Returns:
        The gradient (population, weights); zero for parameters that the loss does not use.

    Example:
        >>> w = nn.Parameter(torch.tensor([[1.0], [2.0]]))
        >>> collect((w**2).sum(dim=1), [w])
        tensor([[2.],
                [4.]])
    """
    gradients = torch.autograd.grad(loss, weights, torch.ones_like(loss), allow_unused=True)
    parts = [torch.zeros_like(w) if g is None else g for g, w in zip(gradients, weights)]
    return torch.cat([g.flatten(1) for g in parts], dim=1)


class GradientClip:
    """Scale each member's gradient down to the norm `clip`, then clamp each entry to `clip_value`.

    g <- g min(1, clip / ||g||), then g_i <- max(-clip_value, min(clip_value, g_i)). None is no limit.

    Args:
        plans: `clip` and `clip_value` of each member.
        theta: The weights (population, weights).

    Example:
        >>> clip = GradientClip([Training(clip=1.0)], torch.zeros(1, 2))
        >>> clip(torch.tensor([[3.0, 4.0]]), torch.tensor([5.0]))
        tensor([[0.6000, 0.8000]])
    """

    def __init__(self, plans: Sequence[Training], theta: Tensor):
        self.norm = limits([p.clip for p in plans], theta)
        self.value = limits([p.clip_value for p in plans], theta)

    def __call__(self, gradient: Float[Tensor, "population weights"], norm: Float[Tensor, " population"]) -> Tensor:
        if self.norm is not None:
            gradient = gradient * (self.norm / norm.clamp(min=1e-30)[:, None]).clamp(max=1)
        return gradient if self.value is None else torch.clamp(gradient, -self.value, self.value)


def limits(values: Sequence[float | None], theta: Tensor) -> Float[Tensor, "population 1"] | None:
    """The limits of all members, infinity for None; None if nobody has one."""
    if all(value is None for value in values):
        return None
    return theta.new_tensor([float("inf") if value is None else value for value in values])[:, None]
