"""Words of column names: what to spell out, what to capitalise, what to split."""


def _pairs(text: str) -> dict[str, str]:
    pairs = (item.split() for item in text.split(","))
    return {short: " ".join(spelled) for short, *spelled in pairs}


_ACRONYMS = """
id ID, vip VIP, ids IDs, url URL, uri URI, uuid UUID, guid GUID, ip IP, api API, http HTTP, https HTTPS, json JSON, xml
XML, html HTML, csv CSV, sql SQL, usd USD, eur EUR, gbp GBP, vat VAT, gps GPS, sku SKU, ean EAN, isbn ISBN,
iban IBAN, bic BIC, ssn SSN, mac MAC, cpu CPU, pdf PDF, mime MIME, md5 MD5, sha SHA, sha1 SHA-1, sha256
SHA-256, sha512 SHA-512, ipv4 IPv4, ipv6 IPv6, utf8 UTF-8, utc UTC, llm LLM, ui UI, os OS, db DB, ttl TTL, pid
PID, dns DNS, ssl SSL, tls TLS, ssh SSH, jwt JWT, crm CRM, erp ERP, kpi KPI, roi ROI, faq FAQ, ms milliseconds
"""

_ABBREVIATIONS = """
acct account, addr address, adj adjustment, amt amount, app application, approx approximate, arg argument,
args arguments, attr attribute, auth authentication, avg average, bal balance, bday birthday, bldg building,
calc calculated, cat category, cd code, cfg configuration, chg change, cmt comment, cnt count, co company,
conf configuration, config configuration, coord coordinate, ctry country, cty city, cur current, curr current,
cust customer, dept department, descr description, desc description, dest destination, dist distance, div
division, dob date of birth, doc document, docs documents, dt date, dur duration, emp employee, env
environment, err error, est estimated, exp expiry, ext external, freq frequency, fname first name, grp group,
hr hour, hrs hours, img image, info information, init initial, inv invoice, kwargs keyword arguments, lang
language, lat latitude, len length, lname last name, lng longitude, loc location, lon longitude, lvl level,
max maximum, mgr manager, mfr manufacturer, min minimum, misc miscellaneous, mod modified, msg message, mtime
modification time, ctime creation time, nbr number, no number, num number, obj object, ord order, org
organization, orig original, param parameter, params parameters, pct percent, perc percent, pers person, ph
phone, pos position, pref preference, prev previous, prio priority, prod product, proj project, pw password,
pwd password, passwd password, qty quantity, qtr quarter, rec record, ref reference, reg region, rel relation,
req request, resp response, ret return, seq sequence, sess session, spec specification, src source, stat
status, std standard, str string, subj subject, svc service, sys system, temp temperature, tel telephone, tmp
temporary, tot total, trx transaction, txn transaction, ts timestamp, tz time zone, txt text, upd updated, usr
user, val value, var variable, vol volume, wh warehouse, wt weight, yr year, zip ZIP code, meta metadata, qa
quality, crt created, del deleted, vec vector, emb embedding, dim dimension, dims dimensions
"""

_WHOLE = """
username username, email e-mail, timestamp timestamp, filename file name, metadata metadata, hostname host
name, nickname nickname, surname surname, zipcode ZIP code, postcode postal code, timezone time zone,
traceback traceback, website website, homepage home page, password password, latitude latitude, longitude
longitude, datetime date and time, checksum checksum, workflow workflow, database database, dataset data set,
keyword keyword, feedback feedback
"""

_COMMON = """
account action active address album amount artist attempt author average balance batch birth body book branch
budget call card cart category change channel charge child city class client code comment company contact
content cost count country created currency customer data date delivery department description device discount
display document duration email employee end entry error event expiry field file first flag follow full genre
group hash height home host image index info input invoice item job key kind label language last latency
length level line link list location log login mail manager media member message meta metadata method middle
mobile mode model module month name nick node note number office order output owner page parent part password
path payment person phone place play post postal price priority process product profile project provider
purchase quantity queue rate rating reason region release report request response result retries role root row
run sale sample score service session set setting shipping short size source start state status stock store
street style subject supplier support sur table tag target task tasks tax team test text ticket time title
token total trace traceback track transaction type unit updated user value vector vendor version view visit
week weight width work worker year zip zone
"""

ACRONYMS = _pairs(_ACRONYMS)
ABBREVIATIONS = _pairs(_ABBREVIATIONS)

WHOLE = _pairs(_WHOLE)
"""Words that must not be split, and how they are written."""

COMMON = frozenset(_COMMON.split())
"""What names written without a gap are split into (``firstname``)."""

SMALL = frozenset({"of", "and", "per", "in", "to", "for", "by", "or", "the", "a", "an", "on", "at", "with", "from"})
"""Lower case inside a title."""

_FILLER_WORDS = """
a an and are as at by column contains data describes description field for from has have hold holds in is it its of on
or record represents row specifies store stored stores table that the this to value values which with indicates
"""
FILLER = frozenset(_FILLER_WORDS.split())
"""Words that say nothing about a field."""
