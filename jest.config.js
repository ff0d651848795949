export default {
  testEnvironment: 'node',
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '^.+\\.ts$': ['@swc/jest', { jsc: { target: 'es2022', parser: { syntax: 'typescript' } } }],
  },
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  globalSetup: '<rootDir>/test/support/global-setup.ts',
  globalTeardown: '<rootDir>/test/support/global-teardown.ts',
  setupFilesAfterEnv: ['<rootDir>/test/support/after-each.ts'],
  testSequencer: '<rootDir>/jest.longest-first.js',
  // Most tests wait for servers most of the time. By default, Jest would use only one of two cores.
  maxWorkers: 3,
  workerIdleMemoryLimit: '400MB',
  // A busy machine takes several times as long, and no test measures the machine.
  testTimeout: 120_000,
};
