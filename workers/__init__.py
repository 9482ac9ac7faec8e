"""The worker process: where the concrete parts meet, and what Celery's signals do to them."""
