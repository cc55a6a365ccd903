# One image for laptop, head, worker and tracking server: `lyapsweep ...` by default, `ray ...` and `mlflow ...` by name.
#
#   docker build -t lyapsweep .
#   docker run --rm --init -v "$PWD/results:/home/lyapsweep/results" lyapsweep run configs/lorenz63.yaml
#   docker run --rm --init --network host --shm-size 2g lyapsweep ray start --head --block
#
# A worker starts with `ray start --address HEAD:6379 --block` and mounts the same results folder at the same path.
# For GPUs build with the index of your driver's CUDA and run with --gpus all:
#
#   docker build -t lyapsweep:cuda --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu130 .
#
# BASE may also be an image that holds Python 3.11 or newer and torch already: a torch within TORCH is kept.
# A mounted results folder must be writable for user 1000 (--build-arg USER_ID=$(id -u) makes it yours).
# deploy/ starts every role of it; deploy/constraints.txt pins what is in it.
ARG BASE=python:3.11-slim-bookworm
FROM ${BASE}

ARG TORCH="torch>=2.11,<=2.13"
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ARG USER_ID=1000

ENV PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PYTHONUNBUFFERED=1 \
    RAY_USAGE_STATS_ENABLED=0 \
    MLFLOW_DISABLE_TELEMETRY=true

# wget is what KubeRay asks a node's health with.
RUN apt-get update && apt-get install --yes --no-install-recommends wget && rm -rf /var/lib/apt/lists/*
RUN useradd --create-home --uid "${USER_ID}" --non-unique lyapsweep
WORKDIR /home/lyapsweep

# From what changes least to what changes most: torch, the other requirements, the code.
RUN pip install --index-url "${TORCH_INDEX}" "${TORCH}"

COPY pyproject.toml deploy/constraints.txt source/
RUN python -c "import tomllib; p = tomllib.load(open('source/pyproject.toml', 'rb'))['project']; print(*p['dependencies'], *p['optional-dependencies']['cluster'], sep='\n')" \
        > requirements.txt \
    && pip install --requirement requirements.txt --constraint source/constraints.txt \
    && rm requirements.txt

COPY README.md setup.py source/
COPY lyapsweep source/lyapsweep
COPY configs configs
COPY sweeps sweeps
RUN cp -r configs sweeps source && pip install --no-deps ./source && rm -r source
COPY --chmod=755 deploy/healthy /usr/local/bin/healthy

RUN mkdir results && chown lyapsweep results
USER lyapsweep
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 CMD ["healthy"]
ENTRYPOINT ["/bin/sh", "-c", "case \"$1\" in ray|mlflow|python|sh|bash) exec \"$@\" ;; *) exec lyapsweep \"$@\" ;; esac", "lyapsweep"]
CMD ["--help"]
