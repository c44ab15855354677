"""Celery workers: tasks, the batch scheduler, device slots, the watchdog.

The modules of the scheduler (``batching``, ``waiting``, ``selection``, ``limits``, ``stats``) know neither Celery
nor Redis nor any model: they order work for whatever engine they are given.
"""
