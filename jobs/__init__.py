"""What a job is: its specification, states, ledger, files, queues and settings. Imports nothing else of ours."""
