"""Progress of an evaluation while it runs: a bar in a terminal, and a line for each finished measurement."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from alum.data.visible_console import VisibleConsole
from alum.data.visible_text import counted


class EvaluationProgress:
    """Shows an evaluation's progress on standard error, by default, so that its printed results can be piped."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or VisibleConsole(stderr=True, force_jupyter=False)  # lines, in notebooks too

    @contextmanager
    def shown(self, title: str, num_rows: int, of: str = "rows") -> Iterator[Callable[[int], None]]:
        """Shows the progress of a measurement, and nothing where it has no rows.

        Yields a function, to be called with the number of rows that are done since its last call. Where others ``of``
        something are counted, such as rounds of a search, the number may be the most that there can be.
        """
        if num_rows == 0:
            yield lambda done: None
            return
        start = time.perf_counter()
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        shown = self._console.is_terminal
        with Progress(*columns, console=self._console, transient=True, disable=not shown) as progress:
            task = progress.add_task(title, total=num_rows)
            yield lambda done: progress.advance(task, done)
            num_done = int(progress.tasks[0].completed)
        seconds = time.perf_counter() - start
        line = Text(f"{title}: {counted(num_done, of.removesuffix('s'))} in {seconds:,.1f} s", style="dim")
        self._console.print(line, soft_wrap=not self._console.is_terminal)
