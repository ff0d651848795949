FROM node:24-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci
COPY tsconfig.json tsconfig.build.json ./
COPY src src
RUN npm run build && npm prune --omit=dev

FROM node:24-slim
ENV NODE_ENV=production
WORKDIR /app
# dist/ needs package.json beside it: it says that these are ES modules.
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/dist dist
COPY docs/openapi.yaml docs/
USER node
EXPOSE 8080
# The configuration is not in the image: mount it at /app/config, or set CONFIG_FILE.
CMD ["node", "--enable-source-maps", "dist/main.js"]
