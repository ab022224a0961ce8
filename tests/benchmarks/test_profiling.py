"""Which operations the time goes into."""

import torch

from benchmarks import profiling


def test_the_time_of_operations_is_that_of_their_kinds():
    weight = torch.nn.Parameter(torch.randn(512, 512))
    table = torch.nn.Embedding(64, 512)
    optimizer = torch.optim.AdamW([weight, *table.parameters()])
    with profiling.OperationTimes() as times:
        (table(torch.arange(64)) @ weight).sigmoid().sum().backward()
        torch.nn.functional.dropout(weight, 0.1)
        torch.nn.utils.clip_grad_norm_([weight, *table.parameters()], 1.0)
        optimizer.step()
    assert set(times.seconds) == set(profiling.NAMES)
    assert all(seconds > 0 for seconds in times.seconds.values())


def test_an_operation_within_another_is_of_its_kind():
    with profiling.OperationTimes() as plain:
        torch.zeros(1 << 22)
    assert plain.seconds[profiling.REST] > 0
    assert sum(plain.seconds.values()) == plain.seconds[profiling.REST]
    table = torch.nn.Embedding(1 << 16, 64)
    loss = table(torch.tensor([1])).sum()
    with profiling.OperationTimes() as within:
        loss.backward()  # makes as many zeros, and little else
    assert within.seconds[profiling.TABLES] > within.seconds[profiling.REST]
