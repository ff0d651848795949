import { afterEach, expect } from '@jest/globals';
import { departures } from './openapi.ts';

// Whatever a test has the service answer is held against docs/openapi.yaml.
afterEach(() => {
  expect(departures.splice(0)).toEqual([]);
});
