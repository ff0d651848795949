export { until } from '../../tools/lib/until.ts';
