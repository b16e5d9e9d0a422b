"""A DCU for tests, benchmarks and demonstrations: images, messages, sockets.

options = RunOptions(detector=..., geometry=..., sample=...)
run = SimulatedRun(options)
messages = list(run.messages())                 # bytes, without sockets
with Dcu(["tcp://127.0.0.1:*"]) as dcu:         # or over PUSH
    send_run(dcu, run)
"""

from jfwriter.simulator.dcu import Dcu
from jfwriter.simulator.detector import DETECTORS, find_detector
from jfwriter.simulator.options import (
    Experiment,
    Flavour,
    RunOptions,
    Sample,
    Scan,
    default_geometry,
    default_sample,
)
from jfwriter.simulator.run import SimulatedRun
from jfwriter.simulator.sending import SendPlan, SendReport, send_run

__all__ = [
    "DETECTORS",
    "Dcu",
    "Experiment",
    "Flavour",
    "RunOptions",
    "Sample",
    "Scan",
    "SendPlan",
    "SendReport",
    "SimulatedRun",
    "default_geometry",
    "default_sample",
    "find_detector",
    "send_run",
]
