"""Submitting and waiting, as a client does."""


def submit_tts(client, text, **options):
    """Return the ID of a TTS job."""
    answer = client.post("/v1/tts", json={"text": text, **options})
    assert answer.status_code == 202, answer.text
    return answer.json()["id"]


def finish(client, job_id):
    """Return the job when it has ended."""
    while True:
        job = client.get(f"/v1/jobs/{job_id}", params={"wait": 60}, timeout=90).json()
        if job["status"] not in {"queued", "running"}:
            return job


def finish_all(client, ids):
    """Return the jobs when all have ended."""
    return [finish(client, job_id) for job_id in ids]
