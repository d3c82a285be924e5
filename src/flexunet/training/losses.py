"""Losses on logits: float32, pixels with `IGNORE_INDEX` left out, the same number in one process or several.

y is the one-hot truth, p the probability, a pixel's sum runs over all labelled pixels of the global batch. A
sum that spans the batch is taken over every process before anything is divided, so splitting a batch changes
nothing.

A network with one output channel (sigmoid) is seen as two classes with logits (0, z), which are the same
probabilities; the losses that carry the reference's names then use that one channel alone, as Keras does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ..classes import IGNORE_INDEX
from ..config.schema import LossTerm
from .scored import Scored

SMOOTH = 1.0
KERAS_EPSILON = 1e-7
FOCAL_GAMMA = 2.0
TVERSKY_FALSE_POSITIVES, TVERSKY_FALSE_NEGATIVES = 0.3, 0.7
SSIM_WINDOW, SSIM_SIGMA, SSIM_K1, SSIM_K2 = 11, 1.5, 0.01, 0.03


Loss = Callable[[Scored, "Tensor | None"], Tensor]
"""A loss: the scored batch and the class weights (K,) or None, to a scalar."""


def categorical_crossentropy(scored: Scored, weights: Tensor | None = None) -> Tensor:
    """Mean over pixels of -w log p(true class); with class weights w, divided by the sum of w.

    Keras computes it from probabilities clipped to [1e-7, 1 - 1e-7]; from logits the same value needs no
    clipping, and the two differ only where the true class has a probability below 1e-7 (there Keras has no
    gradient, ours has).
    """
    if weights is None:
        return -scored.total(scored.log_likelihood.sum()) / scored.count
    of_pixel = scored.of_truth(lambda labels: scored.weight_of(labels, weights)) * scored.valid
    total = scored.total(torch.stack([-_weighted_log_likelihood(scored, weights).sum(), of_pixel.sum()]))
    return total[0] / total[1].clamp_min(KERAS_EPSILON)


def _weighted_log_likelihood(scored: Scored, weights: Tensor) -> Tensor:
    """(B, H, W): w log p(true class), 0 at ignored pixels."""
    return scored.of_truth(
        lambda labels: scored.log_likelihood_of(labels) * scored.weight_of(labels, weights)
    )


def binary_crossentropy(scored: Scored, weights: Tensor | None = None) -> Tensor:
    """Mean over pixels and channels of -(y log p + (1 - y) log(1 - p)): Keras' binary cross-entropy on its
    output.

    With one channel that is the usual sigmoid cross-entropy. log(1 - p) clips p to 1 - 1e-7 as Keras does.
    """
    if scored.single:
        return categorical_crossentropy(scored, weights)
    y, p = scored.channels
    of_class = -torch.log1p(-p.clamp_max(1 - KERAS_EPSILON)) * (1 - y)
    if weights is not None:
        of_class = of_class * weights[:, None, None]
    positive = scored.log_likelihood if weights is None else _weighted_log_likelihood(scored, weights)
    elements = of_class.sum(1) * scored.valid - positive
    return scored.total(elements.sum()) / (scored.count * scored.num_classes)


def dice(scored: Scored, weights: Tensor | None = None) -> Tensor:
    """1 - mean over foreground classes of (2 sum y p + 1) / (sum y + sum p + 1), sums over the whole global
    batch.

    Soft Dice (Milletari et al. 2016, V-Net, eq. 3, with plain sums in the denominator). A class absent from
    the batch contributes 1 / (sum p + 1): predicting it costs. The background does not count: it would hide
    the object.
    """
    y, p = scored.truth[:, 1:], scored.probabilities[:, 1:] * scored.valid[:, None]
    sums = scored.total(torch.stack([(y * p).sum((0, 2, 3)), (y + p).sum((0, 2, 3))]))
    return 1 - ((2 * sums[0] + SMOOTH) / (sums[1] + SMOOTH)).mean()


def focal(scored: Scored, weights: Tensor | None = None) -> Tensor:
    """Mean over pixels of -w (1 - p)^2 log p of the true class (Lin et al. 2017, eq. 5, gamma 2); w not
    normalised.
    """

    def of_labels(labels: Tensor) -> Tensor:
        likelihood = scored.log_likelihood_of(labels)
        elements: Tensor = -((1 - likelihood.exp()) ** FOCAL_GAMMA) * likelihood
        return elements if weights is None else elements * scored.weight_of(labels, weights)

    return scored.total(scored.of_truth(of_labels).sum()) / scored.count


def tversky(scored: Scored, weights: Tensor | None = None) -> Tensor:
    """1 - mean over foreground classes of (TP + 1) / (TP + 0.3 FP + 0.7 FN + 1), soft sums over the global
    batch.

    Salehi et al. 2017, eq. 3, their best alpha and beta: a missed pixel costs more than a false one.
    """
    y, p = scored.truth[:, 1:], scored.probabilities[:, 1:] * scored.valid[:, None]
    over = (0, 2, 3)
    hit, predicted, true = scored.total(torch.stack([(y * p).sum(over), p.sum(over), y.sum(over)]))
    false = TVERSKY_FALSE_POSITIVES * (predicted - hit) + TVERSKY_FALSE_NEGATIVES * (true - hit)
    overlap: Tensor = (hit + SMOOTH) / (hit + false + SMOOTH)
    return 1 - overlap.mean()


def lovasz(scored: Scored, weights: Tensor | None = None) -> Tensor:
    """Lovász-Softmax, mean over images of the mean over the foreground classes present in the image.

    Berman et al. 2018, eq. 8 to 11 and algorithm 1. An image without any foreground counts the background
    instead, so that false alarms cost; an image without labelled pixels counts 0. Where two labels are true
    at once, the one of the larger share counts: the sorted errors have no meaning for shares.
    """
    losses = [_lovasz_of_image(scored.probabilities[i], scored.labels[i]) for i in range(len(scored.labels))]
    return scored.per_image(torch.stack(losses) if losses else scored.logits.sum((1, 2, 3)))


def _lovasz_of_image(probabilities: Tensor, labels: Tensor) -> Tensor:
    keep = labels != IGNORE_INDEX
    p, labels = probabilities[:, keep], labels[keep]
    present = [c for c in range(1, len(p)) if bool((labels == c).any())] or [0]
    if not len(labels):
        return probabilities.sum() * 0
    return torch.stack([_lovasz_of_class(p[c], (labels == c).float()) for c in present]).mean()


def _lovasz_of_class(p: Tensor, y: Tensor) -> Tensor:
    errors, order = torch.sort((y - p).abs(), descending=True)
    y = y[order]
    intersection = y.sum() - y.cumsum(0)
    union = y.sum() + (1 - y).cumsum(0)
    jaccard: Tensor = 1 - intersection / union
    gradient = torch.cat([jaccard[:1], jaccard[1:] - jaccard[:-1]])
    loss: Tensor = (errors * gradient).sum()
    return loss


def dice_coef_of_images(scored: Scored) -> Tensor:
    """(B,): the reference's `dice_coef_multiclass` of each image: (2 sum y p + 1) / (sum y + sum p + 1), all
    classes.

    Not a Dice: over all classes both sums of the denominator are the number of pixels, so it is the mean
    probability of the true class. Computed for comparison.
    """
    hit, size = _overlap_of_images(scored)
    return (2 * hit + SMOOTH) / (size + SMOOTH)


def dice_coef(scored: Scored) -> Tensor:
    """The reference's `dice_coef`: (2 sum y p + 1) / (sum y + sum p + 1) over all classes of the whole global
    batch.

    With several classes no Dice either, but the mean probability of the true class.
    """
    hit, size = scored.total(torch.stack([values.sum() for values in _overlap_of_images(scored)]))
    coefficient: Tensor = (2 * hit + SMOOTH) / (size + SMOOTH)
    return coefficient


def _overlap_of_images(scored: Scored) -> tuple[Tensor, Tensor]:
    """(B,) each: sum y p and sum y + sum p over the channels that the reference sees."""
    if scored.single:
        y, p = scored.channels
        return (y * p).sum((1, 2, 3)), (y + p).sum((1, 2, 3))
    # over all classes y and p both sum to 1 in every pixel
    likelihood = scored.of_truth(lambda labels: scored.log_likelihood_of(labels).exp())
    return (likelihood * scored.valid).sum((1, 2)), 2 * scored.valid.sum((1, 2))


def dice_loss_multiclass(scored: Scored, weights: Tensor | None = None) -> Tensor:
    """The reference's: 1 - mean over images of (2 sum y p + 1) / (sum y + sum p + 1) over all classes
    and pixels.
    """
    return 1 - scored.per_image(dice_coef_of_images(scored))


def dice_loss(scored: Scored, weights: Tensor | None = None) -> Tensor:
    """The reference's: 1 - `dice_coef`."""
    return 1 - dice_coef(scored)


def bce_dice_loss(scored: Scored, weights: Tensor | None = None) -> Tensor:
    """The reference's: (binary cross-entropy + dice_loss) / 2."""
    return (binary_crossentropy(scored, weights) + dice_loss(scored)) / 2


def jacard_loss(scored: Scored, weights: Tensor | None = None) -> Tensor:
    """The reference's, also named `iou_loss`: 1 - sum y p / sum (y + p - y p), all classes, whole batch,
    unsmoothed.

    A batch whose union is empty (no labelled pixel) counts as 1, where the reference has NaN.
    """
    y, p = scored.channels
    sums = scored.total(torch.stack([(y * p).sum(), (y + p).sum()]))
    return 1 - sums[0] / (sums[1] - sums[0]).clamp_min(KERAS_EPSILON)


def bce_iou_loss(scored: Scored, weights: Tensor | None = None) -> Tensor:
    """The reference's: (binary cross-entropy + iou_loss) / 2."""
    return (binary_crossentropy(scored, weights) + jacard_loss(scored)) / 2


def ssim_loss(scored: Scored, weights: Tensor | None = None) -> Tensor:
    """The reference's: 1 - SSIM(y, p), peak value 1, mean over window positions, channels and images.

    Wang et al. 2004, eq. 13, as `tf.image.ssim` has it: Gaussian window of 11 pixels and sigma 1.5, no
    padding. Images smaller than the window use a window of their size. Ignored pixels are 0 in both.
    """
    y, p = scored.channels
    channels, (height, width) = y.shape[1], y.shape[2:]
    kernels = [_gaussian(min(SSIM_WINDOW, edge), y) for edge in (height, width)]

    def blur(values: Tensor) -> Tensor:
        for kernel, shape in zip(kernels, ((-1, 1), (1, -1)), strict=True):
            weight = kernel.reshape(1, 1, *shape).expand(channels, 1, *kernel.reshape(shape).shape)
            values = F.conv2d(values, weight, groups=channels)
        return values

    mean_y, mean_p = blur(y), blur(p)
    c1, c2 = SSIM_K1**2, SSIM_K2**2
    luminance = (2 * mean_y * mean_p + c1) / (mean_y**2 + mean_p**2 + c1)
    covariance = 2 * (blur(y * p) - mean_y * mean_p) + c2
    variances = blur(y * y + p * p) - mean_y**2 - mean_p**2 + c2
    return 1 - scored.per_image((luminance * covariance / variances).mean((1, 2, 3)))


def _gaussian(length: int, like: Tensor) -> Tensor:
    offsets = torch.arange(length, device=like.device, dtype=like.dtype) - (length - 1) / 2
    kernel = torch.exp(-(offsets**2) / (2 * SSIM_SIGMA**2))
    return kernel / kernel.sum()


def basnet_hybrid_loss(scored: Scored, weights: Tensor | None = None) -> Tensor:
    """The reference's: (binary cross-entropy + ssim_loss + jacard_loss) / 3 (after Qin et al. 2019,
    BASNet).
    """
    return (binary_crossentropy(scored, weights) + ssim_loss(scored) + jacard_loss(scored)) / 3


LOSSES: dict[str, Loss] = {
    "categorical_crossentropy": categorical_crossentropy,
    "binary_crossentropy": binary_crossentropy,
    "dice": dice,
    "focal": focal,
    "tversky": tversky,
    "lovasz": lovasz,
    "dice_loss_multiclass": dice_loss_multiclass,
    "dice_loss": dice_loss,
    "bce_dice_loss": bce_dice_loss,
    "jacard_loss": jacard_loss,
    "iou_loss": jacard_loss,
    "bce_iou_loss": bce_iou_loss,
    "ssim_loss": ssim_loss,
    "basnet_hybrid_loss": basnet_hybrid_loss,
}


def weighted_sum(terms: Sequence[LossTerm], scored: Scored, weights: Tensor | None = None) -> Tensor:
    """The configured sum of losses; class weights act on the cross-entropies and the focal loss."""
    parts = [term.weight * LOSSES[term.name](scored, weights) for term in terms]
    return parts[0] if len(parts) == 1 else torch.stack(parts).sum()


def balanced_weights(pixels: Sequence[int]) -> tuple[float, ...]:
    """Class weights from labelled pixels per class: total / (classes present x pixels of the class); absent:
    1.

    Every class then has the same share of the cross-entropy (King and Zeng 2001, scikit-learn's "balanced").
    """
    present = sum(count > 0 for count in pixels)
    total = sum(pixels)
    return tuple(total / (present * count) if count else 1.0 for count in pixels)
