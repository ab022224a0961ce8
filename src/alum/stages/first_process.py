"""First of the processes of one training, which alone opens folders and writes records."""

import torch


def is_first_process() -> bool:
    return not torch.distributed.is_initialized() or torch.distributed.get_rank() == 0
