"""Rows of published tables, in Parquet or JSON Lines."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rlvr_world.data.decode import MAX_JSON, parse_json
from rlvr_world.extras import require


def raw_rows(path: Path, columns: Sequence[str]) -> Iterator[Any]:
    """The rows of a file, of Parquet those columns that it has, a batch in memory at a time.

    Raises:
        ModuleNotFoundError: The file is Parquet, and pyarrow is not installed.
        ValueError: The file cannot be read.
    """
    if path.suffix == ".jsonl":
        with path.open("rb") as file:
            for number, line in enumerate(iter(lambda: file.readline(MAX_JSON + 1), b""), 1):
                try:
                    yield parse_json(line)
                except ValueError as error:
                    raise ValueError(f"{path} line {number} is not JSON ({error})") from error
        return
    pyarrow = require("pyarrow", "webarena", str(path))
    parquet = require("pyarrow.parquet", "webarena", str(path))
    try:
        with parquet.ParquetFile(path) as table:
            known = [name for name in columns if name in table.schema_arrow.names]
            for batch in table.iter_batches(batch_size=64, columns=known):
                yield from batch.to_pylist()
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        raise ValueError(f"{path} is no sound Parquet file ({error})") from error
