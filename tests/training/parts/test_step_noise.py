import torch

from alum.training.parts.step_noise import StepNoise

CPU = torch.device("cpu")


def drawn(noise, step):
    return torch.rand(4, generator=noise.at(step))


def test_a_step_draws_the_same_in_a_resumed_run():
    undisturbed, resumed = StepNoise(0, 0, CPU), StepNoise(0, 0, CPU)
    drawn(undisturbed, 6)
    assert torch.equal(drawn(undisturbed, 7), drawn(resumed, 7))


def test_within_a_step_the_draws_go_on():
    noise = StepNoise(0, 0, CPU)
    assert not torch.equal(drawn(noise, 7), drawn(noise, 7))


def test_each_run_process_and_step_has_its_own():
    seeds = {
        StepNoise(seed, process, CPU).seed_at(step) for seed in range(5) for process in range(5) for step in range(50)
    }
    assert len(seeds) == 5 * 5 * 50


def test_what_is_common_is_the_same_in_all_processes_and_another_than_their_own():
    first, second = StepNoise(3, 0, CPU), StepNoise(3, 1, CPU)
    assert torch.equal(drawn(first.common, 7), drawn(second.common, 7))
    seeds = {noise.seed_at(step) for noise in (first, second, first.common) for step in range(50)}
    assert len(seeds) == 3 * 50


def test_the_global_state_is_left_alone():
    before = torch.get_rng_state()
    drawn(StepNoise(0, 0, CPU), 1)
    assert torch.equal(torch.get_rng_state(), before)
