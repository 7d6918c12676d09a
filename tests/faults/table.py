"""The one table of faults."""

from faults.conversion import CONVERSION_FAULTS
from faults.serving import SERVING_FAULTS
from faults.several import SEVERAL_FAULTS
from faults.training import TRAINING_FAULTS

FAULTS = [*TRAINING_FAULTS, *SEVERAL_FAULTS, *CONVERSION_FAULTS, *SERVING_FAULTS]
