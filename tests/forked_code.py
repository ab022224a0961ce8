"""Python code in processes that start at once: forks of one that has imported torch, transformers and alum."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_SERVER = """
import gc, json, os, sys, tempfile, traceback

import datasets
from transformers import BertForMaskedLM, BertForSequenceClassification, BertTokenizerFast, Trainer
from alum.stages.evaluation import run
from alum.training import step, trainer

gc.freeze()  # the Trainer collects garbage after training: looking through all modules takes longer
for line in sys.stdin:
    order = json.loads(line)
    if not (pid := os.fork()):
        os.chdir(order["folder"])
        os.environ.update(order["environment"])
        tempfile.tempdir = None  # which was looked up when libraries were imported
        for number, name in ((1, "stdout"), (2, "stderr")):
            os.dup2(os.open(order[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        code = 0
        try:
            exec(compile(order["code"], "code", "exec"), {"__name__": "__main__"})
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        except BaseException:
            traceback.print_exc()
            code = 1
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


@dataclass(frozen=True)
class Done:
    """How code ended, and what it wrote."""

    returncode: int
    stdout: str
    stderr: str


class ForkedCode:
    """Runs code after code, each in a fork of its own; ``folder`` takes what they write to their standard streams."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with (folder / "server.txt").open("w") as said:
            self._server = subprocess.Popen(
                [sys.executable, "-c", _SERVER],
                env={**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=said,
                text=True,
            )

    def run(self, code: str, folder: Path, environment: Mapping[str, str] | None = None) -> Done:
        """Runs it in ``folder`` to its end, with further variables of the environment."""
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        streams = {name: str(self._folder / name) for name in ("stdout", "stderr")}
        order = {"code": code, "folder": str(folder), "environment": dict(environment or {}), **streams}
        print(json.dumps(order), file=self._server.stdin, flush=True)
        returncode = int(self._server.stdout.readline() or self.close())
        return Done(returncode, *(Path(streams[name]).read_text(encoding="utf-8") for name in ("stdout", "stderr")))

    def close(self) -> int:
        """Ends the process that is forked, and returns its exit code; raises `AssertionError` if it failed."""
        assert self._server.stdin is not None
        self._server.stdin.close()
        code = self._server.wait()
        assert code == 0, (self._folder / "server.txt").read_text()[-4000:]
        return code
