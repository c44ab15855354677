"""`python -m app.stack` is `voxqueue up`."""

from app.stack.up import up

if __name__ == "__main__":
    up()
