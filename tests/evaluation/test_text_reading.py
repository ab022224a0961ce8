import numpy as np
import pytest
import torch

from alum.core.errors import InputError
from alum.evaluation.text_reading import as_outputs, check_finite, check_unicode


def test_outputs_are_float64():
    outputs = as_outputs(torch.tensor([0.5, 1.5], dtype=torch.bfloat16))
    assert outputs.dtype == np.float64
    assert outputs.tolist() == [0.5, 1.5]


def test_what_cannot_be_read_is_refused():
    check_unicode(("a", "\u00e9"))
    with pytest.raises(InputError, match="expected text in UTF-8"):
        check_unicode(("a", "b\udcff"))
    check_finite(torch.ones(2))
    with pytest.raises(InputError, match="not finite"):
        check_finite(torch.tensor([1.0, float("inf")]))
