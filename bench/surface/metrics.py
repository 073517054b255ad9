"""The full-reference metrics.

pesq     PESQ-WB, ITU-T P.862.2, 16 kHz
visqol   ViSQOL 3 in speech mode with its lattice mapping, 16 kHz
vnsim    the mean similarity under ViSQOL's speech mode, before any mapping
audio    ViSQOL 3 in audio mode, 48 kHz: the only one that hears what is above 8 kHz
"""

from __future__ import annotations

import os

os.environ.setdefault("NUMBA_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pesq
import scipy.signal
import visqol

SPEECH = 16000
FULL = 48000


class Metrics:
    def __init__(self) -> None:
        self.speech, self.audio = visqol.VisqolApi(), visqol.VisqolApi()
        self.speech.create(mode="speech", use_lattice_model=True)
        self.audio.create(mode="audio")

    def score(self, reference: np.ndarray, heard: np.ndarray, full: bool) -> dict[str, float]:
        """Both at 48 kHz and in time with each other to about 20 ms."""
        x, y = down(reference), down(heard)
        try:
            p = pesq.pesq(SPEECH, x, y, "wb")
        except pesq.NoUtterancesError:  # nothing is left that PESQ takes for speech
            p = 1.0
        s = self.speech.measure_from_arrays(x, y, sample_rate=SPEECH)
        out = {"pesq": p, "visqol": s.moslqo, "vnsim": s.vnsim}
        if full:
            out["audio"] = self.audio.measure_from_arrays(reference, heard, sample_rate=FULL).moslqo
        return out


def down(x: np.ndarray) -> np.ndarray:
    return scipy.signal.resample_poly(x, SPEECH, FULL)


def align(reference: np.ndarray, heard: np.ndarray, earliest: float, latest: float) -> np.ndarray:
    """The part of heard that says what reference says, found by cross-correlation of the loudness in steps of 1 ms and
    then of the signal itself, between two delays in seconds."""
    step = FULL // 1000
    loud = lambda v: np.sqrt(np.mean(v[: len(v) // step * step].reshape(-1, step) ** 2, axis=1))
    a, b = loud(reference), loud(heard)
    first, last = int(earliest * 1000), min(int(latest * 1000), len(b) - len(a))
    a = a - a.mean()
    rough = first + int(np.argmax([np.dot(a, b[i : i + len(a)]) for i in range(first, last + 1)]))
    x, y = down(reference), down(heard)
    near = range(max(0, rough * 16 - 160), min(rough * 16 + 160, len(y) - len(x)) + 1)
    fine = near[int(np.argmax([np.dot(x, y[i : i + len(x)]) for i in near]))] * 3
    return heard[fine : fine + len(reference)]
