"""The kind `gap`: what a design asks for and the code does not do, and what the code does and no design speaks of."""

from tasks.gap.kind import GapKind
from tasks.kind import SweepKind

KIND: SweepKind = GapKind()
