# Two stages: the first compiles, the second holds what runs and nothing else.
FROM node:24-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json tsconfig.json tsconfig.build.json ./
RUN npm ci --ignore-scripts
COPY src ./src
COPY routes ./routes
RUN npm run build

FROM node:24-bookworm-slim
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
ENV NODE_ENV=production SLUICE_CONFIG=/etc/sluice/sluice.yaml SLUICE_DATA=/data SLUICE_LISTEN=0.0.0.0:8080
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s CMD ["node", "/app/bin/health.mjs"]
ENTRYPOINT ["sluice"]
CMD ["serve"]
