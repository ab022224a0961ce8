"""Work on many items side by side, in processes of their own: results in order, few of them in memory at a time."""

import gc
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection
from typing import Any, TypeVar

from alum.core.errors import InputError

_Item = TypeVar("_Item")
_Tag = TypeVar("_Tag")
_Result = TypeVar("_Result")

_WAITING_PER_PROCESS = 2
_function: Callable[[Any], Any] | None = None  # of a process that works


class ProcessKilled(InputError):
    """Error of work that a killed process did not finish; what was finished before it is good."""


def side_by_side(
    function: Callable[[_Item], _Result], items: Iterable[tuple[_Item, _Tag]], num_processes: int
) -> Iterator[tuple[_Result, _Tag]]:
    """Calls a function on each item, in several processes where there is more than one, and gives results in order.

    Items are read only a few ahead of their results; tags stay here. Raises `ProcessKilled` where a process was.
    """
    if num_processes == 1:
        yield from ((function(item), tag) for item, tag in items)
        return
    # A forked process has the function already; elsewhere it is sent once to each process.
    methods = multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("fork" if "fork" in methods else None)
    pool = ProcessPoolExecutor(num_processes, context, initializer=_begin, initargs=(function,))
    waiting: deque[tuple[Any, _Tag]] = deque()
    try:
        for item, tag in items:
            waiting.append((pool.submit(_work, item), tag))
            if len(waiting) > _WAITING_PER_PROCESS * num_processes:
                future, done = waiting.popleft()
                yield future.result(), done
        while waiting:
            future, done = waiting.popleft()
            yield future.result(), done
    except BrokenProcessPool:
        raise ProcessKilled(
            f"one of {num_processes} processes that prepare the text was killed, perhaps for want of memory: the same "
            "command goes on where it was; let fewer work side by side with --preprocessing_num_workers."
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _begin(function: Callable[[Any], Any]) -> None:
    global _function
    _function = function
    gc.freeze()  # a collection would write to, and so copy, all pages that are shared with the parent
    # A forked process has none of the tokenizer's threads, and would wait for them for ever.
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that reads the results stops all
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Ends this process when the one that reads the results was killed: nobody else would."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os._exit(1)


def _work(item: Any) -> Any:
    assert _function is not None
    return _function(item)
