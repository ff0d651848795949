import { afterEach, expect } from '@jest/globals';
import { departures } from './openapi.ts';

// A test fails if an answer of the service does not match docs/openapi.yaml.
afterEach(() => {
  expect(departures.splice(0)).toEqual([]);
});
