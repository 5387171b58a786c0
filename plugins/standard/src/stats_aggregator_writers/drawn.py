"""Drawn: which points a category's event files have, as far as this process wrote them."""

from __future__ import annotations

from tensorboard.compat.proto import summary_pb2


class Drawn:
    """The last step of each tag, and the points of the newest step.

    A point that was left over when all workers had ended gives way: it is drawn where its tag has none at its
    step or later, and one that a later period brings for the same step replaces it.
    """

    def __init__(self) -> None:
        self.step = -1
        """The newest step that has a point."""
        self._steps: dict[str, int] = {}
        self._newest = summary_pb2.Summary()  # all points of `step`
        self._left: set[str] = set()  # the tags among them whose point was left over

    @property
    def has_left_over(self) -> bool:
        """Whether a point of the newest step was left over."""
        return bool(self._left)

    def missing(self, step: int, summary: summary_pb2.Summary) -> summary_pb2.Summary:
        """Return the points of `summary` whose tags have none at `step` or later."""
        found = [value for value in summary.value if self._steps.get(value.tag, -1) < step]
        return summary_pb2.Summary(value=found)

    def replaces_left_over(self, step: int, summary: summary_pb2.Summary) -> bool:
        """Return whether a point that was left over at `step` is among those that come again."""
        return step == self.step and any(value.tag in self._left for value in summary.value)

    def all_of(self, step: int, summary: summary_pb2.Summary) -> summary_pb2.Summary:
        """Return `summary` and the other points of `step`, where that is the newest."""
        if step != self.step:
            return summary
        tags = {value.tag for value in summary.value}
        others = [value for value in self._newest.value if value.tag not in tags]
        return summary_pb2.Summary(value=[*summary.value, *others])

    def add(self, step: int, summary: summary_pb2.Summary, *, left_over: bool) -> None:
        """Note that the points were written; where the step goes back, they hide all from there on.

        What was left over hides nothing.
        """
        tags = {value.tag for value in summary.value}
        if step < self.step and not left_over:
            self._steps = {tag: at for tag, at in self._steps.items() if at < step}
        self._steps |= dict.fromkeys(tags, step)
        if step < self.step and left_over:
            return
        kept = self._left if step == self.step else set()
        self._left = kept | tags if left_over else kept - tags
        self._newest = self.all_of(step, summary)
        self.step = step
