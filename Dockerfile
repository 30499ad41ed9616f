# Two stages: the first compiles, the second holds what runs and nothing else. The base image is named by its digest, so that a
# build next year starts from the same bytes: raise tag and digest together.
FROM node:24.18.0-bookworm-slim@sha256:6f7b03f7c2c8e2e784dcf9295400527b9b1270fd37b7e9a7285cf83b6951452d AS build
WORKDIR /app
COPY package.json package-lock.json tsconfig.json tsconfig.build.json ./
RUN npm ci --ignore-scripts
COPY src ./src
COPY routes ./routes
RUN npm run build

FROM node:24.18.0-bookworm-slim@sha256:6f7b03f7c2c8e2e784dcf9295400527b9b1270fd37b7e9a7285cf83b6951452d
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --ignore-scripts && npm cache clean --force
COPY --from=build /app/dist ./dist
COPY bin ./bin
COPY examples ./examples
COPY openapi/examples ./openapi/examples
COPY sluice.example.yaml LICENSE ./
RUN ln -s /app/bin/sluice.mjs /usr/local/bin/sluice
# The store, and the first client's key, for the user that runs it alone.
RUN mkdir -m 0700 /data && chown node:node /data
USER node
VOLUME /data
EXPOSE 8080
# The main thread's heap. The writing thread's is bounded by itself (256 MB), and pages, SQLite and buffers need as much again: give
# the container 1 GB, or lower this with its limit.
ENV NODE_ENV=production NODE_OPTIONS=--max-old-space-size=384 SLUICE_CONFIG=/etc/sluice/sluice.yaml SLUICE_DATA=/data SLUICE_LISTEN=0.0.0.0:8080
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s CMD ["node", "/app/bin/health.mjs"]
ENTRYPOINT ["sluice"]
CMD ["serve"]
