"""Optional packages, and the extra that installs each."""

from __future__ import annotations

_OF_EXTRA = {
    "tensorflow": ("tensorflow",),
    "engine": ("yaml", "starlette", "anyio", "uvicorn", "httptools", "websockets"),
    "signing": ("cryptography",),
    "s3": ("boto3", "botocore"),
    "evaluate": ("scipy",),
    "adjust": ("pandas", "sklearn"),
    "parquet": ("pyarrow",),
    "train": ("matplotlib", "pandas_market_calendars"),
}
EXTRA = {package: extra for extra, packages in _OF_EXTRA.items() for package in packages}
"""Import name of a package -> extra."""


def install_hint(error: BaseException) -> str | None:
    """The pip command that installs the missing package; None if `error` is about no package of our extras."""
    package = (error.name or "").partition(".")[0] if isinstance(error, ImportError) else ""
    return f"pip install 'stream-scorer[{EXTRA[package]}]'" if package in EXTRA else None
