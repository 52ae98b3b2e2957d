"""Models in the manner of other libraries; `scikit_learn` needs the extra ``minikeras[sklearn]``."""

from __future__ import annotations
