"""Fits a pipeline of scikit-learn and packs what it has learned as attachment.tar.gz.

Numbers as JSON, no pickle: a pickle runs code when it is loaded, and is bound to the versions it was made with. The model
needs no scikit-learn then.
"""

import gzip
import io
import json
import tarfile
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

HERE = Path(__file__).parent


def fit() -> dict[str, object]:
    rows = np.loadtxt(HERE / "train.csv", delimiter=",", skiprows=1)
    pipeline = make_pipeline(StandardScaler(), LogisticRegression())
    pipeline.fit(rows[:, :-1], rows[:, -1])
    scaler, regression = pipeline[0], pipeline[1]
    return {
        "mean": scaler.mean_.tolist(),
        "scale": scaler.scale_.tolist(),
        "coefficients": regression.coef_[0].tolist(),
        "intercept": float(regression.intercept_[0]),
    }


def pack(learned: dict[str, object], path: Path) -> None:
    """Without times and owners, so that the same numbers are the same bytes."""
    data = json.dumps(learned, indent=1).encode()
    member = tarfile.TarInfo("pipeline.json")
    member.size = len(data)
    with (
        path.open("wb") as file,
        gzip.GzipFile("", "wb", fileobj=file, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w") as tar,
    ):
        tar.addfile(member, io.BytesIO(data))


if __name__ == "__main__":
    pack(fit(), HERE / "attachment.tar.gz")
