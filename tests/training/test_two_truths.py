"""Labels of two pictures that are seen at once: every loss takes the truth as shares of both."""

import pytest
import torch
import torch.nn.functional as F

from flexunet.classes import IGNORE_INDEX
from flexunet.training.losses import LOSSES
from flexunet.training.scored import Scored

LINEAR = ["categorical_crossentropy", "binary_crossentropy", "focal", "dice_loss_multiclass", "dice_loss"]
WEIGHTS = torch.tensor([0.5, 1.0, 3.0])


def batch() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Logits (2, 3, 12, 14) and two sets of labels, ignored at the same pixels."""
    generator = torch.Generator().manual_seed(3)
    logits = 2 * torch.randn(2, 3, 12, 14, generator=generator)
    first, second = (torch.randint(0, 3, (2, 12, 14), generator=generator) for _ in "ab")
    ignored = torch.rand(first.shape, generator=generator) < 0.2
    first[ignored], second[ignored] = IGNORE_INDEX, IGNORE_INDEX
    return logits, first, second


@pytest.mark.parametrize("name", LOSSES)
def test_a_share_of_one_or_twice_the_same_labels_is_the_plain_loss(name: str) -> None:
    logits, first, second = batch()
    plain = LOSSES[name](Scored(logits, first), WEIGHTS)
    whole = Scored(logits, first, second=(second, torch.ones(2)))
    twice = Scored(logits, first, second=(first, torch.tensor([0.6, 0.9])))
    torch.testing.assert_close(LOSSES[name](whole, WEIGHTS), plain)
    torch.testing.assert_close(LOSSES[name](twice, WEIGHTS), plain)


@pytest.mark.parametrize("name", LINEAR)
def test_losses_that_are_sums_over_pixels_are_the_mean_by_share(name: str) -> None:
    logits, first, second = batch()
    mixed = Scored(logits, first, second=(second, torch.full((2,), 0.7)))
    one, other = (LOSSES[name](Scored(logits, labels), None) for labels in (first, second))
    torch.testing.assert_close(LOSSES[name](mixed, None), 0.7 * one + 0.3 * other, rtol=1e-3, atol=1e-3)


def test_cross_entropy_is_that_of_torch_with_probabilities_as_targets() -> None:
    logits, first, second = batch()
    first, second = first.clamp_max(2), second.clamp_max(2)
    share = torch.tensor([0.9, 0.55])
    one, other = (F.one_hot(labels, 3).permute(0, 3, 1, 2) for labels in (first, second))
    soft = share[:, None, None, None] * one + (1 - share)[:, None, None, None] * other
    expected = F.cross_entropy(logits, soft)
    scored = Scored(logits, first, second=(second, share))
    torch.testing.assert_close(LOSSES["categorical_crossentropy"](scored, None), expected)


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_are_finite_and_none_comes_from_ignored_pixels(name: str) -> None:
    logits, first, second = batch()
    logits.requires_grad_()
    loss = LOSSES[name](Scored(logits, first, second=(second, torch.tensor([0.6, 0.8]))), WEIGHTS)
    loss.backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()
    if name not in ("ssim_loss", "basnet_hybrid_loss"):  # windows reach over ignored pixels
        assert (logits.grad.movedim(1, -1)[first == IGNORE_INDEX].abs() < 1e-7).all()
