"""S3 streams: one object, read from its beginning or written in parts of 5 MB. Needs boto3 (extra `s3`)."""

from __future__ import annotations

import base64
import contextlib
import hashlib
from collections.abc import Sequence
from typing import Any

from stream_scorer.errors import TransportError
from stream_scorer.modelop.endpoints.base import Feed
from stream_scorer.modelop.endpoints.pump import Pieces, PumpFeed

PART = 5 << 20
_CHUNK = 1 << 18


def _client(fields: dict[str, Any]) -> Any:
    try:
        import boto3
    except ImportError as error:
        raise TransportError("S3 streams need boto3: pip install 'stream-scorer[s3]'.") from error
    return boto3.client(
        "s3",
        region_name=fields["Region"],
        aws_access_key_id=fields["AccessKeyID"],
        aws_secret_access_key=fields["SecretAccessKey"],
    )


def _where(fields: dict[str, Any]) -> str:
    return f"s3://{fields['Bucket']}/{fields['ObjectKey']}"


def _faults() -> tuple[type[Exception], ...]:
    from botocore.exceptions import BotoCoreError, ClientError

    return BotoCoreError, ClientError, OSError


def s3_feed(fields: dict[str, Any]) -> Feed:
    """Open an object for reading. Blocks until S3 answers. Raises TransportError if it cannot be read."""
    client = _client(fields)
    try:
        body = client.get_object(Bucket=fields["Bucket"], Key=fields["ObjectKey"])["Body"]
    except _faults() as error:
        raise TransportError(f"{_where(fields)}: {error}") from error
    return PumpFeed(_pieces(body, _where(fields)), body.close)


def _pieces(body: Any, where: str) -> Pieces:
    try:
        yield from body.iter_chunks(_CHUNK)
    except _faults() as error:
        raise TransportError(f"{where}: {error}") from error


class S3Drain:
    """The object exists once the stream is finished. If it is closed before, nothing stays."""

    def __init__(self, fields: dict[str, Any]) -> None:
        self._fields = fields
        self._client = _client(fields)
        self._place = {"Bucket": fields["Bucket"], "Key": fields["ObjectKey"]}
        self._waiting = bytearray()
        self._parts: list[dict[str, Any]] = []
        self._finished = False
        self._upload: str | None = self._call("create_multipart_upload")["UploadId"]

    def write(self, pieces: Sequence[bytes]) -> None:
        if self._finished:
            raise TransportError(f"{_where(self._fields)}: the stream is closed")
        for piece in pieces:
            self._waiting += piece
        while len(self._waiting) >= PART:
            self._put(bytes(self._waiting[:PART]))
            del self._waiting[:PART]

    def _put(self, data: bytes) -> None:
        number = len(self._parts) + 1
        check = {"ContentMD5": _md5(data)} if self._fields["IntegrityChecks"] else {}
        answer = self._call("upload_part", UploadId=self._upload, PartNumber=number, Body=data, **check)
        self._parts.append({"PartNumber": number, "ETag": answer["ETag"]})

    def finish(self, linger_s: float) -> None:
        if self._finished:
            return
        if self._waiting or not self._parts:
            self._put(bytes(self._waiting))
            self._waiting.clear()
        self._call("complete_multipart_upload", UploadId=self._upload, MultipartUpload={"Parts": self._parts})
        self._finished = True

    def close(self) -> None:
        if not self._finished:
            self._finished = True
            with contextlib.suppress(TransportError):  # S3 removes what stays behind
                self._call("abort_multipart_upload", UploadId=self._upload)

    def _call(self, operation: str, **arguments: Any) -> Any:
        try:
            return getattr(self._client, operation)(**self._place, **arguments)
        except _faults() as error:
            raise TransportError(f"{_where(self._fields)}: {error}") from error


def _md5(data: bytes) -> str:
    return base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()
