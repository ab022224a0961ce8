"""Checkpoints of a sharded model (FSDP2) in a loop around `AlumStep`, gone on with by any number of processes.

Runs offline in seconds, on made-up sentences and a tiny BERT, stops half way and goes on with twice the processes:

    torchrun --nproc-per-node 2 examples/distributed/sharded_checkpoint.py --steps 3
    torchrun --nproc-per-node 4 examples/distributed/sharded_checkpoint.py --steps 6
"""

import argparse
import os
from pathlib import Path
from typing import Any

import torch
import torch.distributed
import torch.distributed.checkpoint as dcp
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from transformers import BertConfig, BertForSequenceClassification

from alum import AlumStep

VOCAB_SIZE, LENGTH, BATCH_SIZE = 64, 12, 8


def sharded_model(device: str) -> nn.Module:
    torch.manual_seed(0)
    size = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    without_dropout = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    model = BertForSequenceClassification(BertConfig(vocab_size=VOCAB_SIZE, **size, **without_dropout)).to(device)
    mesh = init_device_mesh(device, (torch.distributed.get_world_size(),))
    for block in model.bert.encoder.layer:
        fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh)
    return model.train()


def batch_of(number: int, device: str) -> dict[str, Tensor]:
    """This process's rows of a batch, which is the same whatever the number of processes."""
    generator = torch.Generator().manual_seed(number)
    words = torch.randint(1, VOCAB_SIZE, (BATCH_SIZE, LENGTH), generator=generator)
    own = words[torch.distributed.get_rank() :: torch.distributed.get_world_size()].to(device)
    return {"input_ids": own, "labels": ((own >= VOCAB_SIZE // 2).sum(1) > LENGTH // 2).long()}


class Training:
    """All that a checkpoint has: weights, the optimizer's state, and that of the adversary."""

    def __init__(self, model: nn.Module, optimizer: torch.optim.Optimizer, step: AlumStep) -> None:
        self.model, self.optimizer, self.step = model, optimizer, step

    def state_dict(self) -> dict[str, Any]:
        weights, moments = get_state_dict(self.model, self.optimizer)
        return {"model": weights, "optimizer": moments, "adversary": self.step.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        set_state_dict(self.model, self.optimizer, model_state_dict=state["model"], optim_state_dict=state["optimizer"])
        self.step.load_state_dict(state["adversary"])


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--steps", type=int, default=3, help="number of the last step")
    flags.add_argument("--folder", type=Path, default=Path("sharded-checkpoints"))
    flags.add_argument("--method", default="alum")
    given = flags.parse_args()
    if "RANK" not in os.environ:
        raise SystemExit("start it by torchrun, with one process too: torchrun --nproc-per-node 1 " + __file__)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.distributed.init_process_group("nccl" if device == "cuda" else "gloo")

    model = sharded_model(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    step = AlumStep(model, given.method, target_divergence=0.1)  # whose radius is a part of the state
    training = {"training": Training(model, optimizer, step)}
    found = sorted(given.folder.glob("step-*"), key=lambda path: int(path.name.removeprefix("step-")))
    if found:
        dcp.load(training, checkpoint_id=found[-1])
    loss = float("nan")
    for number in range(step.num_calls, given.steps):
        loss = float(step(batch_of(number, device)).task_loss)
        optimizer.step()
        optimizer.zero_grad()
    dcp.save(training, checkpoint_id=given.folder / f"step-{step.num_calls}")
    if torch.distributed.get_rank() == 0:
        print(f"step {step.num_calls}: task loss {loss:.4f}, radius factor {step.radius.factor:.3f}")
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
