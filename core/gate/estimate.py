"""The twin of estimate.lua: how many tokens will a call really take?"""

import math
from dataclasses import dataclass

UNKNOWN = 4
KEEP = 1 - 1 / 200
RIDGE = 0.1


@dataclass(slots=True)
class Learned:
    """Sums over a template's and model's last calls: weight, estimates, real figures, and their products."""

    n: int = 0
    w: float = 0.0
    x: float = 0.0
    y: float = 0.0
    xx: float = 0.0
    xy: float = 0.0

    def learn(self, est: float, real: float) -> None:
        """Takes a settled call."""
        x = max(1, est)
        self.n = min(self.n + 1, 1000)
        self.w = self.w * KEEP + 1
        self.x = self.x * KEEP + x
        self.y = self.y * KEEP + real
        self.xx = self.xx * KEEP + x * x
        self.xy = self.xy * KEEP + x * real

    def expected(self, est: float) -> int:
        """What a call of this estimate will take."""
        if self.n == 0:
            return math.ceil(est * UNKNOWN)
        x, y = self.x / self.w, self.y / self.w
        ridge = (RIDGE * x) ** 2 * (1 + 10 / self.n)
        slope = (self.xy / self.w - x * y + ridge) / (max(0.0, self.xx / self.w - x * x) + ridge)
        real = y + min(4.0, max(0.0, slope)) * (est - x)
        return math.ceil(max(1.0, real) * (1 + 2 / self.n) - 1e-6)
