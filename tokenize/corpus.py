"""What is tokenized: each document of the released corpus once, or those of its mixture as often as that says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Self

from millpond.duck import scan
from millpond.errors import LakeError
from millpond.lake import Lake
from millpond.made import check_mixture
from millpond.schemas import DOCUMENTS, MIXTURE
from millpond.spark import read_files

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


@dataclass(frozen=True)
class Corpus:
    """Data files of the documents and, where a mixture of them is tokenized, of the mixture."""

    documents: Sequence[str]
    mixture: Sequence[str] | None
    snapshots: dict[str, int]
    """Table → snapshot of all that is read."""

    @classmethod
    def released(cls, lake: Lake, which: Literal["documents", "mixture"]) -> Self:
        """What a lake has released.

        Raises:
            LakeError: there is no corpus or no mixture, or the mixture is of another corpus.
        """
        tables = lake.tables()
        if DOCUMENTS.name not in tables:
            raise LakeError(f"{lake.uri} has no corpus yet: run `millpond curate` first")
        read = [DOCUMENTS.name]
        if which == "mixture":
            check_mixture(lake, tables)
            read.append(MIXTURE.name)
        files = {name: lake.files(name, tables[name]) for name in read}
        return cls(files[DOCUMENTS.name], files.get(MIXTURE.name), {name: tables[name] for name in read})

    def sql(self) -> str:
        """For DuckDB: the documents' columns and `copy`, 0 and on."""
        if self.mixture is None:
            return f"select *, 0 as copy from {scan(self.documents)}"
        copies = f"select doc_id, unnest(range(copies)) as copy from {scan(self.mixture)}"
        return f"select d.*, copy from {scan(self.documents)} d join ({copies}) using (doc_id)"

    def frame(self, spark: SparkSession) -> DataFrame:
        """For Spark: doc_id, text and copy."""
        from pyspark.sql import functions as f

        documents = read_files(spark, DOCUMENTS.name, self.documents).select("doc_id", "text")
        if self.mixture is None:
            return documents.withColumn("copy", f.lit(0))
        mixture = read_files(spark, MIXTURE.name, self.mixture)
        copies = f.explode(f.sequence(f.lit(0), (f.col("copies") - 1).cast("int")))
        return documents.join(mixture.select("doc_id", copies.alias("copy")), "doc_id")
