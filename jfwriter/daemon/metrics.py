"""The status as Prometheus metrics, made anew for each scrape in a registry of the daemon's own."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from jfwriter.daemon.status import State, Status

CONTENT_TYPE = CONTENT_TYPE_LATEST


class _StatusCollector(Collector):
    def __init__(self, status: Callable[[], Status]) -> None:
        self._status = status

    def collect(self) -> Iterable[Metric]:
        status = self._status()
        yield InfoMetricFamily("jfwriter_build", "Version of the writer.", {"version": status.version})
        yield _labelled_gauge(
            "jfwriter_state",
            "1 for the present state.",
            "state",
            {s: float(s is status.state) for s in State},
        )
        yield from _gauges(status)
        yield from _counters(status)


class Metrics:
    """`text` is the answer to a scrape."""

    def __init__(self, status: Callable[[], Status]) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_StatusCollector(status))
        ProcessCollector(registry=self._registry)

    def text(self) -> bytes:
        return generate_latest(self._registry)


def _gauges(status: Status) -> Iterable[Metric]:
    values = (
        ("jfwriter_uptime_seconds", "Time since the start of the process.", status.uptime_s),
        ("jfwriter_queue_bytes", "Received messages that wait for the disk.", status.queue_bytes),
        (
            "jfwriter_byte_budget_bytes",
            "Receiving stops when the queue holds so much.",
            status.byte_budget_bytes,
        ),
        (
            "jfwriter_oldest_image_age_seconds",
            "Age of the oldest waiting message.",
            status.oldest_image_age_s,
        ),
        (
            "jfwriter_event_loop_lag_seconds",
            "Longest delay of the event loop lately.",
            status.event_loop_lag_s,
        ),
        ("jfwriter_receiving_paused", "1 while the byte budget is used up.", status.receiving_paused),
        ("jfwriter_warnings", "Warnings that the status shows.", len(status.warnings)),
        ("jfwriter_run_images_written", "Images written of the latest run.", status.nimages),
        ("jfwriter_run_images_expected", "Images expected, 0 if not known.", status.images_expected or 0),
    )
    for name, text, value in values:
        yield GaugeMetricFamily(name, text, float(value))
    analysis = status.analysis
    averages = (
        ("jfwriter_analysis_spots", "Spots per image, of the last 1000 images.", analysis.spots),
        ("jfwriter_analysis_hit_rate", "Share of images with enough spots.", analysis.hit_rate),
        ("jfwriter_analysis_indexing_rate", "Share of indexed images.", analysis.indexing_rate),
        (
            "jfwriter_analysis_background_photons",
            "Mean of pixels in 3 to 5 angstrom.",
            analysis.background_estimate,
        ),
        ("jfwriter_analysis_saturated_pixels", "Per image.", analysis.saturated_pixels),
        ("jfwriter_analysis_error_pixels", "Per image.", analysis.error_pixels),
        ("jfwriter_analysis_roi_beam_pixels", "Valid pixels of the ROI beam.", analysis.roi_beam_pixels),
        ("jfwriter_analysis_roi_beam_sum", "Sum over the ROI beam.", analysis.roi_beam_sum),
    )
    for name, text, average in averages:
        if average is not None:
            yield GaugeMetricFamily(name, text, average)
    yield GaugeMetricFamily("jfwriter_analysis_waiting", "Images that wait.", analysis.images_waiting)
    yield _labelled_gauge(
        "jfwriter_input_connected",
        "1 while a sender is connected.",
        "address",
        {source.address: float(source.connected) for source in status.inputs},
    )


def _counters(status: Status) -> Iterable[Metric]:
    totals = status.totals
    labelled = (
        ("jfwriter_messages", "Messages received, by type.", "type", totals.messages),
        ("jfwriter_bad_messages", "Messages that could not be decoded.", "kind", totals.bad_messages),
        ("jfwriter_images_dropped", "Images not written.", "reason", totals.images_dropped),
        ("jfwriter_messages_dropped", "Messages of all types.", "reason", totals.messages_dropped),
        ("jfwriter_runs", "Finished runs, by outcome.", "outcome", totals.runs),
        ("jfwriter_runs_refused", "Refused runs.", "reason", totals.runs_refused),
        ("jfwriter_runs_failed", "Runs that could not be written.", "reason", totals.runs_failed),
        ("jfwriter_http_refused", "HTTP requests and connections.", "reason", totals.http_refused),
    )
    for name, text, label, values in labelled:
        yield _labelled_counter(name, text, label, values)
    republish, announcements = status.republish, status.announcements
    plain = (
        ("jfwriter_images_received", "Image messages received.", totals.images_received),
        ("jfwriter_images_written", "Images written.", totals.images_written),
        ("jfwriter_images_unexpected", "Beyond the planned number.", totals.images_unexpected),
        ("jfwriter_quantities_left_out", "Values not stored.", totals.quantities_left_out),
        ("jfwriter_written_bytes", "Bytes of image data written.", totals.written_bytes),
        ("jfwriter_files_closed", "Data files finalized.", totals.files_closed),
        ("jfwriter_ignored_fields", "Fields of a wrong type.", totals.ignored_fields),
        ("jfwriter_images_analysed", "Images analysed.", totals.images_analysed),
        ("jfwriter_analysis_skipped", "Images written without analysis.", totals.analysis_skipped),
        ("jfwriter_receiving_pauses", "Times that receiving was paused.", totals.receiving_pauses),
        ("jfwriter_multipart_messages", "Refused.", sum(i.multipart_messages for i in status.inputs)),
        ("jfwriter_broken_connections", "To senders.", sum(i.broken_connections for i in status.inputs)),
        ("jfwriter_failed_handshakes", "With senders.", sum(i.failed_handshakes for i in status.inputs)),
        ("jfwriter_republished", "Messages sent on.", republish.sent if republish else 0),
        ("jfwriter_not_republished", "Messages nobody took.", republish.not_republished if republish else 0),
        ("jfwriter_announcements", "Announcements sent.", announcements.sent if announcements else 0),
        ("jfwriter_notifications", "Senders notified.", status.notifications.sent),
        ("jfwriter_notifications_failed", "Senders not reached.", status.notifications.failed),
    )
    for name, text, value in plain:
        yield CounterMetricFamily(name, text, float(value))
    doors = {"republish": republish, "announce": announcements}
    refused = {name: door.refused_connections for name, door in doors.items() if door is not None}
    yield _labelled_counter("jfwriter_refused_connections", "Without the right key.", "socket", refused)


def _labelled_counter(name: str, text: str, label: str, values: dict[str, int]) -> Metric:
    family = CounterMetricFamily(name, text, labels=[label])
    for key, value in values.items():
        family.add_metric([str(key)], float(value))
    return family


def _labelled_gauge(name: str, text: str, label: str, values: dict[str, float]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=[label])
    for key, value in values.items():
        family.add_metric([str(key)], value)
    return family
