"""Names for the types of arrays."""

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Law = Values
Indices = NDArray[np.int64]
Mask = NDArray[np.bool_]
