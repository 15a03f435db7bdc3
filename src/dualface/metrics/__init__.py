"""The project's statistics, exact and in numpy alone. FAKE is the positive class; a score is P(fake).

Here stands what training needs. `summary` and `bootstrap` are for the report, and imported by it alone, so that DVC
does not train again when an interval is computed in another way.
"""

from dualface.metrics.decision import youden_threshold
from dualface.metrics.ranking import roc_auc

__all__ = ["roc_auc", "youden_threshold"]
