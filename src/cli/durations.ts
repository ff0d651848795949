export { formatDuration, parseDuration } from '../client/index.ts';
