# The service as an image: no root, no compiler, no package manager at work, and a file system that can be read-only.
# Both base images can be replaced; BASE_IMAGE has Python 3.11 or newer with venv, NODE_IMAGE has Node 20.19 or newer.
ARG BASE_IMAGE=python:3.13-slim-bookworm
ARG NODE_IMAGE=node:22-bookworm-slim

FROM ${NODE_IMAGE} AS web
WORKDIR /build
COPY web/package.json web/package-lock.json web/.npmrc ./
RUN npm ci --silent
COPY web/ ./
RUN npm run --silent build

FROM ${BASE_IMAGE} AS packages
COPY requirements/base.txt /build/base.txt
RUN python3 -m venv /opt/cairn \
    && /opt/cairn/bin/python -m pip install --quiet --disable-pip-version-check --no-cache-dir \
        --require-hashes --no-deps --requirement /build/base.txt \
    && /opt/cairn/bin/python -m pip uninstall --quiet --yes pip

FROM ${BASE_IMAGE}
RUN mkdir -p /data && chown 10001:10001 /data && chmod 700 /data
COPY --from=packages /opt/cairn /opt/cairn
WORKDIR /srv/cairn
COPY alembic.ini ./
COPY api/ api/
COPY schema/ schema/
COPY domain/ domain/
COPY db/ db/
COPY storage/ storage/
COPY --from=web /build/dist web/dist/
RUN /opt/cairn/bin/python -m compileall -q api schema domain db storage
ENV PATH=/opt/cairn/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    CAIRN_ENVIRONMENT=production \
    CAIRN_DATA_FOLDER=/data
USER 10001:10001
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["python", "-c", "\
import http.client, os, sys; \
ask = http.client.HTTPConnection('127.0.0.1', int(os.environ.get('CAIRN_PORT') or os.environ.get('PORT') or 8000), 4); \
ask.request('GET', '/health/ready'); \
sys.exit(ask.getresponse().status != 200)"]
CMD ["python", "-m", "api", "serve"]
