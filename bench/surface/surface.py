"""The surface itself, as codec/measured.go computes it, for the fit."""

from __future__ import annotations

import dataclasses

import numpy as np

BANDS = ("narrowband", "mediumband", "wideband", "superwideband", "fullband")
FRAMES = (20, 40, 60, 120)
IDEAL, WORST = 148.0, 132.0  # of codec.Full; WORST is the most that coding takes
FLOOR = dict(zip(BANDS, (148 - 93.2, 148 - (93.2 + 129) / 2, 148 - 129.0, 7.2, 7.2)))  # bandFloor of codec/measured.go
MOST_FEC = 0.75  # share of the rate that FEC can take
PIVOT, SPAN = 20.0, 50.0  # impairment where robustness is quoted, and the step of Parameters.coding


class Curve:
    """A falling monotone cubic, as codec/curve.go has it."""

    def __init__(self, x, y, floor: float, ceiling: float) -> None:
        self.x, self.y, self.floor, self.ceiling = np.asarray(x, float), np.asarray(y, float), floor, ceiling
        h, n = np.diff(self.x), len(x)
        chord = np.diff(self.y) / h
        s = np.zeros(n)
        s[0], s[-1] = chord[0], chord[-1]
        for i in range(1, n - 1):
            if chord[i - 1] * chord[i] > 0:
                w0, w1 = 2 * h[i] + h[i - 1], h[i] + 2 * h[i - 1]
                s[i] = (w0 + w1) / (w0 / chord[i - 1] + w1 / chord[i])
        self.s, self.before = s, chord[: min(3, n - 1)].min()

    def __call__(self, at):
        at = np.asarray(at, float)
        i = np.clip(np.searchsorted(self.x, at, side="right") - 1, 0, len(self.x) - 2)
        h = self.x[i + 1] - self.x[i]
        t = np.clip((at - self.x[i]) / h, 0, 1)
        v = (self.y[i] * (1 + 2 * t) * (1 - t) ** 2 + self.s[i] * h * t * (1 - t) ** 2
             + self.y[i + 1] * t * t * (3 - 2 * t) + self.s[i + 1] * h * t * t * (t - 1))
        room = self.y[-1] - self.floor
        if room > 0 and self.s[-1] < 0:
            v = np.where(at > self.x[-1], self.floor + room * np.exp(self.s[-1] * np.maximum(at - self.x[-1], 0) / room), v)
        return np.where(at < self.x[0], np.minimum(self.ceiling, self.y[0] + self.before * (at - self.x[0])), v)


@dataclasses.dataclass
class Parameters:
    robustness: float = 10.0  # percent of loss at which half of what can be lost is lost, 20 ms frames, independent
    worst: float = 132.0  # the impairment loss tends to
    shape: float = 1.0  # exponent of the loss
    burst: float = 0.0  # robustness falls with this power of the burst ratio
    frame_loss: tuple = (0.0, 0.0, 0.0)  # log of what 40, 60 and 120 ms do to the robustness
    frame_rate: tuple = (0.0, 0.0, 0.0)  # and, as a share, to the rate
    fec_share: float = 0.3  # of the rate that in-band FEC takes at once
    fec_slope: float = 0.008  # and for each percent of expected loss
    fec_begins: float = 14.0  # kbps of speech that FEC leaves alone
    coding: float = 0.0  # log of the robustness that SPAN more impairment adds: what is coarse already has less to lose
    fec_loss: float = 0.0  # repaired frames are coded worse: counts as that much more loss, as a share
    dtx: float = 0.0  # impairment of comfort noise


def speech_kbps(p: Parameters, kbps, fec, frame):
    kbps, fec, frame = map(np.asarray, (kbps, fec, frame))
    share = np.minimum(p.fec_share + p.fec_slope * fec, MOST_FEC)
    k = np.where(fec > 0, np.minimum(kbps, np.maximum(p.fec_begins, kbps * (1 - share))), kbps)
    factor = np.ones_like(k, float)
    for length, v in zip(FRAMES[1:], p.frame_rate):
        factor = np.where(frame == length, 1 + v, factor)
    return k * factor


def rating(p: Parameters, curves: dict[str, Curve], r: dict) -> np.ndarray:
    """r holds arrays: kbps, band, frame, fec, dtx, loss (0..1) and burst. No delay."""
    k = speech_kbps(p, r["kbps"], r["fec"], r["frame"])
    ie, least = np.full(len(k), np.inf), np.full(len(k), np.inf)
    for b in BANDS:
        least = np.minimum(least, curves[b](k))
        ie = np.where(r["band"] == b, least, ie)
    ie = np.minimum(ie + p.dtx * r["dtx"], WORST)
    log = np.log(p.robustness) + p.coding * (ie - PIVOT) / SPAN - p.burst * np.log(r["burst"]) - np.log1p(p.fec_loss * (r["fec"] > 0))
    for length, v in zip(FRAMES[1:], p.frame_loss):
        log = log + np.where(r["frame"] == length, v, 0)
    u = np.exp(p.shape * (np.log(np.maximum(100 * r["loss"], 1e-9)) - log))
    return IDEAL - ie - (p.worst - ie) * u / (1 + u)
