FROM node:24-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
# No package needs its install script, so none runs.
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY src src
RUN npm run build && npm prune --omit=dev

FROM node:24-slim
# Each name of a node for which no name server answers takes a thread, and half of them (4 by default) may be taken by names.
ENV NODE_ENV=production UV_THREADPOOL_SIZE=16 CONFIG_FILE=/etc/session-control/service.yaml
WORKDIR /app
# dist/ needs package.json beside it: it says that these are ES modules.
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/dist dist
# For `init`, and for /openapi.yaml.
COPY config config
COPY deploy/account deploy/account
COPY docs/openapi.yaml docs/
COPY LICENSE NOTICE ./
# uid 1000. It needs to write nowhere but to audit.file: the root can be read-only, and that wants a volume that it may write to.
USER node
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s CMD ["node", "dist/main.js", "health"]
# The configuration is not in the image: mount it at /etc/session-control, or set CONFIG_FILE.
ENTRYPOINT ["node", "dist/main.js"]
CMD ["start"]
