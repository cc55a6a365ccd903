"""Ray's callback made of the parts of a sweep's runner."""

import threading
from typing import TYPE_CHECKING

from lyapsweep.sweep.execute.searcher import PackSearcher
from lyapsweep.sweep.execute.tune_callback import TuneCallback
from lyapsweep.sweep.observe.callbacks import CallbackLogger

if TYPE_CHECKING:
    from lyapsweep.sweep.execute.runner import SweepRunner


def make_callback(
    runner: "SweepRunner", searcher: PackSearcher, time_limit: float | None, stop: threading.Event
) -> TuneCallback:
    """The callback that follows the packs of a searcher for a runner."""
    assert runner.async_logger is not None
    return TuneCallback(
        searcher,
        runner.counter,
        runner.study,
        CallbackLogger(runner.async_logger, runner.callbacks),
        runner.folder,
        stop,
        runner.sweep.objective,
        report_values=runner.sweep.intent == "hunt",
        time_limit=time_limit,
        on_event=runner.notify,
        on_step=runner.write_heartbeat,
        ended_before=runner.planned.ended_before,
    )
