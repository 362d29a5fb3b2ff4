# The demo: docker build --tag hubgan . && docker run --publish 7860:7860 hubgan
# Models of yours: docker run --publish 7860:7860 --volume ./runs:/app/runs hubgan --upscaler runs/photo-x4
# With CUDA: docker build --build-arg PIP_EXTRA_INDEX_URL= --tag hubgan . && docker run --gpus all ...
FROM python:3.12-slim

# pip reads it: PyTorch for CPUs. Without it pip takes PyTorch with CUDA from PyPI.
ARG PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu

RUN useradd --create-home --uid 1000 hubgan
WORKDIR /app
COPY pyproject.toml README.md LICENSE app.py ./
COPY src src
# As a checkout, so that the models beside it are shown, without a network too.
RUN --mount=type=cache,target=/root/.cache/pip pip install --editable '.[demo]'
COPY model_cards model_cards

USER 1000
ENV GRADIO_SERVER_NAME=0.0.0.0 GRADIO_SERVER_PORT=7860 GRADIO_ANALYTICS_ENABLED=False PYTHONUNBUFFERED=1
EXPOSE 7860
STOPSIGNAL SIGINT
HEALTHCHECK --start-period=2m \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:7860', timeout=5)"]
ENTRYPOINT ["hubgan", "demo"]
