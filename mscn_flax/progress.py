"""The progress of a run: a bar at a terminal, otherwise a line in the log every few seconds."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

from mscn_flax.text import printable


class Progress:
    """Shows the step, the time left and the latest values; a context manager."""

    quiet = False
    """Whether nothing is shown: set in processes whose progress another process shows."""

    def __init__(self, label: str, total: int, start: int = 0, *, every_s: float = 10.0, unit: str = "step"):
        """Begins to measure time.

        Args:
          label: name of the run.
          total: number of steps of the run.
          start: number of steps done before.
          every_s: seconds between two lines in the log.
          unit: what the log calls a step.
        """
        label = printable(label)
        self._label, self._total, self._first, self._unit = label, total, start, unit
        self._every, self._began, self._last = every_s, time.monotonic(), time.monotonic()
        self._bar = None
        if sys.stderr.isatty() and not self.quiet:
            import rich.progress  # Takes a tenth of a second, which a short command need not wait.

            self._bar = rich.progress.Progress(
                rich.progress.TextColumn("{task.description}", markup=False),  # It may be the name of a file.
                rich.progress.BarColumn(),
                rich.progress.MofNCompleteColumn(),
                rich.progress.TimeRemainingColumn(),
                rich.progress.TextColumn("{task.fields[values]}"),
                console=rich.console.Console(stderr=True),
            )
            self._task = self._bar.add_task(label, total=total, completed=start, values="")

    def __enter__(self) -> "Progress":
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, *_) -> None:
        if self._bar:
            self._bar.stop()

    def show(self, step: int, values: dict[str, float]) -> None:
        """Shows that `step` steps are done, and some values by their names."""
        text = "  ".join(f"{name} {value:.4g}" for name, value in values.items())
        if self._bar:
            self._bar.update(self._task, completed=step, values=text)
            return
        now = time.monotonic()
        if self.quiet or (now - self._last < self._every and step < self._total):
            return
        self._last = now
        if done := step - self._first:
            text += f"  ETA {(now - self._began) / done * (self._total - step):.0f} s"
        print(f"{self._label}  {self._unit} {step}/{self._total}  {text}", file=sys.stderr, flush=True)


SOON_S = 2.0
"""Seconds of work of which no progress is shown."""

Shown = Callable[[int, int], None]
"""Takes how many are done, and of how many."""


@contextlib.contextmanager
def shown_if_long(label: str, unit: str) -> Iterator[Shown]:
    """What shows the progress of work that turns out to take longer than `SOON_S`; for one piece of work after another.

    Args:
      label: name of the work.
      unit: what is counted.
    """
    began, bars = time.monotonic(), []

    def show(done: int, total: int) -> None:
        if not bars and done < total and time.monotonic() - began > SOON_S:
            bars.append(Progress(label, total, done, unit=unit).__enter__())
        for bar in bars:
            bar.show(done, {})

    try:
        yield show
    finally:
        for bar in bars:
            bar.__exit__()
