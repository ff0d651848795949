export { escaped, visible } from '../client/index.ts';
