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
  // Most of the time most of them wait for servers; of two cores Jest would use one.
  maxWorkers: 3,
  workerIdleMemoryLimit: '400MB',
  // None of them measures the machine: a busy one takes several times as long.
  testTimeout: 120_000,
};
