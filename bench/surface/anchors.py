"""Reference conditions: codecs whose impairment the ITU-T has published, to put the metrics on its scale.

Ie of G.113 (appendix I, narrowband) and Ie,wb (appendix IV, wideband), so that R = 93.2 - Ie or 129 - Ie,wb.
"""

from __future__ import annotations

import ctypes
import os
import tempfile

import numpy as np
import scipy.signal

from clips import RATE, ffmpeg

AMR_WB = {0: (6.60, 41), 1: (8.85, 26), 2: (12.65, 13), 3: (14.25, 10), 4: (15.85, 7), 5: (18.25, 5), 7: (23.05, 1), 8: (23.85, 8)}
AMR_WB_BYTES = (17, 23, 32, 36, 40, 46, 50, 58, 60)

# name -> R. "nothing" is the reference itself cut to 8 kHz.
RATING = {
    "nothing": 129.0, "narrow": 93.2, "g711": 93.2, "g726-32": 93.2 - 7, "g726-24": 93.2 - 25, "g726-16": 93.2 - 50,
    "amr-12.2": 93.2 - 5, "g722-64": 129.0 - 13, "g722-56": 129.0 - 20, "g722-48": 129.0 - 31,
    **{f"amr-wb-{kbps}": 129.0 - ie for kbps, ie in AMR_WB.values()},
}


def degrade(name: str, x: np.ndarray, library: str) -> np.ndarray:
    """Sends 48 kHz speech through a reference codec; the result is 48 kHz again, in time with x to about 25 ms."""
    if name == "nothing":
        return at(pcm(x, 16000), 16000)
    if name == "narrow":
        return at(pcm(x, 8000), 8000)
    if name == "g711":
        return at(through(pcm(x, 8000), 8000, "mulaw", "-c:a", "pcm_mulaw"), 8000)
    if name.startswith("g726"):
        kbps = name.split("-")[1]
        return at(through(pcm(x, 8000), 8000, "wav", "-c:a", "g726", "-b:a", kbps + "k"), 8000)
    if name == "amr-12.2":
        return at(through(pcm(x, 8000), 8000, "amr", "-c:a", "libopencore_amrnb", "-b:a", "12.2k"), 8000)
    if name.startswith("g722"):
        bits = {"64": 8, "56": 7, "48": 6}[name.split("-")[1]]
        coded = ffmpeg("-f", "s16le", "-ar", "16000", "-ac", "1", "-i", "pipe:0", "-c:a", "g722", "-f", "g722", "-", stdin=pcm(x, 16000).tobytes())
        return at(decode(coded, 16000, "-f", "g722", "-bits_per_codeword", str(bits)), 16000)
    if name.startswith("amr-wb"):
        mode = next(m for m, (kbps, _) in AMR_WB.items() if name == f"amr-wb-{kbps}")
        return at(decode(amr_wb(pcm(x, 16000), mode, library), 16000), 16000)
    raise ValueError(name)


def pcm(x: np.ndarray, rate: int) -> np.ndarray:
    y = scipy.signal.resample_poly(x, rate // 1000, RATE // 1000)
    return np.clip(np.round(y * 32768), -32768, 32767).astype("<i2")


def at(y: np.ndarray, rate: int) -> np.ndarray:
    return scipy.signal.resample_poly(y / 32768, RATE // 1000, rate // 1000)


def through(y: np.ndarray, rate: int, container: str, *codec: str) -> np.ndarray:
    coded = ffmpeg("-f", "s16le", "-ar", str(rate), "-ac", "1", "-i", "pipe:0", *codec, "-f", container, "-", stdin=y.tobytes())
    demux = ("-f", "mulaw", "-ar", str(rate), "-ac", "1") if container == "mulaw" else ()
    return decode(coded, rate, *demux)


def decode(coded: bytes, rate: int, *demux: str) -> np.ndarray:
    with tempfile.NamedTemporaryFile() as f:  # some demuxers seek
        f.write(coded)
        f.flush()
        return np.frombuffer(ffmpeg(*demux, "-i", f.name, "-f", "s16le", "-ar", str(rate), "-"), "<i2").astype(float)


def amr_wb(y: np.ndarray, mode: int, library: str) -> bytes:
    lib = ctypes.CDLL(library)
    lib.E_IF_init.restype = ctypes.c_void_p
    lib.E_IF_encode.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int]
    lib.E_IF_exit.argtypes = [ctypes.c_void_p]
    state, out = lib.E_IF_init(), b"#!AMR-WB\n"
    frame = ctypes.create_string_buffer(128)
    for start in range(0, len(y) - 319, 320):
        block = np.ascontiguousarray(y[start : start + 320])
        n = lib.E_IF_encode(state, mode, block.ctypes.data, frame, 0)
        assert n == AMR_WB_BYTES[mode] + 1 or n == AMR_WB_BYTES[mode], (n, mode)
        out += frame.raw[:n]
    lib.E_IF_exit(state)
    return out


def find_library(path: str) -> str:
    if not os.path.exists(path):
        raise SystemExit(f"no {path}: install libvo-amrwbenc0, or name the library with --amrwb")
    return path
