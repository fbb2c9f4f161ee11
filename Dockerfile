# The demo study in a container:
#   docker build -t scaling-unplugged . && docker run --rm -v "$PWD/results:/study/results" scaling-unplugged
# For accelerators: --build-arg ACCELERATOR=tpu | cuda12 | cuda13
ARG PYTHON=3.12

FROM python:${PYTHON}-slim AS build
ARG ACCELERATOR=cpu
WORKDIR /study
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
COPY pyproject.toml constraints.txt README.md ./
COPY scaling scaling
COPY launch launch
COPY analysis analysis
RUN if [ "$ACCELERATOR" = cpu ]; then extra=""; else extra="[$ACCELERATOR]"; fi \
    && pip install --no-cache-dir -c constraints.txt -e ".$extra"

FROM python:${PYTHON}-slim
COPY --from=build /opt/venv /opt/venv
COPY --from=build /study /study
RUN useradd --create-home study && chown study /study
USER study
WORKDIR /study
ENV PATH=/opt/venv/bin:$PATH
CMD ["sh", "-c", "python launch/sweep.py --preset demo && python analysis/fit_scaling.py"]
