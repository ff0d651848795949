// src/require-node.ts for the tools, in JavaScript: an old Node.js must be able to read it without tsx.
const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  process.stderr.write(
    `session-control needs Node.js 20.19 or newer, but ${process.execPath} is ${process.versions.node}. Install a newer one.\n`,
  );
  process.exit(78);
}
