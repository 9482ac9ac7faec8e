"""What a job does (one package a kind, pure), and the thin Celery adapters (app, chunk, feeder)."""
