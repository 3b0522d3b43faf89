/** A client of Megaki, an encrypted request/response protocol over TCP. */
export { Client } from './client.js';
export { ServerKey } from './keys.js';
export * from './errors.js';
