// A program that uses every type: tsc checks it, and nothing runs it.

import { Client, ConnectionFailed, IncompatibleVersions, MegakiError, MessageTooLong, ServerKey, Timeout } from '../src/index.js';

export async function main(): Promise<string> {
  const key: ServerKey = ServerKey.read('server.key.pub');
  const bytes: Uint8Array = new ServerKey(key.toBytes()).toBytes();
  const client = new Client({ host: '127.0.0.1', port: 6363, key, session: bytes, sessionFile: 'session', messageTimeout: 1000 });
  try {
    const response: Uint8Array = await client.send('hello', { signal: new AbortController().signal });
    const session: Uint8Array | null = client.session;
    const page: Response = await client.request('/', { method: 'POST', headers: { a: 'b' }, body: response });
    return `${session?.length} ${page.status} ${await page.text()}`;
  } catch (error) {
    if (error instanceof Timeout || error instanceof IncompatibleVersions || error instanceof MessageTooLong) {
      const code: number = error.code;
      return `${code} ${error instanceof ConnectionFailed}`;
    }
    return error instanceof MegakiError ? `${error.mayHaveArrived}` : '';
  } finally {
    await client.close();
  }
}

// @ts-expect-error a client needs a key
new Client({ host: 'h', port: 1 });
// @ts-expect-error a message is a string or bytes
new Client({ host: 'h', port: 1, key: new ServerKey('') }).send(1);
