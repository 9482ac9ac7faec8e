"""Values, decisions and the engine. Knows neither Celery nor SQLAlchemy."""
