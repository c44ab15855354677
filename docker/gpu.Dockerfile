# syntax=docker/dockerfile:1
# Engines on an NVIDIA GPU: torch with CUDA 13, TensorRT 10 and torch2trt, CTranslate2 with cuBLAS 12. The host needs a
# driver for CUDA 13 (580 or newer) and the NVIDIA container toolkit; every CUDA library comes with the wheels.
FROM python:3.11-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1
RUN apt-get update && apt-get install -y --no-install-recommends git && rm -rf /var/lib/apt/lists/*
RUN python -m venv /opt/venv
COPY requirements.txt requirements-gpu.txt requirements-torch2trt.txt /tmp/
RUN --mount=type=cache,target=/root/.cache/pip \
    /opt/venv/bin/pip install -r /tmp/requirements.txt -r /tmp/requirements-gpu.txt
# CUDA_HOME is asked for though nothing is compiled; see requirements-torch2trt.txt.
RUN CUDA_HOME=/usr/local/cuda /opt/venv/bin/pip install --no-build-isolation --no-deps -r /tmp/requirements-torch2trt.txt

FROM python:3.11-slim-bookworm
COPY --from=build /opt/venv /opt/venv
COPY . /srv/voxqueue
WORKDIR /srv/voxqueue
ENV PATH=/opt/venv/bin:$PATH \
    LD_LIBRARY_PATH=/opt/venv/lib/python3.11/site-packages/nvidia/cublas/lib \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp \
    HF_HOME=/models/hf \
    MODELSCOPE_CACHE=/models/modelscope \
    VOXQUEUE_HOME=/srv/voxqueue \
    VOXQUEUE_DATA_DIR=/data \
    VOXQUEUE_MODEL_CACHE=/models \
    VOXQUEUE_DEVICE=cuda
RUN pip install --no-cache-dir --no-deps -e . \
    && python -m compileall -q app jobs workers speech celeryconfig.py \
    && useradd --uid 10001 --no-create-home voxqueue \
    && install -d -o voxqueue -g voxqueue /data /models
USER 10001:10001
VOLUME ["/data", "/models"]
# The first start fetches models and builds TensorRT engines.
HEALTHCHECK --interval=60s --timeout=30s --start-period=15m CMD ["celery", "-A", "workers.app", "inspect", "ping"]
ENTRYPOINT ["/bin/sh", "-c"]
CMD ["exec env VOXQUEUE_WORKER_KIND=tts MALLOC_ARENA_MAX=2 MALLOC_MMAP_THRESHOLD_=67108864 MALLOC_TRIM_THRESHOLD_=268435456 celery -A workers.app worker --pool=threads --without-mingle --without-gossip --loglevel=${VOXQUEUE_LOG_LEVEL:-INFO}"]
