"""Console of rich on which no text that is printed can move the cursor, change colours or turn the direction round."""

from collections.abc import Iterable
from typing import Any, NoReturn

from rich.console import Console, ConsoleOptions
from rich.segment import Segment

from alum.data.visible_text import visible


class VisibleConsole(Console):
    """Console whose texts are `visible`, whatever prints them; colours and bars of rich's own stay."""

    def render(self, renderable: Any, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(visible(segment.text), segment.style)

    def on_broken_pipe(self) -> NoReturn:
        """Lets the error through, of which rich would make an exit code."""
        raise
