/** The oldest supported version, as `engines` in package.json says. */
const [OLDEST_MAJOR, OLDEST_MINOR] = [20, 19];

// Each entry point imports this file first, and everything that an older Node.js cannot load afterwards.
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < OLDEST_MAJOR || (major === OLDEST_MAJOR && minor < OLDEST_MINOR)) {
  process.stderr.write(
    `session-control needs Node.js ${OLDEST_MAJOR}.${OLDEST_MINOR} or newer, but ${process.execPath} is ${process.versions.node}. Install a newer one.\n`,
  );
  // EX_CONFIG of sysexits.h: systemd does not try again.
  process.exit(78);
}

export {};
