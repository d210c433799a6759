"""Run in a fresh environment: load a model and print what it says of its own example, `python fresh.py MODEL`."""

from __future__ import annotations

import json
import sys
import warnings
from typing import Any

MARK = "answer: "  # frameworks print lines of their own


def plain(value: Any) -> Any:
    """Predictions of any form as plain values; numbers to five digits, since another build may differ in the last."""
    if hasattr(value, "to_dict"):
        return plain(value.to_dict("list") if hasattr(value, "columns") else value.tolist())
    if isinstance(value, dict):
        return {str(name): plain(one) for name, one in value.items()}
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    return float(f"{value:.5g}") if isinstance(value, float) else str(value)


def main() -> None:
    import pack

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        warnings.filterwarnings("ignore", category=FutureWarning)
        model = pack.pyfunc.load_model(sys.argv[1], trust=True)
    warnings.simplefilter("ignore")
    print(MARK + json.dumps(plain(model.predict(model.input_example))))


if __name__ == "__main__":
    main()
