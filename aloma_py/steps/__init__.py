"""What an author writes becomes steps: the decorator, loading, and what a step's code may read and write."""

from aloma_py.steps.decorator import Step, step
from aloma_py.steps.define import define
from aloma_py.steps.definition import Footprint, Location, Parallel, Rate, StepDefinition, Unknown
from aloma_py.steps.footprint import footprint
from aloma_py.steps.libraries import Libraries, Namespace
from aloma_py.steps.loading import StepSet, load_steps
from aloma_py.steps.options import OPTION_NAMES, StepOptions
from aloma_py.steps.parameters import PARAMETER_NAMES, fill_parameters
from aloma_py.steps.show import describe
from aloma_py.steps.sources import Sources

__all__ = [
    "OPTION_NAMES",
    "PARAMETER_NAMES",
    "Footprint",
    "Libraries",
    "Location",
    "Namespace",
    "Parallel",
    "Rate",
    "Sources",
    "Step",
    "StepDefinition",
    "StepOptions",
    "StepSet",
    "Unknown",
    "define",
    "describe",
    "fill_parameters",
    "footprint",
    "load_steps",
    "step",
]
