"""Puts the metrics on one scale: the transmission rating R of the fullband E-model (ITU-T G.107.2), 0..148.

The idea is that of ITU-T P.834.1: an instrumental score becomes a rating by way of reference conditions whose rating is
known (anchors.py). A map for each metric and each of wideband and narrowband:

    R = top (1 - (1 - z)^p),   z = (score - floor) / (score of the unimpaired band - floor),   top = 129 or 93.2

p is fitted to the anchors by least squares, each family of codecs with the same weight. Two maps, because both metrics
forgive a missing octave more than people do; mediumband lies halfway. The maps are strictly increasing, so that no
difference a metric hears is lost. A rating is the mean over the metrics. What is above 8 kHz adds up to 19 from
wideband to fullband (G.113, appendix V): the share of it that is there according to ViSQOL's audio mode stretches
the scale in proportion.
"""

from __future__ import annotations

import collections
import csv
import gzip

import numpy as np
import scipy.optimize

import anchors

METRICS = ("pesq", "visqol")
FLOOR = {"pesq": 1.02, "visqol": 1.0}  # what each gives when nothing is left: R = 0
TOP = {"wide": ("nothing", 129.0), "narrow": ("narrow", 93.2)}
FAMILIES = {
    "wide": (tuple(a for a in anchors.RATING if a.startswith("amr-wb")), ("g722-64", "g722-56", "g722-48")),
    "narrow": (("amr-12.2",), ("g711", "g726-32", "g726-24", "g726-16")),
}
EXTENSION = 19.0
IDENTICAL = 4.7321  # ViSQOL's audio mode when nothing differs


def read(path: str) -> list[dict]:
    rows = []
    with gzip.open(path, "rt") if path.endswith(".gz") else open(path) as f:
        for r in csv.DictReader(f):
            rows.append({k: v if k in ("clip", "condition", "band") else float(v) if v else np.nan for k, v in r.items()})
    return rows


class Scale:
    def __init__(self, rows: list[dict]) -> None:
        scores = collections.defaultdict(list)
        for r in rows:
            if r["condition"] in anchors.RATING:
                for m in METRICS:
                    scores[m, r["condition"]].append(r[m])
        self.anchors = {k: float(np.mean(v)) for k, v in scores.items()}
        self.power = {}
        for m in METRICS:
            for kind, families in FAMILIES.items():
                z, y, w = [], [], []
                for family in families:
                    for a in family:
                        z.append(self.place(m, kind, self.anchors[m, a]))
                        y.append(anchors.RATING[a] / TOP[kind][1])
                        w.append(1 / len(family) ** 0.5)
                z, y, w = map(np.array, (z, y, w))
                fit = scipy.optimize.least_squares(lambda p: w * (1 - (1 - z) ** p[0] - y), [1.5], bounds=(0.3, 5))
                self.power[m, kind] = float(fit.x[0])
        full = [r for r in rows if r["condition"] == "nothing" and not np.isnan(r["audio"])]
        self.cut = float(np.mean([r["audio"] for r in full]))  # audio mode, when what is above 8 kHz is missing

    def place(self, metric: str, kind: str, score: float) -> float:
        top = self.anchors[metric, TOP[kind][0]]
        return float(np.clip((score - FLOOR[metric]) / (top - FLOOR[metric]), 0, 1))

    def one(self, metric: str, kind: str, score: float) -> float:
        return TOP[kind][1] * (1 - (1 - self.place(metric, kind, score)) ** self.power[metric, kind])

    def rating(self, r: dict, kind: str, extension: float = 0.0) -> float:
        """The mean over the metrics. extension is the share of what is above 8 kHz, 0..1."""
        return float(np.mean([self.by(m, r[m], kind) for m in METRICS])) * (129 + EXTENSION * extension) / 129

    def by(self, metric: str, score: float, kind: str) -> float:
        if kind == "medium":
            return (self.one(metric, "narrow", score) + self.one(metric, "wide", score)) / 2
        return self.one(metric, kind, score)

    def share(self, audio: float) -> float:
        return float(np.clip((audio - self.cut) / (IDENTICAL - self.cut), 0, 1))


def mos(rating):
    """ITU-T G.107.2, annex A; as codec.Full.MOS."""
    r = np.clip(np.asarray(rating, float) / 1.48, 0, 100)
    return np.maximum(1, 1 + 0.035 * r + r * (r - 60) * (100 - r) * 7e-6)
