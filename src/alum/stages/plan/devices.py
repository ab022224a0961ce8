"""Accelerators by name, as vendors' data sheets have them (speed without sparsity), and ways to spread a model."""

from dataclasses import dataclass
from typing import Literal

Precision = Literal["fp32", "bf16"]
Strategy = Literal["ddp", "fsdp", "zero1", "zero2", "zero3"]


@dataclass(frozen=True)
class Device:
    """Accelerator: operations per second in matrix products, in half precision and in fp32, and its memory in bytes.

    ``half_flops`` are those of bf16, or of fp16 where there is none (V100, T4).
    """

    half_flops: float
    fp32_flops: float
    memory_bytes: float

    def flops(self, precision: Precision) -> float:
        return self.half_flops if precision == "bf16" else self.fp32_flops


DEVICES: dict[str, Device] = {
    "t4": Device(65e12, 8.1e12, 16e9),  # NVIDIA T4 data sheet
    "v100": Device(125e12, 15.7e12, 32e9),  # NVIDIA V100 data sheet, SXM2
    "a10": Device(125e12, 31.2e12, 24e9),  # NVIDIA A10 data sheet
    "l4": Device(121e12, 30.3e12, 24e9),  # NVIDIA L4 data sheet
    "rtx4090": Device(165.2e12, 82.6e12, 24e9),  # NVIDIA Ada architecture white paper, fp32 accumulation
    "a100-40gb": Device(312e12, 19.5e12, 40e9),  # NVIDIA A100 data sheet
    "a100": Device(312e12, 19.5e12, 80e9),  # NVIDIA A100 data sheet
    "h100": Device(989e12, 67e12, 80e9),  # NVIDIA H100 data sheet, SXM
    "h200": Device(989e12, 67e12, 141e9),  # NVIDIA H200 data sheet, SXM
    "mi300x": Device(1307e12, 163.4e12, 192e9),  # AMD Instinct MI300X data sheet
}
