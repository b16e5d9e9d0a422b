"""`/entry/profiling`: how long the sender took for each step of each image, in s."""

from __future__ import annotations

from jfwriter.plugins.columns import Column, ColumnPlugin
from jfwriter.session.plan import RunPlan

DATASETS = {
    "spotFindingTime": "spot_finding_time",
    "indexingTime": "indexing_time",
    "integrationTime": "integration_time",
    "refinementTime": "refinement_time",
    "processingTime": "processing_time",
    "braggPredictionTime": "bragg_prediction_time",
    "preprocessingTime": "preprocessing_time",
    "compressionTime": "compression_time",
    "azIntTime": "azint_time",
    "indexAnalysisTime": "index_analysis_time",
    "imageScaleTime": "image_scale_time",
}
"""Dataset name -> field of the image message."""


def profiling(plan: RunPlan) -> ColumnPlugin:
    columns = tuple(
        Column(f"profiling/{name}", "f4", float("nan"), field, "s") for name, field in DATASETS.items()
    )
    return ColumnPlugin("profiling", plan, columns)
