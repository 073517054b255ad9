"""Fits the surface to what measure.py measured, and writes the Go table, the condition means, the plots and the errors.

    python3 bench/surface/fit.py [--measured /tmp/surface/measured.csv]

measured.csv.gz beside this file is what the committed surface was fitted to.
"""

from __future__ import annotations

import argparse
import collections
import os

import numpy as np
import scipy.optimize

import clips
import conditions
import report
from scale import Scale, mos, read
from surface import BANDS, FLOOR, IDEAL, SPAN, WORST, Curve, Parameters, rating, speech_kbps

LEAST_OPUS = {"narrowband": 0, "mediumband": 9, "wideband": 9, "superwideband": 14, "fullband": 14}  # kbps where libopus 1.3 begins


def coded(kbps: float, limit: str) -> str:
    """The audio bandwidth libopus uses at a rate under a limit."""
    while kbps < LEAST_OPUS[limit]:
        limit = "wideband" if kbps >= 9 else "narrowband"
    return limit


# The most that shape x coding may be, so that no loss makes the worse coding the better one (d R / d ie <= 0).
MOST_CODING = 0.99 * SPAN / IDEAL

KIND = {"narrowband": "narrow", "mediumband": "medium"}


def additive(rows: list[dict], value) -> dict[str, float]:
    """Means of each condition as if every clip had it: value = condition + clip, clips adding up to nothing."""
    names, voices = sorted({r["condition"] for r in rows}), sorted({r["clip"] for r in rows})
    a = np.zeros((len(rows) + len(voices) + 1, len(names) + len(voices)))
    y = np.zeros(len(a))
    for i, r in enumerate(rows):
        a[i, names.index(r["condition"])] = a[i, len(names) + voices.index(r["clip"])] = 1
        y[i] = value(r)
    for j in range(len(voices)):
        a[len(rows) + j, len(names) + j] = 0.3  # few rows tell little about a clip
    a[-1, len(names) :] = 10
    x = np.linalg.lstsq(a, y, rcond=None)[0]
    return dict(zip(names, x))


def isotonic(measured: dict[tuple[str, float], tuple[float, float]]) -> dict[str, list[tuple[float, float]]]:
    """The impairments nearest to the measured ones that fall with the rate and with the bandwidth: (band, kbps) ->
    (impairment, weight) in, knots for each band out. Below the rates at which libopus uses a bandwidth, the knots are those
    of the narrower one."""
    keys = sorted(measured)
    index = {k: i for i, k in enumerate(keys)}
    pairs = []
    for band in BANDS:
        rates = sorted(k for b, k in keys if b == band)
        pairs += [(index[band, a], index[band, b]) for a, b in zip(rates, rates[1:])]
        for k in rates:
            for wider in BANDS[BANDS.index(band) + 1 :]:
                if (wider, k) in index:
                    pairs.append((index[band, k], index[wider, k]))
                    break
    for rate, narrow, wide in ((8, "narrowband", "mediumband"), (8, "narrowband", "wideband"), (12, "wideband", "superwideband"), (12, "wideband", "fullband")):
        first = min((k for b, k in keys if b == wide), default=None)
        if first and (narrow, rate) in index:
            pairs.append((index[narrow, rate], index[wide, first]))
    y, w = (np.array([measured[k][i] for k in keys]) for i in (0, 1))
    upper, lower = np.array(pairs).T
    fit = scipy.optimize.minimize(
        lambda x: np.sum(w * (x - y) ** 2), y, jac=lambda x: 2 * w * (x - y), method="SLSQP", options={"maxiter": 500},
        constraints={"type": "ineq", "fun": lambda x: x[upper] - x[lower], "jac": lambda x: (np.eye(len(x))[upper] - np.eye(len(x))[lower])})
    assert fit.success, fit.message
    knots = {}
    for band in BANDS:
        own = [(k, float(fit.x[index[band, k]])) for b, k in keys if b == band]
        below = own[0][0]
        for narrower in reversed(BANDS[: BANDS.index(band)]):
            if narrower == "superwideband" or narrower == "mediumband":
                continue
            more = [(k, float(fit.x[index[narrower, k]])) for b, k in keys if b == narrower and k < min(below, LEAST_OPUS[band] if narrower != "narrowband" else 9)]
            own, below = more + own, min([below] + [k for k, _ in more])
        knots[band] = [(k, float(v)) for k, v in zip([k for k, _ in own], np.minimum.accumulate([v for _, v in own]))]
    return knots


def arrays(rows: list[dict]) -> dict[str, np.ndarray]:
    return {k: np.array([r[k] for r in rows]) for k in ("kbps", "band", "frame", "fec", "dtx", "loss", "burst")}


def main() -> None:
    o = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    o.add_argument("--measured", default=os.path.join(os.path.dirname(os.path.abspath(__file__)), "measured.csv.gz"))
    o = o.parse_args()
    everything = read(o.measured)
    scale = Scale(everything)
    rows = [r for r in everything if r["band"]]
    design = {c.name: c for c in conditions.everything()}
    rows = [r for r in rows if r["condition"] in design]
    for r in rows:
        r["burst"] = max(r["burst"], 1.0)
        r["coded"] = coded(r["kbps"], r["band"])
    seen = [r for r in rows if r["clip"] not in clips.HELD_OUT]
    unseen = [r for r in rows if r["clip"] in clips.HELD_OUT]

    # What is above 8 kHz, by rate: clips of the fit only.
    heard = collections.defaultdict(list)
    for r in seen:
        if r["coded"] in ("superwideband", "fullband") and not np.isnan(r["audio"]) and r["frame"] == 20 and not r["fec"] and not r["dtx"]:
            heard[r["coded"], r["kbps"]].append(scale.share(r["audio"]))
    shares = {}
    for band in ("superwideband", "fullband"):
        k = sorted(k for b, k in heard if b == band)
        shares[band] = (np.array(k), np.maximum.accumulate([np.mean(heard[band, x]) for x in k]))
    p = Parameters()

    def rate_all() -> None:
        for r in rows:
            extension = 0.0
            if r["coded"] in shares:
                k = float(speech_kbps(p, r["kbps"], r["fec"], r["frame"]))
                extension = float(np.interp(k, *shares[r["coded"]]))
            r["R"] = scale.rating(r, KIND.get(r["coded"], "wide"), extension)
            r["mos"] = float(mos(r["R"]))

    for _ in range(2):  # the share above 8 kHz depends on the rate that FEC leaves
        rate_all()
        plain = [r for r in seen if design[r["condition"]] in set(conditions.coding())]
        means = additive(plain, lambda r: 148 - r["R"])
        count = collections.Counter(r["condition"] for r in plain)
        measured = {}
        for name, value in means.items():
            c = design[name]
            if c.frame == 20 and not c.fec and not c.dtx:
                measured[coded(c.kbps, c.band), c.kbps] = (value, float(count[name]))
        knots = isotonic(measured)
        curves = {b: Curve(*zip(*knots[b]), floor=min(FLOOR[b], knots[b][-1][1]), ceiling=132.0) for b in BANDS}
        p = fit_rest(seen, curves)
    report.write(report.Fitted(scale, knots, measured, p, seen, unseen, shares))


def fit_rest(rows: list[dict], curves: dict[str, Curve]) -> Parameters:
    """Everything but the curves, by least squares in MOS. Clips may differ by a constant, which is thrown away."""
    data, target = arrays(rows), np.array([r["mos"] for r in rows])
    voices = sorted({r["clip"] for r in rows})
    which = np.array([voices.index(r["clip"]) for r in rows])

    def unpack(v) -> Parameters:
        return Parameters(robustness=np.exp(v[0]), shape=v[1], burst=v[2], frame_loss=tuple(v[3:6]), frame_rate=tuple(v[6:9]),
                          fec_share=v[9], fec_slope=v[10], fec_loss=v[11], dtx=v[12], fec_begins=v[13],
                          coding=v[14] * MOST_CODING / v[1], worst=v[15])

    def residual(v):
        got = mos(rating(unpack(v), curves, data)) + v[16:][which]
        return np.concatenate([got - target, 0.3 * v[16:], [10 * v[16:].sum()]])

    start = np.concatenate([[np.log(10), 1, 0.1, 0, 0, 0, 0, 0, 0, 0.3, 0.005, 0.1, 1, 12, 0.3, 140], np.zeros(len(voices))])
    low = np.concatenate([[-1, 0.4, 0, -2, -2, -2, -0.5, -0.5, -0.5, 0, 0, 0, 0, 8, 0, WORST], np.full(len(voices), -1.0)])
    high = np.concatenate([[5, 2, 1, 2, 2, 2, 0.5, 0.5, 0.5, 0.6, 0.03, 3, 20, 16, 1, IDEAL], np.full(len(voices), 1.0)])
    fit = scipy.optimize.least_squares(residual, start, bounds=(low, high), loss="soft_l1", f_scale=0.3)
    return unpack(fit.x)


if __name__ == "__main__":
    main()
