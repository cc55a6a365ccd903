"""An autoencoder with a predicting head, one per split of the trials, trained in one batch."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from lyapsweep.analysis.prediction.cross_validation import TRAIN, VALIDATION

LAYERS = ("inward", "latent", "outward", "rebuilt", "head")


class Settings(NamedTuple):
    """`alpha` is the weight of the prediction loss; training ends `patience` epochs after the best one."""

    latent: int = 4
    hidden: int = 32
    alpha: float = 5.0
    lr: float = 3e-3
    decay: float = 0.01
    epochs: int = 600
    patience: int = 60


DEFAULT = Settings()


class AutoencoderFit(NamedTuple):
    """The best state of each split, and its outputs for all rows.

    `latent` (splits, rows, latent) and `predicted` (splits, rows) are outputs; `best` (splits,) is the epoch of the
    kept state and `last` the one at which training ended; `losses` (epochs, splits) are the validation losses, NaN
    after the end; `weights` of each layer are (splits, in + 1, out), the bias in the last row.
    """

    latent: np.ndarray
    predicted: np.ndarray
    best: np.ndarray
    last: np.ndarray
    losses: np.ndarray
    weights: dict[str, np.ndarray]


def fit(x: np.ndarray, y: np.ndarray, split: np.ndarray, seed: int, settings: Settings = DEFAULT) -> AutoencoderFit:
    """Minimise mean |x' - x| + alpha (y' - y)^2 over the training rows of each split by AdamW, full batch.

    z = A tanh(B x + b) + a, x' = D tanh(C z + c) + d, y' = w z + v. `x` (splits, rows, points) and `y` (splits, rows)
    are standardised by the caller. The state with the least validation loss is kept; a split ends after `patience`
    epochs without improvement. Splits share the epochs and nothing else; rows of the test part do not enter any loss.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return minimise(torch.as_tensor(x), torch.as_tensor(y), torch.as_tensor(split), seed, settings)
    finally:
        torch.set_num_threads(threads)


def minimise(x: Tensor, y: Tensor, split: Tensor, seed: int, settings: Settings) -> AutoencoderFit:
    weights = random_weights(len(x), x.shape[2], settings, torch.Generator().manual_seed(seed))
    optimiser = torch.optim.AdamW(list(weights.values()), lr=settings.lr, weight_decay=settings.decay)
    kept = {name: w.detach().clone() for name, w in weights.items()}
    lowest = torch.full((len(x),), torch.inf, dtype=x.dtype)
    best = torch.zeros(len(x), dtype=torch.long)
    losses, running = [], torch.ones(len(x), dtype=torch.bool)
    for epoch in range(settings.epochs + 1):
        loss = row_losses(weights, x, y, settings.alpha)
        validation = mean_over(loss.detach(), split == VALIDATION)
        losses.append(torch.where(running, validation, torch.nan))
        better = running & (validation < lowest)
        lowest, best = torch.where(better, validation, lowest), torch.where(better, epoch, best)
        kept = {name: torch.where(better[:, None, None], w.detach(), kept[name]) for name, w in weights.items()}
        running = running & (epoch - best < settings.patience)
        if not running.any():
            break
        optimiser.zero_grad()
        mean_over(loss, split == TRAIN).sum().backward()
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


def random_weights(splits: int, points: int, settings: Settings, generator: torch.Generator) -> dict[str, Tensor]:
    """Weights and biases uniform in +-1 / sqrt(in), different for each split."""
    hidden, latent = settings.hidden, settings.latent
    sizes = ((points, hidden), (hidden, latent), (latent, hidden), (hidden, points), (latent, 1))
    weights = {}
    for name, (i, o) in zip(LAYERS, sizes, strict=True):
        uniform = torch.rand(splits, i + 1, o, generator=generator, dtype=torch.float64)
        weights[name] = ((2 * uniform - 1) / i**0.5).requires_grad_()
    return weights


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


def mean_over(losses: Tensor, rows: Tensor) -> Tensor:
    """The mean over the marked rows of each split (splits,)."""
    return torch.where(rows, losses, 0.0).sum(1) / rows.sum(1)
