"""Measures every condition with every clip and appends one line for each to a CSV file. It goes on where it stopped.

    go build -o /tmp/degrade ./bench/surface/degrade
    python3 -m venv /tmp/surface && /tmp/surface/bin/pip install -r bench/surface/requirements.txt
    /tmp/surface/bin/python bench/surface/measure.py --degrade /tmp/degrade --data DATA --asterisk SOUNDS --work /tmp/surface

DATA holds the speech and masks named in clips.py and conditions.py; SOUNDS is where the Debian packages
asterisk-core-sounds-{en,it}-g722 put their prompts (/usr/share/asterisk/sounds). About half a second of one core a line.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import subprocess
import time
import zlib

import soundfile

import anchors
import clips
import conditions
from metrics import Metrics, align

FIELDS = ("clip", "condition", "kbps", "band", "frame", "fec", "red", "dtx", "seed", "loss", "burst", "sent_loss",
          "payload_kbps", "pesq", "visqol", "vnsim", "audio")


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--degrade", required=True)
    p.add_argument("--data", required=True)
    p.add_argument("--asterisk", required=True)
    p.add_argument("--work", required=True)
    p.add_argument("--amrwb", default="/usr/lib/x86_64-linux-gnu/libvo-amrwbenc.so.0")
    p.add_argument("--minutes", type=float, default=1e9, help="stop after so long")
    o = p.parse_args()
    paths = clips.prepare(os.path.join(o.work, "clips"), o.data, o.asterisk)
    speech = {name: soundfile.read(path)[0] for name, path in paths.items()}
    out = os.path.join(o.work, "measured.csv")
    done = set()
    if os.path.exists(out):
        with open(out) as f:
            done = {(r["clip"], r["condition"]) for r in csv.DictReader(f)}
    jobs = plan(paths)
    todo = [j for j in jobs if (j[1], j[0] if isinstance(j[0], str) else j[0].name) not in done]
    print(f"{len(jobs)} measurements, {len(todo)} to do", flush=True)
    metrics = Metrics()
    process = subprocess.Popen([o.degrade], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    end = time.time() + 60 * o.minutes
    with open(out, "a", newline="") as f:
        writer = csv.DictWriter(f, FIELDS, restval="")
        if not done:
            writer.writeheader()
        for n, (what, clip) in enumerate(todo):
            if time.time() > end:
                break
            if isinstance(what, str):
                row = anchor(what, clip, speech[clip], metrics, o.amrwb)
            else:
                row = condition(what, clip, paths[clip], speech[clip], metrics, process, o)
            writer.writerow({k: f"{v:.5g}" if isinstance(v, float) else v for k, v in row.items()})
            f.flush()
            if n % 50 == 49:
                print(f"{n + 1} of {len(todo)}", flush=True)
    process.stdin.close()
    process.wait()


def plan(paths: dict[str, str]) -> list[tuple]:
    """Anchors first; then a design that holds when it is cut short: conditions without loss with six clips, loss ladders
    with three clips of the fit and one held out, mixed conditions with two and one, in random order; then the rest."""
    rng = random.Random(1)
    fit = [c for c in paths if c not in clips.HELD_OUT]
    first = [(a, c) for a in anchors.RATING for c in fit]
    main = [(c, clip) for c in conditions.coding() for clip in paths if clip not in ("alsa-b-full", "lyra")]
    main += [(c, "alsa-b-full") for c in conditions.coding() if c.band in (conditions.SUPER, conditions.FULL) and c == conditions.Condition(c.kbps, c.band)]
    for design, number in ((conditions.ladders(), 3), (conditions.mixed(), 2)):
        for c in design:
            main += [(c, clip) for clip in rng.sample(fit, number) + rng.sample(clips.HELD_OUT, 1)]
    rest = [(c, clip) for c in conditions.everything() for clip in paths if (c, clip) not in set(main)]
    rng.shuffle(main)
    rng.shuffle(rest)
    return first + list(dict.fromkeys(main)) + rest


def anchor(name: str, clip: str, x, metrics: Metrics, library: str) -> dict:
    y = anchors.degrade(name, x, anchors.find_library(library))
    # Lead the codec's delay: pad both ends, then align.
    import numpy as np

    y = np.concatenate([np.zeros(4800), y, np.zeros(max(0, len(x) - len(y)) + 9600)])
    scores = metrics.score(x, align(x, y, 0.05, 0.2), full=clip.endswith("full"))
    return {"clip": clip, "condition": name, **scores}


def condition(c: conditions.Condition, clip: str, path: str, x, metrics: Metrics, process, o) -> dict:
    seed = zlib.crc32(f"{clip} {c.name}".encode())
    loss = c.loss_model()
    if c.mask:
        loss["mask"] = os.path.join(o.data, c.mask)
    heard = os.path.join(o.work, "heard.wav")
    process.stdin.write(json.dumps({"in": path, "out": heard, "action": c.action(), "loss": loss, "seed": seed}) + "\n")
    process.stdin.flush()
    answer = json.loads(process.stdout.readline())
    y = soundfile.read(heard)[0]
    y = align(x, y, answer["leadIn"] + c.frame / 1000 - 0.02, answer["leadIn"] + c.frame / 1000 + 0.24)
    # The 48 kHz metric is slow: only where it tells what is left above 8 kHz.
    wide = c.band in (conditions.SUPER, conditions.FULL) and c.frame == 20 and not (c.fec or c.dtx or c.red or c.loss or c.mask)
    full = clip.endswith("full") and wide
    return {"clip": clip, "condition": c.name, "kbps": c.kbps, "band": c.band, "frame": c.frame, "fec": c.fec, "red": c.red,
            "dtx": int(c.dtx), "seed": seed, "loss": answer["loss"], "burst": answer["burst"], "sent_loss": answer["sentLoss"],
            "payload_kbps": answer["kbps"], **metrics.score(x, y, full)}


if __name__ == "__main__":
    main()
