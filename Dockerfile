# The project in a container; its default command is the demo study:
#   docker build --tag scaling-unplugged .
#   mkdir --parents results
#   docker run --rm --init --user "$(id -u)" --volume "$PWD/results:/study/results" scaling-unplugged
# and after it the fit:
#   docker run --rm --user "$(id -u)" --volume "$PWD/results:/study/results" scaling-unplugged \
#     python analysis/fit_scaling.py
# For accelerators: --build-arg ACCELERATOR=tpu | cuda12 | cuda13.
# SIGTERM saves first: give `docker stop` 90 seconds (--time 90).
ARG PYTHON=3.11

FROM python:${PYTHON}-slim-bookworm AS build
ARG ACCELERATOR=cpu
ENV PATH=/opt/venv/bin:$PATH
WORKDIR /study
COPY pyproject.toml constraints.txt README.md ./
COPY scaling scaling
COPY launch launch
COPY analysis analysis
RUN python -m venv /opt/venv
RUN case "$ACCELERATOR" in \
      cpu) extra= ;; \
      tpu | cuda12 | cuda13) extra=",$ACCELERATOR" ;; \
      *) echo "ACCELERATOR is $ACCELERATOR; use cpu, tpu, cuda12 or cuda13." >&2; exit 1 ;; \
    esac \
    && pip install --no-cache-dir --disable-pip-version-check -c constraints.txt -e ".[gcs,s3$extra]"

FROM python:${PYTHON}-slim-bookworm
LABEL org.opencontainers.image.title="scaling-unplugged" \
      org.opencontainers.image.description="MuZero Unplugged, as a study of data efficiency" \
      org.opencontainers.image.version="0.1.0"
# XDG_CACHE_HOME: any user may keep compiled programs there.
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    XDG_CACHE_HOME=/tmp/cache
RUN useradd --uid 1000 --create-home study \
    && install --directory --owner=1000 --group=1000 /study /study/results
COPY --from=build /opt/venv /opt/venv
COPY --from=build /study /study
WORKDIR /study
USER 1000
# Exec form: SIGTERM reaches the sweep, which saves. No health check: a study is not a
# service, and its exit status and status.py say how it is.
CMD ["python", "launch/sweep.py", "--preset", "demo"]
