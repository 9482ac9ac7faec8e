"""The process behind ``scripts.embedded``: keeps PostgreSQL, broker, cache and handed-over programs running.

Standard library and psycopg2 only, here and in every module below: it must be up in a tenth of a second.
"""
