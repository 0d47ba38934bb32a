"""A shop with a dashboard to record in: django-oscar on SQLite with made-up products."""
