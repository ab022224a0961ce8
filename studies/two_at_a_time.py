"""Runs side by side on two cores: two processes of one thread each get more done than one of two."""

import multiprocessing
import warnings
from concurrent.futures import Executor, ProcessPoolExecutor

import torch
from transformers.utils import logging


def two_at_a_time() -> Executor:
    """A pool of two fresh processes of one thread each."""
    return ProcessPoolExecutor(2, multiprocessing.get_context("spawn"), initializer=one_thread_each)


def one_thread_each() -> None:
    """Models as small as those of the studies gain little from a second thread."""
    torch.set_num_threads(1)
    logging.disable_progress_bar()  # of loading and writing weights
    warnings.filterwarnings("ignore", message=".*pin_memory.*")
