"""Set before any test module imports a library: no network, and one thread, since the models here are tiny."""

import os

os.environ["HF_HUB_OFFLINE"] = "1"
# Commands that tests start use more, and would spin, ten times as long, where another process has a core.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch

torch.set_num_threads(1)
