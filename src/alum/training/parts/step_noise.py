"""Random numbers of a training step beside dropout: the first δ, random perturbations, which rows are attacked."""

from functools import cached_property

import torch
from torch import Generator

_ALL_PROCESSES = -1


class StepNoise:
    """Random numbers that follow from seed, process and step alone, and leave the global random state as it is.

    A resumed run draws what an undisturbed one would.
    """

    def __init__(self, seed: int, process_index: int, device: torch.device) -> None:
        self._seed = seed
        self._of_process = seed * 1_000_003 + process_index
        self._generator = Generator(device)
        self._step = -1

    @cached_property
    def common(self) -> "StepNoise":
        """Random numbers that are the same in all processes, on the CPU: what all of them decide alike."""
        return StepNoise(self._seed, _ALL_PROCESSES, torch.device("cpu"))

    def seed_at(self, step: int) -> int:
        """Seed for a step, different for each seed of a run, each process and each step."""
        return (self._of_process * 10_000_019 + step) % 2**63

    def at(self, step: int) -> Generator:
        """Random generator of a step, for all that it draws, in turn."""
        if self._step != step:
            self._step = step
            self._generator.manual_seed(self.seed_at(step))
        return self._generator
