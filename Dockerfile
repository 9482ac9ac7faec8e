# One image for workers, Flower and the command line. Build: docker build -t llmsweep .
FROM python:3.13-slim-bookworm AS build
WORKDIR /build
COPY requirements/ requirements/
# No compiler needed: every locked package has a wheel for x86-64 and arm64.
RUN python -m venv /opt/llmsweep \
    && /opt/llmsweep/bin/pip install --no-cache-dir --require-hashes --only-binary :all: -r requirements/runtime.lock
COPY pyproject.toml README.md ./
COPY core/ core/
COPY tasks/ tasks/
COPY db/ db/
COPY workers/ workers/
COPY scripts/ scripts/
# Compiled here: the image's own file system is read-only when it runs.
RUN /opt/llmsweep/bin/pip install --no-cache-dir --no-deps --no-build-isolation . \
    && /opt/llmsweep/bin/python -m compileall -q /opt/llmsweep/lib

FROM python:3.13-slim-bookworm
LABEL org.opencontainers.image.title="llmsweep" org.opencontainers.image.licenses="Apache-2.0"
RUN groupadd --gid 10001 sweep && useradd --uid 10001 --gid sweep --home-dir /var/lib/llmsweep --create-home sweep
COPY --from=build /opt/llmsweep /opt/llmsweep
# TIKTOKEN_CACHE_DIR is no secret, the rule only sees "TOKEN"
# hadolint ignore=DL3064
ENV PATH=/opt/llmsweep/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    SWEEP_DIR=/tmp/sweep \
    HEARTBEAT_FILE=/tmp/sweep-alive \
    TIKTOKEN_CACHE_DIR=/tmp/tiktoken
WORKDIR /var/lib/llmsweep
USER 10001:10001
# A read-only root works: only /tmp is written (mount a tmpfs there).
HEALTHCHECK --interval=30s --timeout=10s --start-period=20s --retries=3 CMD ["sweep", "doctor", "--quick"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["sweep"]
CMD ["--help"]
