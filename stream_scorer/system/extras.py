"""Packages that are installed only where they are needed: of which extra each is."""

from __future__ import annotations

_OF_EXTRA = {
    "tensorflow": ("tensorflow",),
    "engine": ("yaml", "starlette", "anyio", "uvicorn", "httptools", "websockets"),
    "s3": ("boto3", "botocore"),
    "evaluate": ("scipy",),
    "adjust": ("pandas", "sklearn"),
    "parquet": ("pyarrow",),
    "train": ("matplotlib", "pandas_market_calendars"),
}
EXTRA = {package: extra for extra, packages in _OF_EXTRA.items() for package in packages}
"""By the name a package is imported by."""


def way_out(error: BaseException) -> str | None:
    """The command that installs what was not found; None if that is no package of ours."""
    package = (error.name or "").partition(".")[0] if isinstance(error, ImportError) else ""
    return f"pip install 'stream-scorer[{EXTRA[package]}]'" if package in EXTRA else None
