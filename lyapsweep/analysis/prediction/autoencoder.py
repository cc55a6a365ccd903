"""An autoencoder with a head that predicts, one for every split of the trials, trained side by side."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from lyapsweep.analysis.prediction.cross_validation import TRAIN, VALIDATION

LAYERS = ("inward", "latent", "outward", "rebuilt", "head")


class Settings(NamedTuple):
    """`alpha` weighs prediction against reconstruction; training ends `patience` epochs after the best one."""

    latent: int = 4
    hidden: int = 32
    alpha: float = 5.0
    lr: float = 3e-3
    decay: float = 0.01
    epochs: int = 600
    patience: int = 60


DEFAULT = Settings()


class AutoencoderFit(NamedTuple):
    """What the best state of each split makes of all rows, and the states themselves.

    `latent` (splits, rows, latent), `predicted` (splits, rows); `best` (splits,) the epoch whose state was kept and
    `last` the epoch at which training ended; `losses` (epochs, splits) the validation loss, NaN after the end;
    `weights` by layer (splits, in + 1, out), the bias in the last row.
    """

    latent: np.ndarray
    predicted: np.ndarray
    best: np.ndarray
    last: np.ndarray
    losses: np.ndarray
    weights: dict[str, np.ndarray]


def fit(x: np.ndarray, y: np.ndarray, split: np.ndarray, seed: int, settings: Settings = DEFAULT) -> AutoencoderFit:
    """Minimise mean |x' - x| + alpha (y' - y)^2 over the training rows of each split, by Adam on all of them at once.

    z = A tanh(B x + b) + a, x' = D tanh(C z + c) + d, y' = w z + v: the head is linear. `x` (splits, rows, points)
    and `y` (splits, rows) are standardised by the caller. The state with the least of the same loss over the
    validation rows is kept, as a copy of its own; a split that has not improved for `patience` epochs has ended.
    Splits share the epochs and nothing else; rows of the test part have no weight in either loss.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return descend(torch.as_tensor(x), torch.as_tensor(y), torch.as_tensor(split), seed, settings)
    finally:
        torch.set_num_threads(threads)


def descend(x: Tensor, y: Tensor, split: Tensor, seed: int, settings: Settings) -> AutoencoderFit:
    weights = drawn(len(x), x.shape[2], settings, torch.Generator().manual_seed(seed))
    optimiser = torch.optim.AdamW(list(weights.values()), lr=settings.lr, weight_decay=settings.decay)
    kept = {name: w.detach().clone() for name, w in weights.items()}
    least = torch.full((len(x),), torch.inf, dtype=x.dtype)
    best = torch.zeros(len(x), dtype=torch.long)
    losses, going = [], torch.ones(len(x), dtype=torch.bool)
    for epoch in range(settings.epochs + 1):
        each = row_losses(weights, x, y, settings.alpha)
        checked = over(each.detach(), split == VALIDATION)
        losses.append(torch.where(going, checked, torch.nan))
        better = going & (checked < least)
        least, best = torch.where(better, checked, least), torch.where(better, epoch, best)
        kept = {name: torch.where(better[:, None, None], w.detach(), kept[name]) for name, w in weights.items()}
        going = going & (epoch - best < settings.patience)
        if not going.any():
            break
        optimiser.zero_grad()
        over(each, split == TRAIN).sum().backward()
        optimiser.step()
    history = torch.stack(losses).numpy()
    with torch.no_grad():
        z, _, predicted = forward(kept, x)
    return AutoencoderFit(
        latent=z.numpy(),
        predicted=predicted.numpy(),
        best=best.numpy(),
        last=(~np.isnan(history)).sum(0) - 1,
        losses=history,
        weights={name: w.numpy() for name, w in kept.items()},
    )


def drawn(splits: int, points: int, settings: Settings, generator: torch.Generator) -> dict[str, Tensor]:
    """Weights and biases uniform in +-1 / sqrt(in), every split its own."""
    hidden, latent = settings.hidden, settings.latent
    sizes = ((points, hidden), (hidden, latent), (latent, hidden), (hidden, points), (latent, 1))
    draw = lambda i, o: torch.rand(splits, i + 1, o, generator=generator, dtype=torch.float64)  # noqa: E731
    return {name: ((2 * draw(i, o) - 1) / i**0.5).requires_grad_() for name, (i, o) in zip(LAYERS, sizes, strict=True)}


def forward(weights: dict[str, Tensor], x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(z (splits, rows, latent), x' (splits, rows, points), y' (splits, rows))."""
    z = affine(weights["latent"], torch.tanh(affine(weights["inward"], x)))
    rebuilt = affine(weights["rebuilt"], torch.tanh(affine(weights["outward"], z)))
    return z, rebuilt, affine(weights["head"], z)[..., 0]


def affine(w: Tensor, x: Tensor) -> Tensor:
    return torch.baddbmm(w[:, -1:], x, w[:, :-1])


def row_losses(weights: dict[str, Tensor], x: Tensor, y: Tensor, alpha: float) -> Tensor:
    """(splits, rows): mean |x' - x| + alpha (y' - y)^2."""
    _, rebuilt, predicted = forward(weights, x)
    return (rebuilt - x).abs().mean(-1) + alpha * (predicted - y) ** 2


def over(losses: Tensor, rows: Tensor) -> Tensor:
    """The mean over some rows of each split (splits,)."""
    return torch.where(rows, losses, 0.0).sum(1) / rows.sum(1)
