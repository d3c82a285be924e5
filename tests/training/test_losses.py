"""Every loss is its formula, ignored pixels never count, one sigmoid channel is two softmax channels."""

import math
from typing import get_args

import pytest
import torch
import torch.nn.functional as F

from flexunet.classes import IGNORE_INDEX
from flexunet.config.schema import LossName, LossTerm
from flexunet.metrics import REFERENCE_LOSSES, REFERENCE_METRICS, reference_dice_multiclass
from flexunet.nets import probabilities
from flexunet.training.losses import (
    LOSSES,
    balanced_weights,
    dice_coef,
    dice_coef_of_images,
    weighted_sum,
)
from flexunet.training.scored import Scored

# One image of 1 x 4 pixels, two classes; probability of class 1 and the truth, by hand
P1 = torch.tensor([0.8, 0.4, 0.1, 0.3])
TRUTH = torch.tensor([1, 1, 0, 0])
HIT, PREDICTED, TRUE = 0.8 + 0.4, 0.8 + 0.4 + 0.1 + 0.3, 2.0


def by_hand() -> Scored:
    logits = torch.stack([(1 - P1).log(), P1.log()])[None, :, None, :]
    return Scored(logits, TRUTH[None, None, :])


def random_batch(classes: int = 3, size: int = 16, ignore: bool = True) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(7)
    logits = 2 * torch.randn(2, classes, size, size + 3, generator=generator)
    labels = torch.randint(0, max(classes, 2), (2, size, size + 3), generator=generator)
    if ignore:
        labels[torch.rand(labels.shape, generator=generator) < 0.2] = IGNORE_INDEX
    return logits, labels


def test_every_name_of_the_schema_has_a_loss() -> None:
    assert set(LOSSES) == set(get_args(LossName))


def test_cross_entropy_by_hand() -> None:
    expected = -(math.log(0.8) + math.log(0.4) + math.log(0.9) + math.log(0.7)) / 4
    assert LOSSES["categorical_crossentropy"](by_hand(), None).item() == pytest.approx(expected, rel=1e-6)


def test_weighted_cross_entropy_by_hand() -> None:
    weights = torch.tensor([0.5, 3.0])
    expected = -(3 * math.log(0.8) + 3 * math.log(0.4) + 0.5 * math.log(0.9) + 0.5 * math.log(0.7)) / 7
    assert LOSSES["categorical_crossentropy"](by_hand(), weights).item() == pytest.approx(expected, rel=1e-6)


def test_dice_by_hand() -> None:
    expected = 1 - (2 * HIT + 1) / (PREDICTED + TRUE + 1)
    assert LOSSES["dice"](by_hand(), None).item() == pytest.approx(expected, rel=1e-6)


def test_tversky_by_hand() -> None:
    expected = 1 - (HIT + 1) / (HIT + 0.3 * (PREDICTED - HIT) + 0.7 * (TRUE - HIT) + 1)
    assert LOSSES["tversky"](by_hand(), None).item() == pytest.approx(expected, rel=1e-6)


def test_focal_by_hand() -> None:
    expected = -sum((1 - q) ** 2 * math.log(q) for q in (0.8, 0.4, 0.9, 0.7)) / 4
    assert LOSSES["focal"](by_hand(), None).item() == pytest.approx(expected, rel=1e-6)


def test_lovasz_by_hand() -> None:
    # class 1: errors .2 .6 .1 .3, sorted .6(t) .3(f) .2(t) .1(f): Jaccard losses 1/2, 2/3, 1, 1
    expected = 0.6 * 1 / 2 + 0.3 * (2 / 3 - 1 / 2) + 0.2 * (1 - 2 / 3) + 0.1 * 0
    assert LOSSES["lovasz"](by_hand(), None).item() == pytest.approx(expected, rel=1e-5)


def test_lovasz_of_a_hard_prediction_is_the_jaccard_loss() -> None:
    truth = torch.tensor([[[1, 1, 1, 0, 0, 0, 0]]])
    predicted = torch.tensor([[[1, 1, 0, 1, 0, 0, 0]]])
    logits = 200 * (F.one_hot(predicted, 2).permute(0, 3, 1, 2) - 0.5)
    assert LOSSES["lovasz"](Scored(logits, truth), None).item() == pytest.approx(1 - 2 / 4, rel=1e-5)


@pytest.mark.parametrize("classes", [1, 2, 3])
@pytest.mark.parametrize("ignore", [False, True])
@pytest.mark.parametrize("name", sorted(REFERENCE_LOSSES))
def test_losses_with_the_references_names_equal_an_independent_implementation(
    name: str, ignore: bool, classes: int
) -> None:
    logits, labels = random_batch(classes, ignore=ignore)
    p = logits.sigmoid() if classes == 1 else logits.softmax(1)
    if name == "categorical_crossentropy" and classes == 1:
        pytest.skip("Keras has no categorical cross-entropy of one channel; ours is the binary one")
    expected = REFERENCE_LOSSES[name](p.double().numpy(), labels.numpy())
    assert LOSSES[name](Scored(logits, labels), None).item() == pytest.approx(expected, rel=2e-5)


@pytest.mark.parametrize("classes", [1, 2, 4])
def test_the_references_dice_coefficients_equal_an_independent_implementation(classes: int) -> None:
    logits, labels = random_batch(classes)
    p = (logits.sigmoid() if classes == 1 else logits.softmax(1)).numpy()
    scored = Scored(logits, labels)
    of_images = dice_coef_of_images(scored).mean().item()
    assert of_images == pytest.approx(reference_dice_multiclass(p, labels.numpy()), rel=1e-5)
    of_batch = REFERENCE_METRICS["dice_coef"](p, labels.numpy())
    assert dice_coef(scored).item() == pytest.approx(of_batch, rel=1e-5)


@pytest.mark.parametrize("name", sorted(set(LOSSES) - {"ssim_loss", "basnet_hybrid_loss"}))
def test_ignored_pixels_change_nothing_and_have_no_gradient(name: str) -> None:
    logits, labels = random_batch()
    ignored = (labels == IGNORE_INDEX)[:, None].expand_as(logits)
    first = logits.clone().requires_grad_()
    loss = LOSSES[name](Scored(first, labels), None)
    loss.backward()  # type: ignore[no-untyped-call]
    assert first.grad is not None
    assert first.grad[ignored].abs().max() == 0
    other = torch.where(ignored, torch.tensor(9.0), logits)
    assert LOSSES[name](Scored(other, labels), None).item() == pytest.approx(loss.item(), rel=1e-6)


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_gradients_are_finite_for_certain_wrong_absent_and_ignored(name: str) -> None:
    logits, labels = random_batch(size=12)
    logits = (60 * logits).requires_grad_()  # probabilities of exactly 0 and 1
    labels[0] = 0
    labels[1] = IGNORE_INDEX
    loss = LOSSES[name](Scored(logits, labels), torch.tensor([1.0, 2.0, 3.0]))
    loss.backward()  # type: ignore[no-untyped-call]
    assert torch.isfinite(loss)
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("name", ["categorical_crossentropy", "dice", "focal", "tversky", "lovasz"])
def test_one_sigmoid_channel_is_the_softmax_of_zero_and_it(name: str) -> None:
    logits, labels = random_batch(classes=1)
    two = torch.cat([torch.zeros_like(logits), logits], 1)
    assert LOSSES[name](Scored(logits, labels), None) == LOSSES[name](Scored(two, labels), None)
    assert torch.allclose(Scored(logits, labels).probabilities, probabilities(logits), atol=1e-6)


def test_cross_entropy_is_that_of_torch_with_weights_and_ignored_pixels() -> None:
    logits, labels = random_batch()
    weights = torch.tensor([0.2, 1.0, 5.0])
    expected = F.cross_entropy(logits, labels, weights, ignore_index=IGNORE_INDEX)
    assert torch.allclose(LOSSES["categorical_crossentropy"](Scored(logits, labels), weights), expected)


def test_half_precision_logits_are_scored_in_float32() -> None:
    logits, labels = random_batch()
    half = logits.bfloat16()
    ours = weighted_sum([LossTerm(name="dice"), LossTerm(name="focal", weight=0.5)], Scored(half, labels))
    full = Scored(half.float(), labels)
    expected = LOSSES["dice"](full, None) + 0.5 * LOSSES["focal"](full, None)
    assert ours.dtype == torch.float32
    assert torch.equal(ours, expected)


def test_balanced_weights_give_every_class_the_same_share() -> None:
    weights = balanced_weights([900, 90, 10, 0])
    assert [w * n for w, n in zip(weights[:3], (900, 90, 10), strict=True)] == pytest.approx([1000 / 3] * 3)
    assert weights[3] == 1
