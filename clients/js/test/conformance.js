// The program that `sazukari conformance` tests the client with.

import { Client, MegakiError, ServerKey } from '../src/index.js';

/** Yields the messages of standard input, each after its length. */
async function* messages() {
  let buffer = Buffer.alloc(0);
  for await (const chunk of process.stdin) {
    buffer = Buffer.concat([buffer, chunk]);
    while (buffer.length >= 4 && buffer.length >= 4 + buffer.readUInt32BE()) {
      const end = 4 + buffer.readUInt32BE();
      yield buffer.subarray(4, end);
      buffer = buffer.subarray(end);
    }
  }
}

const [host, port, key, sessionFile, timeout] = process.argv.slice(2);
const client = new Client({
  host,
  port: Number(port),
  key: ServerKey.read(key),
  sessionFile,
  handshakeTimeout: Number(timeout),
  messageTimeout: Number(timeout),
});
try {
  for await (const message of messages()) {
    const response = await client.send(message);
    const size = Buffer.alloc(4);
    size.writeUInt32BE(response.length);
    await new Promise((resolve) => process.stdout.write(Buffer.concat([size, response]), resolve));
  }
} catch (error) {
  if (!(error instanceof MegakiError)) {
    throw error;
  }
  console.error(error.message);
  process.exitCode = error.code;
}
await client.close();
process.stdin.destroy();
