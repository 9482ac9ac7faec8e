"""What is known of one field: a job's input, and the JSON in its prompt. It holds shapes, never a value of the data,
unless the user allowed the column.
"""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from db.introspect import Category
from tasks.dictionary.json_path import leaf


class SemanticType(StrEnum):
    """What a field means: the closed vocabulary of answers."""

    IDENTIFIER = "identifier"
    UUID = "uuid"
    CODE = "code"
    NAME = "name"
    PERSON_NAME = "person_name"
    ORGANIZATION = "organization"
    USERNAME = "username"
    EMAIL = "email"
    PHONE = "phone"
    URL = "url"
    IP_ADDRESS = "ip_address"
    MAC_ADDRESS = "mac_address"
    ADDRESS = "address"
    CITY = "city"
    REGION = "region"
    COUNTRY = "country"
    POSTAL_CODE = "postal_code"
    LATITUDE = "latitude"
    LONGITUDE = "longitude"
    GEO = "geo"
    LANGUAGE = "language"
    TIMEZONE = "timezone"
    CURRENCY_AMOUNT = "currency_amount"
    CURRENCY_CODE = "currency_code"
    PERCENTAGE = "percentage"
    COUNT = "count"
    QUANTITY = "quantity"
    DURATION = "duration"
    DATE = "date"
    TIME = "time"
    TIMESTAMP = "timestamp"
    YEAR = "year"
    BOOLEAN = "boolean"
    ENUM = "enum"
    VERSION = "version"
    COLOR = "color"
    HASH = "hash"
    SECRET = "secret"  # noqa: S105 - a word of the vocabulary
    FILE_PATH = "file_path"
    MIME_TYPE = "mime_type"
    JSON = "json"
    LIST = "list"
    BINARY = "binary"
    EMBEDDING = "embedding"
    TEXT = "text"
    UNKNOWN = "unknown"


class Top(BaseModel):
    """One of the most frequent values: its shape and how many rows have it."""

    model_config = ConfigDict(frozen=True)

    value: str
    rows: int


class Statistics(BaseModel):
    """Counted over ``rows`` rows; ``sampled``: the table has more. Values are shapes like everywhere."""

    model_config = ConfigDict(frozen=True)

    rows: int
    sampled: bool = False
    nulls: int = 0
    distinct: int = 0
    min_length: int | None = None
    max_length: int | None = None
    avg_length: float | None = None
    minimum: str | None = None
    maximum: str | None = None
    negative: bool = False
    true: int | None = None
    top: tuple[Top, ...] = ()


class Facts(BaseModel):
    """One field. Dumped without defaults, in this order, it is the prompt's JSON."""

    model_config = ConfigDict(frozen=True)

    path: str
    container: str = ""  # the schema, where the database has such
    table: str
    kind: str = "table"  # table, view, JSON document, JSON schema, CSV file
    table_comment: str = ""
    column: str
    type: str
    category: Category = Category.OTHER
    nullable: bool = True
    primary_key: bool = False
    key_width: int = 1  # columns of the primary key
    references: tuple[str, ...] = ()
    unique: bool = False
    unique_with: tuple[str, ...] = ()
    default: str = ""
    generated: bool = False
    comment: str = ""
    detected: SemanticType = SemanticType.UNKNOWN
    enum_values: int | None = None
    statistics: Statistics | None = None
    samples: tuple[str, ...] = ()
    literal: bool = False  # samples and statistics hold true values: the user allowed this column
    siblings: tuple[str, ...] = Field(default=(), description="names of neighbouring columns")
    columns: int = 1  # of the table

    @property
    def own_name(self) -> str:
        """The column's name; of a JSON path the last part."""
        return leaf(self.column) if self.kind.startswith("JSON") else self.column

    def dump(self) -> dict[str, object]:
        """The JSON value, the same for the same facts whichever way they travelled."""
        return self.model_dump(mode="json", exclude_defaults=True)
