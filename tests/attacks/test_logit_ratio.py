import pytest
import torch

from alum.attacks.logit_ratio import logit_ratio_against, ratio_where_defined

LOGITS = torch.randn(50, 4, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(50) % 4


def test_the_ratio_is_the_papers():
    """Croce and Hein 2020, equation 6: -(z_y - max_{i ≠ y} z_i) / (z_π1 - z_π3)."""
    for row, label, found in zip(LOGITS.tolist(), LABELS.tolist(), logit_ratio_against(LOGITS, LABELS), strict=True):
        first, _, third, _ = sorted(row, reverse=True)
        others = max(z for index, z in enumerate(row) if index != label)
        assert float(found) == pytest.approx(-(row[label] - others) / (first - third), rel=1e-5)


def test_neither_scale_nor_shift_change_it():
    found = logit_ratio_against(LOGITS, LABELS)
    torch.testing.assert_close(logit_ratio_against(300 * LOGITS + 7, LABELS), found, rtol=1e-3, atol=1e-4)
    assert torch.equal(found > 0, LOGITS.argmax(-1) != LABELS)


def test_equal_logits_have_a_ratio():
    assert logit_ratio_against(torch.zeros(1, 3), torch.tensor([0])).tolist() == [0]


@pytest.mark.parametrize(("num_labels", "count"), [(2, 0), (3, 1), (4, 1)])
def test_it_is_a_loss_where_there_are_three_labels(num_labels, count):
    outputs = {"logits": LOGITS[:, :num_labels]}
    losses = ratio_where_defined(outputs)
    assert len(losses) == count
    labels = LABELS % num_labels
    for loss in losses:
        torch.testing.assert_close(loss(outputs, {"labels": labels}), logit_ratio_against(outputs["logits"], labels))
