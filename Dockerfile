# The server, with the default model inside: docker build --tag samlet .
FROM python:3.12-slim AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY src src
RUN python -m venv /samlet && /samlet/bin/pip install --no-cache-dir ".[web]"

FROM python:3.12-slim
LABEL org.opencontainers.image.title="samlet" org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /samlet /samlet
RUN useradd --system --uid 10001 --home-dir /nonexistent samlet
USER 10001
ENV PATH=/samlet/bin:$PATH PYTHONDONTWRITEBYTECODE=1
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
  CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/health', timeout=4)"]
# Others reach it, so it starts with a token only: SAMLET_TOKEN.
ENTRYPOINT ["samlet", "serve", "--host", "0.0.0.0"]
