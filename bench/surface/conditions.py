"""The design: which settings and losses are measured. No full grid: every axis is covered, and so are the pairs that
matter together. The same seed always gives the same list.
"""

from __future__ import annotations

import dataclasses
import random

NARROW, MEDIUM, WIDE, SUPER, FULL = "narrowband", "mediumband", "wideband", "superwideband", "fullband"
RATES = (6, 8, 10, 12, 14, 16, 20, 24, 32, 40, 48, 64)
MASKS = ("lossgen/lossgen_02pct_A.txt", "lossgen/lossgen_05pct_A.txt", "lossgen/lossgen_10pct_A.txt",
         "lossgen/lossgen_20pct_A.txt", "tplcnet/1214_is_lost.txt", "tplcnet/54_is_lost.txt")


@dataclasses.dataclass(frozen=True)
class Condition:
    kbps: int
    band: str
    frame: int = 20
    fec: int = 0
    red: int = 0
    dtx: bool = False
    loss: float = 0.0
    burst: float = 1.0
    mask: str = ""

    @property
    def name(self) -> str:
        text = f"{self.kbps}k {self.band} {self.frame}ms"
        text += f" fec{self.fec}" if self.fec else ""
        text += f" red{self.red}" if self.red else ""
        text += " dtx" if self.dtx else ""
        text += f" {self.mask}" if self.mask else f" loss{self.loss:g}x{self.burst:g}" if self.loss else ""
        return text

    def action(self) -> dict:
        return {"codec": "opus+red" if self.red else "opus", "bitrateKbps": self.kbps, "bandwidth": self.band,
                "frameMillis": self.frame, "expectedLoss": self.fec, "redDepth": self.red, "dtx": self.dtx,
                "transport": "direct"}

    def loss_model(self) -> dict:
        return {"mask": self.mask} if self.mask else {"mean": self.loss, "burst": self.burst}


def coding() -> list[Condition]:
    """Without loss: rate by bandwidth, frame, FEC and DTX."""
    rates = {
        NARROW: (6, 8, 10, 12, 16, 24, 48), MEDIUM: (10, 16, 32), WIDE: (10, 12, 14, 16, 20, 24, 32, 48, 64),
        SUPER: (14, 16, 20, 24, 32, 48, 64), FULL: (14, 16, 20, 24, 32, 40, 48, 64, 96),
    }
    out = [Condition(k, band) for band, list_ in rates.items() for k in list_]
    for frame in (40, 60, 120):
        out += [Condition(k, b, frame) for k, b in ((6, NARROW), (8, NARROW), (12, WIDE), (16, WIDE), (24, FULL), (32, FULL), (64, FULL))]
    for fec in (10, 25, 40):
        out += [Condition(k, FULL, fec=fec) for k in (16, 20, 24, 32, 48, 64)]
    out += [Condition(24, FULL, 60, fec=10), Condition(32, FULL, 60, fec=25), Condition(24, FULL, 120, fec=10),
            Condition(24, WIDE, fec=10), Condition(48, WIDE, fec=25)]
    out += [Condition(k, b, f, dtx=True) for k, b, f in
            ((8, NARROW, 20), (12, WIDE, 20), (16, WIDE, 60), (24, FULL, 20), (32, FULL, 20), (24, FULL, 60), (64, FULL, 20))]
    return out


AUTO = {6: NARROW, 8: NARROW, 10: WIDE, 12: WIDE, 14: WIDE, 16: WIDE, 20: SUPER, 24: SUPER, 32: FULL, 40: FULL, 48: FULL, 64: FULL}


def ladders() -> list[Condition]:
    """Loss ladders of a few plain settings, so that the shape over loss is seen without anything else."""
    out = []
    for k, b, f in ((32, FULL, 20), (16, WIDE, 20), (8, NARROW, 20), (24, SUPER, 60), (24, SUPER, 120), (64, FULL, 40)):
        losses = (0.005, 0.01, 0.02, 0.04, 0.07, 0.12, 0.2, 0.35, 0.6) if f == 20 else (0.01, 0.04, 0.1, 0.2, 0.4)
        out += [Condition(k, b, f, loss=p) for p in losses]
    for p in (0.02, 0.05, 0.1, 0.2):
        out += [Condition(32, FULL, loss=p, burst=x) for x in (2, 4, 8)]
    out += [Condition(32, FULL, mask=m) for m in MASKS]
    return out


def mixed(count: int = 150, seed: int = 4) -> list[Condition]:
    """Random settings under random loss: loss log-uniform, half of it bursty, a tenth from masks."""
    rng = random.Random(seed)
    out: list[Condition] = []
    while len(out) < count:
        k = rng.choice(RATES)
        band = AUTO[k] if rng.random() < 0.7 else rng.choice((NARROW, WIDE, FULL))
        frame = rng.choice((20, 20, 40, 60, 120))
        fec = rng.choice((0, 0, 10, 25, 40)) if k >= 16 else 0
        red = rng.choice((0, 0, 0, 1, 2)) if not fec else 0
        dtx = rng.random() < 0.12
        mask = rng.choice(MASKS) if rng.random() < 0.1 else ""
        loss = round(10 ** rng.uniform(-2.2, -0.35), 3)
        burst = rng.choice((1, 1, 1.5, 2, 3, 5, 8))
        if burst > 1 and burst * (1 - loss) < loss:
            burst = 1
        c = Condition(k, band, frame, fec, red, dtx, 0.0 if mask else loss, 1.0 if mask else burst, mask)
        if c not in out:
            out.append(c)
    return out


def everything() -> list[Condition]:
    return list(dict.fromkeys(coding() + ladders() + mixed()))


if __name__ == "__main__":
    print(len(coding()), len(ladders()), len(mixed()), len(everything()))
