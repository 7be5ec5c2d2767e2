"""CSV by RFC 4180, with any quote character and a delimiter of any length: text <-> fields."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Dialect:
    """How CSV is written.

    quote: one character. delimiter, separator: one or more characters without the quote, between fields and between records.
    """

    quote: str = '"'
    delimiter: str = ","
    separator: str = "\r\n"

    def parse(self, text: str) -> list[tuple[str, bool]]:
        """The fields of one record, each with whether it was quoted. Raises ValueError: a quote is in a wrong place."""
        fields: list[tuple[str, bool]] = []
        at = 0
        while True:
            if text.startswith(self.quote, at):
                field, at = self._quoted(text, at + len(self.quote), len(fields) + 1)
                fields.append((field, True))
            else:
                end = text.find(self.delimiter, at)
                end = len(text) if end < 0 else end
                fields.append((text[at:end], False))
                at = end
            if at == len(text):
                return fields
            at += len(self.delimiter)

    def _quoted(self, text: str, at: int, number: int) -> tuple[str, int]:
        """The field whose opening quote is before `at`, and the place after its closing quote. number: of the field."""
        quote = self.quote
        pieces = []
        while True:
            end = text.find(quote, at)
            if end < 0:
                raise ValueError(f"field {number} opens with {quote} and has no closing {quote}")
            pieces.append(text[at:end])
            at = end + len(quote)
            if not text.startswith(quote, at):
                break
            pieces.append(quote)
            at += len(quote)
        if at < len(text) and not text.startswith(self.delimiter, at):
            raise ValueError(f"field {number} goes on after its closing {quote} with {text[at : at + 10]!r}")
        return "".join(pieces), at

    def write(self, fields: list[str]) -> str:
        """One record. A field is quoted if `parse` would not return it otherwise; so is an empty field that is the only one."""
        if fields == [""]:
            return self.quote * 2
        return self.delimiter.join(map(self._field, fields))

    def _field(self, field: str) -> str:
        # If a field ends in the beginning of a long delimiter, the delimiter would be found too early.
        partial = any(field.endswith(self.delimiter[:length]) for length in range(1, len(self.delimiter)))
        apart = any(letter in field for letter in f"\r\n{self.quote}{self.separator}")
        if partial or apart or self.delimiter in field:
            return self.quote + field.replace(self.quote, self.quote * 2) + self.quote
        return field
