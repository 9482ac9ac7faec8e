"""What a column's name says about its meaning, where its type allows that meaning."""

import functools

from db.introspect import Category
from tasks.dictionary.facts import SemanticType
from tasks.dictionary.words import split

# meaning | types | where in the name | words of the name (a+b: both). The first line that fits wins. "last": only the
# last word counts, for "name" in "name_length" says nothing about the length; "any": "email" in "email_work" does;
# "only": these words are the whole name.
_NAMES = """
secret | text,binary | any | password passwd pwd pw secret salt credential credentials api+key private+key
secret | text,binary | any | access+token refresh+token auth+token
email | text | any | email mail emails e+mail
phone | text,number | any | phone telephone mobile tel fax cell msisdn
url | text | last | url uri href website homepage link endpoint
uuid | text | any | uuid guid
ip_address | text | any | ip ipaddress ipv4 ipv6
mac_address | text | any | mac+address mac+addr
hash | text,binary | any | hash checksum sha256 sha1 sha md5 digest fingerprint etag
latitude | text,number | any | lat latitude
longitude | text,number | any | lon lng longitude
geo | text | any | geo geom geometry geography coordinates coordinate geolocation
postal_code | text,number | any | zip zipcode postcode postal+code zip+code post+code
currency_code | text | any | currency ccy
currency_amount | text,number | only | total subtotal grand+total order+total
currency_amount | text,number | last | price amount amt cost salary revenue budget balance fee
currency_amount | text,number | last | tax usd eur payment spend income profit wage
percentage | number | any | percent percentage pct perc
percentage | number | last | rate ratio share
country | text | any | country nation nationality ctry
region | text | last | region province county district prefecture
city | text | any | city town municipality
address | text | last | address street addr
language | text | last | language lang locale
timezone | text | any | timezone tz time+zone
mime_type | text | any | mime mimetype content+type media+type
version | text,number | last | version revision
color | text | any | color colour
file_path | text | last | path filename filepath directory folder file+name
username | text | any | username login nickname user+name screen+name
person_name | text | last | firstname lastname surname fullname fname lname first+name last+name full+name
person_name | text | last | middle+name given+name family+name customer+name employee+name person+name
person_name | text | last | contact+name author
organization | text | last | company+name organization+name company organization organisation employer vendor
organization | text | last | supplier manufacturer brand publisher
year | text,number | last | year yr
duration | number | last | duration elapsed latency timeout ttl runtime ms millis milliseconds seconds secs
duration | number | last | minutes hours age interval
timestamp | text,number | last | timestamp ts datetime mtime ctime epoch
date | text,number | last | date birthday dob day
count | number | last | count cnt num number n total retries attempts takes tokens jobs
quantity | number | last | quantity qty stock size length width height weight volume bytes score rating rank
quantity | number | last | position level dimension norm distance priority temperature
embedding | text,array | any | vector embedding embeddings
identifier | text,number | last | id ids pk key identifier uid oid sku isbn ean iban ssn vin
enum | text,number | last | status state type kind category gender sex role stage mode level priority class
code | text,number | last | code cd ref reference
name | text | last | name title label caption heading subject slug
text | text | last | description desc descr comment comments note notes text body content message msg summary
text | text | last | reason traceback bio abstract review
"""

_TYPES = {
    "text": {Category.TEXT, Category.OTHER},
    "number": {Category.NUMBER},
    "binary": {Category.BINARY},
    "array": {Category.ARRAY},
}
_TURNS = frozenset({"id", "ids", "count", "type", "status", "flag", "num", "length", "size"})
"""A last word that makes a name mean something else: an ``email_count`` is no address."""


@functools.lru_cache(maxsize=4096)
def by_name(name: str, category: Category) -> SemanticType | None:
    """The meaning that the name tells; None when it tells nothing."""
    parts = split(name)
    found = frozenset(parts)
    last = parts[-1] if parts else ""
    return next(
        (
            meaning
            for meaning, categories, where, keys in _rules()
            if category in categories and any(_fits(key, found, last, where) for key in keys)
        ),
        None,
    )


def _fits(key: frozenset[str], found: frozenset[str], last: str, where: str) -> bool:
    if where == "only":
        return key == found
    if len(key) > 1:
        return key <= found and last not in _TURNS - key
    return last in key if where == "last" else key <= found and last not in _TURNS


@functools.cache
def _rules() -> tuple[tuple[SemanticType, frozenset[Category], str, tuple[frozenset[str], ...]], ...]:
    rules = []
    for line in _NAMES.strip().splitlines():
        meaning, types, where, keys = (part.strip() for part in line.split("|"))
        categories = frozenset().union(*(_TYPES[name] for name in types.split(",")))
        words = tuple(frozenset(key.split("+")) for key in keys.split())
        rules.append((SemanticType(meaning), categories, where, words))
    return tuple(rules)
