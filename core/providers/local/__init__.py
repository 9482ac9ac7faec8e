"""Models in directories of the user's own, run in this process and offline: the extra ``local``."""
