# syntax=docker/dockerfile:1
# Web, Flower, planning, and engines on a CPU. torch's CPU build is a fifth of the size of the CUDA build that pip takes
# by itself: pass the address of PyTorch's CPU wheels as --build-arg PIP_EXTRA_INDEX_URL=... to get it.
FROM python:3.11-slim-bookworm AS build
ARG PIP_EXTRA_INDEX_URL=""
ENV PIP_EXTRA_INDEX_URL=$PIP_EXTRA_INDEX_URL PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/venv
COPY requirements.txt /tmp/
RUN --mount=type=cache,target=/root/.cache/pip /opt/venv/bin/pip install -r /tmp/requirements.txt

FROM python:3.11-slim-bookworm
COPY --from=build /opt/venv /opt/venv
COPY . /srv/voxqueue
WORKDIR /srv/voxqueue
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp \
    HF_HOME=/models/hf \
    MODELSCOPE_CACHE=/models/modelscope \
    VOXQUEUE_HOME=/srv/voxqueue \
    VOXQUEUE_DATA_DIR=/data \
    VOXQUEUE_MODEL_CACHE=/models
RUN pip install --no-cache-dir --no-deps -e . \
    && python -m compileall -q app jobs workers speech celeryconfig.py \
    && useradd --uid 10001 --no-create-home voxqueue \
    && install -d -o voxqueue -g voxqueue /data /models
USER 10001:10001
VOLUME ["/data", "/models"]
EXPOSE 8000 5555
# Of the web process, which is what the image runs by itself; docker-compose.yml has each service's own.
HEALTHCHECK --interval=10s --timeout=10s --start-period=30s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/healthz', timeout=5)"]
ENTRYPOINT ["/bin/sh", "-c"]
CMD ["exec gunicorn --config app/gunicorn_conf.py 'app:create_app()'"]
