FROM node:24-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
# No package needs its install script, so none runs.
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY src src
RUN npm run build && npm prune --omit=dev

FROM node:24-slim
# A look-up of a node's name occupies a thread until a name server answers. Look-ups occupy at most half of the threads, of which Node.js has 4 by default.
ENV NODE_ENV=production UV_THREADPOOL_SIZE=16 CONFIG_FILE=/etc/session-control/service.yaml
WORKDIR /app
# dist/ needs package.json beside it, which declares ES modules.
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/dist dist
# These files are for `init` and for /openapi.yaml.
COPY config config
COPY deploy/account deploy/account
COPY docs/openapi.yaml docs/
COPY LICENSE NOTICE ./
# The user has uid 1000. The service writes only audit.file: the root can be read-only, and audit.file needs a writable volume.
USER node
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s CMD ["node", "dist/main.js", "health"]
# The configuration is not in the image: mount it at /etc/session-control, or set CONFIG_FILE.
ENTRYPOINT ["node", "dist/main.js"]
CMD ["start"]
