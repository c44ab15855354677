"""The routes that OpenAI's clients know: the same queue, answered when the job is done."""
