"""python -m stream_scorer"""

from __future__ import annotations

import sys

from stream_scorer.cli import main

sys.exit(main())
