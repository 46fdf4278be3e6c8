# The services that run in containers, one target each: api, director, runner.
#
#   npm run build
#   docker buildx build --platform linux/arm64,linux/amd64 --target api --tag REGISTRY/mimeo-api:VERSION --push \
#     --file Dockerfile dist/api
#
# The folder of its bundle is all that the builder is sent, so that an image is made anew for what is in it and no more.
# Nothing is run while an image is built, so both platforms are built on any machine, without emulation, of the very
# bundles that were tested. They need no shell and write nothing: run them with a read-only root. A file's mode would
# otherwise be that of the builder's copy, which under umask 077 nobody but root could read.
FROM node:24.21.0-trixie-slim AS base
ENV NODE_ENV=production
WORKDIR /app
# `node` of the base image, by number, so that Kubernetes can tell that it is not root.
USER 1000:1000
# In place of the base image's own, which is a shell script.
ENTRYPOINT ["node", "/app/main.mjs"]

FROM base AS api
COPY --chmod=0444 main.mjs /app/main.mjs
# A load balancer calls from elsewhere.
ENV MIMEO_HOST=0.0.0.0
EXPOSE 8080

FROM base AS director
COPY --chmod=0444 main.mjs /app/main.mjs

FROM base AS runner
COPY --chmod=0444 main.mjs /app/main.mjs
