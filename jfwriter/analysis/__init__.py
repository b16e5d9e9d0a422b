"""What messages lack is computed from pixels and put into them, so that it is stored as if it had been sent.

`prepare` once per run, `Analyser.complete` once per image. No sockets, no files, no threads of its own.
"""

from jfwriter.analysis.analyser import Analyser, Scratch
from jfwriter.analysis.preparation import Prepared, completes_start, prepare
from jfwriter.analysis.products import KeptProducts
from jfwriter.analysis.wishes import Wishes, wishes_of

__all__ = [
    "Analyser",
    "KeptProducts",
    "Prepared",
    "Scratch",
    "Wishes",
    "completes_start",
    "prepare",
    "wishes_of",
]
