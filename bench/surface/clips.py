"""The speech: where each clip comes from, and which clips the fit never sees.

A clip is 48 kHz mono at -26 dB of full scale, 6 to 11 s long. Clips are split by speaker: those of HELD_OUT only judge
the fit. Clips named "full" hold speech up to 20 kHz; the others stop at 8 kHz, so only the metrics for 16 kHz score them.
jfk.wav is left out: an old recording with next to nothing above 4 kHz.
"""

from __future__ import annotations

import glob
import os
import subprocess

import numpy as np
import scipy.signal
import soundfile

RATE = 48000
LEVEL = -26.0  # dB of full scale
PAUSE = 0.4  # s between prompts

# name -> (files, seconds or None for all). $DATA and $ASTERISK are options of measure.py.
SOURCES = {
    "alsa-a-full": (["/usr/share/sounds/alsa/Front_*.wav", "/usr/share/sounds/alsa/Side_Left.wav"], None),
    "alsa-b-full": (["/usr/share/sounds/alsa/Rear_*.wav", "/usr/share/sounds/alsa/Side_Right.wav"], None),
    "librivox": (["$DATA/pocketsphinx-librivox/*0870.wav"], None),
    "asterisk-en": (["$ASTERISK/en_US_f_Allison/demo-congrats.g722"], 8.0),
    "asterisk-it": (["$ASTERISK/it_IT_m_Carlo/demo-congrats.g722"], 8.0),
    "ca01-full": (["$DATA/visqol/CA01_01.wav"] * 3, None),
    "tplcnet": (["$DATA/tplcnet/54_clean.wav"], None),
    "lyra": (["$DATA/lyra/sample1_16kHz.wav", "$DATA/lyra/sample2_16kHz.wav"], None),
}
HELD_OUT = ("ca01-full", "tplcnet", "lyra")


def prepare(folder: str, data: str, asterisk: str) -> dict[str, str]:
    """Writes all clips into folder and returns their paths."""
    os.makedirs(folder, exist_ok=True)
    paths = {}
    for name, (patterns, seconds) in SOURCES.items():
        paths[name] = os.path.join(folder, name + ".wav")
        if os.path.exists(paths[name]):
            continue
        parts = []
        for pattern in patterns:
            pattern = pattern.replace("$DATA", data).replace("$ASTERISK", asterisk)
            files = sorted(glob.glob(pattern))
            if not files:
                raise SystemExit(f"clip {name}: no file {pattern}")
            for f in files:
                parts += [read(f), np.zeros(int(PAUSE * RATE))]
        x = np.concatenate(parts)
        if seconds:
            x = x[: int(seconds * RATE)]
        x *= 10 ** (LEVEL / 20) / np.sqrt(np.mean(x**2))
        x = x[: len(x) // 5760 * 5760]  # a multiple of 120 ms
        soundfile.write(paths[name], np.clip(x, -1, 1), RATE, subtype="PCM_16")
    return paths


def read(path: str) -> np.ndarray:
    if path.endswith(".g722"):
        x = np.frombuffer(ffmpeg("-f", "g722", "-i", path, "-f", "s16le", "-"), "<i2") / 32768
        rate = 16000
    else:
        x, rate = soundfile.read(path)
        if x.ndim > 1:
            x = x.mean(axis=1)
    return x if rate == RATE else scipy.signal.resample_poly(x, RATE // 1000, rate // 1000)


def ffmpeg(*arguments: str, stdin: bytes | None = None) -> bytes:
    import imageio_ffmpeg

    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", *arguments]
    return subprocess.run(command, input=stdin, check=True, capture_output=True).stdout
