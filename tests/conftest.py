"""Set before any test module imports a library: no network, and one thread, since the models here are tiny."""

import os

os.environ["HF_HUB_OFFLINE"] = "1"

import torch

torch.set_num_threads(1)
