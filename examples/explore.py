"""The public API, cell by cell, as in a notebook. It needs pandas: pip install 'stream-scorer[adjust]'."""

# %% One model, values in, outputs out. State is kept by key for as long as the model is open.
from pathlib import Path

import pandas as pd

from stream_scorer import Rejected, open_model, score, score_table

here = Path(__file__).parent

with open_model(here / "mean" / "mean.py") as mean:
    print("reads", mean.inputs, "writes", mean.outputs)
    print([out.value for out in mean.score([1.0, 2.0, 3.0, 4.5], key="a")])
    print(mean.score([100.0], key="b"), mean.state("b"))
    print(mean.state("a"))

# %% A value that cannot be scored raises, or is returned in its place.
with open_model(here / "records" / "change.py") as change:
    rows = [{"symbol": "ABC", "price": 10.0}, {"symbol": "ABC"}, {"symbol": "ABC", "price": 10.5}]
    for result in change.score(rows, key=lambda row: row["symbol"], on_reject="return"):
        if isinstance(result, Rejected):
            print("rejected:", result.stage, "-", result.message)
        else:
            print(result.value)

# %% All values of an iterable, in one go.
alerts = score(here / "two_outputs" / "alerts.py", [50.0, 120.5, 80.0])
print([(out.slot, out.value) for out in alerts])

# %% A table: a row is a record, and the column `symbol` is the key.
prices = pd.DataFrame(
    {"symbol": ["ABC", "XYZ", "ABC", "XYZ"], "price": [10.0, 7.0, 10.5, 6.5]},
    index=pd.to_datetime(["2024-01-02", "2024-01-02", "2024-01-03", "2024-01-03"]),
)
print(score_table(here / "records" / "change.py", prices, key="symbol"))
